"""Which parts a host has, as the inventory lists them.

A name that an alert gives is only a key of locks and limits when somebody who is no sender of
alerts knows that part of the host: here the inventory, in `runner_services` and `runner_parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.incident.part import KINDS, canonical
from runner.inventory import Inventory
from runner.text import brief

#: Variable of a host: a kind to a list of names, as in `database: [shop]`.
VARIABLE = "runner_parts"
MOST = 1000  #: parts of one kind that are read


def listed(inventory: Inventory, host: str) -> frozenset[str]:
    """The parts of this host that the inventory lists. Of a template unit it lists no instance."""
    found = set()
    for service in inventory.services.all:
        if host in service.hosts:
            found.add("" if "{" in service.unit else canonical("unit", service.unit))
            found.update(canonical("process", process) for process in service.processes)
    known = inventory.hosts.get(host)
    found.update(part for _, _, part in _own(known.variables if known else {}))
    return frozenset(found - {""})


def problems(inventory: Inventory) -> Iterator[str]:
    """What cannot be understood in `runner_parts`, a sentence each."""
    said: dict[str, None] = {}
    for name, host in inventory.hosts.items():
        value = host.variables.get(VARIABLE)
        if value is not None and not isinstance(value, Mapping):
            said[f"{VARIABLE} of {name} is no mapping; write a kind to a list of names"] = None
            continue
        for kind in value or ():
            if kind not in KINDS or not isinstance((value or {})[kind], list):
                text = f"is no kind with a list of names; kinds are {', '.join(KINDS)}"
                said[f"{VARIABLE}.{brief(str(kind), 60)} {text}"] = None
        for kind, text, part in _own(host.variables):
            if not part:
                said[f"{VARIABLE}.{kind}: {brief(text, 60)!r} can be the name of no {kind}"] = None
    yield from said


def _own(variables: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind, the name as written, its part or an empty text) of each in `runner_parts`."""
    value = variables.get(VARIABLE)
    for kind in KINDS:
        names = value.get(kind) if isinstance(value, Mapping) else None
        for name in names[:MOST] if isinstance(names, list) else ():
            yield kind, str(name), canonical(kind, str(name))
