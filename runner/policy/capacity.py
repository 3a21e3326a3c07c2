"""Capacity: how many healthy hosts of each group must be left (invariant 11).

`runner_min_available` is a count, a share such as `50%`, or a mapping of group to
either. In its plain form it holds for every group whose hosts all carry it, which
is what `group_vars/GROUP` gives; the mapping names its group exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runner.incident import Level, Reason
from runner.policy.case import Case

VARIABLE = "runner_min_available"
GREYLIST = "greylisted"
_NOT_SERVING = frozenset({GREYLIST, "ungrouped"})  #: groups that say nothing of a service
_SHARE = re.compile(r"(\d{1,3})\s*%")
_COUNT = re.compile(r"\d{1,6}")


@dataclass(frozen=True)
class _Group:
    """A group that must keep `needed` of its `members` in service."""

    name: str
    members: frozenset[str]
    needed: int


def capacity(case: Case) -> Iterator[Reason]:
    """A run that would leave too few healthy hosts of a group does not start."""
    groups, problems = _groups(case)
    yield from problems
    asking = [host for host in case.affected if VARIABLE in case.variables.get(host, {})]
    bound = {host for group in groups for host in group.members}
    if not problems and (loose := [host for host in asking if host not in bound]):
        yield _loose(loose)
    if groups and case.healthy is None:
        yield Reason(
            rule="capacity",
            level=Level.AUTO,
            text="No health source is configured: only hosts of runs in flight and greylisted "
            "hosts count as gone.",
        )
    for group in groups:
        yield from _shortage(case, group)


def needed(value: Any, size: int) -> int | None:
    """How many of `size` hosts `runner_min_available: value` keeps; None if it is neither form."""
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    if _COUNT.fullmatch(text):
        return int(text)
    share = _SHARE.fullmatch(text)
    if share is None or int(share[1]) > 100:
        return None
    return math.ceil(size * int(share[1]) / 100)


def _groups(case: Case) -> tuple[list[_Group], list[Reason]]:
    reach, found, problems = set(case.affected), [], []
    for name, hosts in sorted(case.groups.items()):
        members = frozenset(hosts)
        if name in _NOT_SERVING or not members & reach:
            continue
        values = [_asked(case, host, name) for host in sorted(members)]
        given = [value for value in values if value is not None]
        if not given or (len(given) < len(members) and not _named(case, members, name)):
            continue
        counts = [needed(value, len(members)) for value in given]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            problems.append(_unreadable(name, given[counts.index(None)]))
        else:
            found.append(_Group(name, members, max(known)))
    return found, problems


def _asked(case: Case, host: str, group: str) -> Any:
    """What `host` asks for `group`; None when it asks nothing."""
    value = case.variables.get(host, {}).get(VARIABLE)
    return value.get(group) if isinstance(value, dict) else value


def _named(case: Case, members: frozenset[str], group: str) -> bool:
    values = (case.variables.get(host, {}).get(VARIABLE) for host in members)
    return any(isinstance(value, dict) and group in value for value in values)


def _shortage(case: Case, group: _Group) -> Iterator[Reason]:
    """A reason if the run takes a serving host of `group` and too few are left."""
    health = case.healthy or {}
    taken = group.members & set(case.affected)
    if all(health.get(host) is False for host in taken):
        return  # what is broken already cannot be taken away
    sick = {h for h in group.members if case.healthy is not None and health.get(h) is not True}
    busy = group.members & case.busy
    grey = group.members & set(case.groups.get(GREYLIST, ()))
    left = len(group.members - taken - sick - busy - grey)
    if left < group.needed:
        yield Reason(
            rule="capacity",
            level=Level.REHEARSE,
            text=f"Group {group.name} would keep {left} of {len(group.members)} hosts, needs "
            f"{group.needed}: {len(taken)} in this run, {len(busy)} in other runs, "
            f"{len(sick)} unhealthy or of unknown health, {len(grey)} greylisted.",
        )


def _unreadable(group: str, value: Any) -> Reason:
    text = (
        f"{VARIABLE} of group {group} is {str(value)[:40]!r}; "
        "write a count such as 2 or a share such as 50%."
    )
    return Reason(rule="capacity", level=Level.REHEARSE, text=text)


def _loose(hosts: list[str]) -> Reason:
    text = (
        f"{', '.join(hosts)} set {VARIABLE}, but no group has it on all its hosts, "
        "so capacity is not known."
    )
    return Reason(rule="capacity", level=Level.APPROVE, text=text)
