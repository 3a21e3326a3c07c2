"""Variables become a file that Ansible reads as data and never as a template.

Each string is written as `{"__ansible_unsafe": …}`, which Ansible's own reader
turns into text that it will not evaluate. Keys cannot be marked so, and are
therefore refused unless they are plain names.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.errors import Refused

MAX_BYTES = 1_000_000
_MAX_DEPTH = 20
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,127}")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
#: Names by which Ansible steers itself; an extra variable would override them.
_MAGIC = frozenset(
    "hostvars groups group_names inventory_hostname inventory_hostname_short inventory_dir "
    "inventory_file playbook_dir play_hosts role_name role_path role_names omit environment "
    "vars lookup query undef item become become_user connection delegate_to".split()
)


def refuse_unplain(variables: Mapping[str, Any]) -> None:
    """Raise Refused when a name or a nested value cannot be passed as inert data."""
    for name in variables:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refused(f"variable {name!r} is not a plain lower-case name")
        if name.startswith("ansible_") or name in _MAGIC:
            raise Refused(f"variable {name} would steer Ansible itself and is never passed")
    written = _dump(variables)
    if len(written) > MAX_BYTES:
        raise Refused(f"the variables are {len(written)} bytes, more than {MAX_BYTES}")


def write_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Write a new file, readable by its owner only, for `--extra-vars @path`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_dump(variables))


def tagged(value: Any, place: str = "variables", depth: int = 0) -> Any:
    """`value` with every string in it marked unsafe. Raises Refused for what has no mark."""
    if depth > _MAX_DEPTH:
        raise Refused(f"{place[:80]}: is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str):
        text = str.__str__(value)  # a subclass could bring its own way of being written
        if "\0" in text:
            raise Refused(f"{place}: holds a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused(f"{place}: is not text that can be written as UTF-8") from None
        return {"__ansible_unsafe": text}
    finite = isinstance(value, float) and math.isfinite(value)
    if finite or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [tagged(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(value)]
    if not isinstance(value, Mapping):
        raise Refused(f"{place}: a {type(value).__name__} cannot be passed to Ansible")
    found = {}
    for key, item in value.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key) or key.startswith("__"):
            raise Refused(
                f"{place}: the key {key!r} is not a plain name, and keys cannot be tagged"
            )
        found[key] = tagged(item, f"{place}.{key}", depth + 1)
    return found


def _dump(variables: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(tagged(variables)).encode()
    except ValueError:
        raise Refused("a variable holds a number too long to be written") from None
