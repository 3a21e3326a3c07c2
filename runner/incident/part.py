"""What is meant of a host: one unit, mount point, container, process or database.

A part is written as its kind and its name, as in `unit nginx.service`. Two texts mean the same
part when `canonical` makes the same of them. Whether a host has such a part is not decided here.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

#: What a part may be.
Kind = Literal["unit", "mountpoint", "container", "process", "database"]
KINDS: tuple[str, ...] = get_args(Kind)
#: Characters of a part, its kind included.
LONGEST = 255
#: What the name of a unit may end in; one without such an ending is a service.
SUFFIXES = frozenset(
    {"service", "socket", "timer", "path", "mount", "automount", "target", "slice", "scope", "swap"}
)
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._\\-]*")
_PATH = re.compile(r"/[A-Za-z0-9._+@:=,~/-]*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*")


def canonical(kind: str, text: str) -> str:
    """The part of this kind that `text` means; empty when it can be the name of none.

    `nginx` is `unit nginx.service`, and `/var//log/` is `mountpoint /var/log`.
    """
    name = text
    if kind == "unit" and _UNIT.fullmatch(text):
        stem, _, suffix = text.rpartition(".")
        name = text if stem and suffix in SUFFIXES else f"{text}.service"
    elif kind == "mountpoint" and _PATH.fullmatch(text):
        steps = [step for step in text.split("/") if step]
        if {".", ".."} & set(steps):
            return ""
        name = f"/{'/'.join(steps)}"
    elif kind in KINDS and kind not in ("unit", "mountpoint"):
        name = text.removeprefix("/") if kind == "container" else text
        if not _NAME.fullmatch(name):
            return ""
    else:
        return ""
    part = f"{kind} {name}"
    return part if len(part) <= LONGEST else ""


def apart(one: str | None, other: str | None) -> bool:
    """Whether two parts of one host are known to differ, so that acting on both is no conflict.

    None and an empty text stand for the whole host. Of two kinds nobody knows: a database runs in
    some unit, and a unit writes to some mount point. Units that belong together are one: a service
    and its socket, the instances of a template. So are mount points of which one lies below the
    other.
    """
    if not one or not other:
        return False
    (kind, _, name), (its_kind, _, its_name) = one.partition(" "), other.partition(" ")
    if kind != its_kind or name == its_name:
        return False
    if kind == "unit":
        return _family(name) != _family(its_name)
    if kind == "mountpoint":
        here, there = f"{name.rstrip('/')}/", f"{its_name.rstrip('/')}/"
        return not (here.startswith(there) or there.startswith(here))
    return True


def _family(unit: str) -> str:
    return unit.rpartition(".")[0].partition("@")[0]
