"""Which inventory variables an entry's play may read, as digests: a later change is found by name.

The inventory may say much that changes all the time and that no play looks at, so only
variables whose names stand in the entry's files count, those that these name in turn, and
what steers Ansible's connection. Names that promise a secret are left out: neither is a
digest of a password kept, nor does a new password make another plan.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from runner.catalog.content import Content

_WORD = re.compile(r"[A-Za-z_]\w{0,127}", re.ASCII)
_SECRET = re.compile(r"pass(wor|phr|wd|code)|secret|token|credential|private_?key", re.IGNORECASE)
_LENGTH = 16  #: hexadecimal digits of a digest; it only has to differ


def digests(content: Content, variables: Mapping[str, Any], key: str = "") -> dict[str, str]:
    """Variable → digest, for each of one host's `variables` that a play of this content reads.

    With a `key` of the plan's own, who reads one digest cannot find the value by trying, and
    cannot see that two plans have the same one.
    """
    open_ = {name for name in variables if not is_secret(name)}
    read = {name for name in open_ if name in content.words or name.startswith("ansible_")}
    waiting = list(read)
    while waiting:  # what a variable names in its own value is read through it
        words = set(_WORD.findall(_written(variables[waiting.pop()])))
        new = (words & open_) - read
        read |= new
        waiting += new
    made = {}
    for name in sorted(open_ if content.indirect else read):
        text = _written(variables[name]).encode(errors="replace")
        made[name] = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()[:_LENGTH]
    return made


def is_secret(name: str) -> bool:
    """Whether a variable's name promises a secret."""
    return bool(_SECRET.search(name))


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
