"""Capacity: how many healthy hosts of each group must be left (invariant 11).

`runner_min_available` is a count, a share such as `50%`, or a mapping of group to
either. In its plain form it holds for every group whose hosts all carry it, which
is what `group_vars/GROUP` gives; the mapping names its group exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from runner.incident import GroupReach, Level, Reason
from runner.policy.situation import Situation

VARIABLE = "runner_min_available"
EVERYTHING = "all"
GREYLIST = "greylisted"  #: a group of the inventory
GREYLISTED = "runner_greylisted"  #: a variable that says the same of one host
NOT_SERVING = frozenset({GREYLIST, "ungrouped"})  #: groups that say nothing of a service
_SHARE = re.compile(r"(\d{1,3})\s*%")
_COUNT = re.compile(r"\d{1,6}")


def capacity(situation: Situation) -> Iterator[Reason]:
    """A run that would leave too few healthy hosts of a group does not start."""
    reached, problems = reaches(situation)
    yield from problems
    bound = {host for reach in reached if reach.needed is not None for host in reach.touched}
    asking = [host for host in situation.affected if VARIABLE in situation.variables.get(host, {})]
    if not problems and (loose := [host for host in asking if host not in bound]):
        text = (
            f"{', '.join(loose)} set {VARIABLE}, but no group has it on all its hosts, "
            "so capacity is not known."
        )
        yield Reason(rule="capacity", level=Level.APPROVE, text=text)
    if bound and situation.healthy is None:
        yield Reason(
            rule="capacity",
            level=Level.AUTO,
            text="No health source is configured: only hosts of runs in flight and greylisted "
            "hosts count as gone.",
        )
    for reach in reached:
        if reach.short():
            text = (
                f"Group {reach.group} would keep {reach.left} of {reach.size} hosts, needs "
                f"{reach.needed}: {len(reach.touched)} in this run, {reach.busy} in other runs, "
                f"{reach.sick} unhealthy or of unknown health, {reach.grey} greylisted."
            )
            yield Reason(rule="capacity", level=Level.DRY_RUN, text=text)


def reaches(situation: Situation) -> tuple[list[GroupReach], list[Reason]]:
    """What the run takes from each group that it touches, and what is wrong with a minimum."""
    found, problems = [], []
    for name, hosts in sorted(situation.groups.items()):
        members = frozenset(hosts)
        if name in NOT_SERVING or not members & set(situation.affected):
            continue
        minimum, problem = _minimum(situation, name, members)
        problems += [problem] if problem else []
        found.append(_reach(situation, name, members, minimum))
    # Without `all` where a group that says what it is says the same: as large, as much needed.
    named = [(reach.size, reach.needed) for reach in found if reach.group != EVERYTHING]
    said = [
        reach
        for reach in found
        if reach.group != EVERYTHING or (reach.size, reach.needed) not in named
    ]
    return said, problems


def greylisted(situation: Situation) -> frozenset[str]:
    """Hosts with early signs: they are in service, but nobody counts on them."""
    marked = {
        host
        for host, variables in situation.variables.items()
        if variables.get(GREYLISTED, False) not in (False, None, "", "false", "no", 0)
    }
    return frozenset(marked | set(situation.groups.get(GREYLIST, ())))


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


def _minimum(
    situation: Situation, group: str, members: frozenset[str]
) -> tuple[int | None, Reason | None]:
    """(how many hosts of the group must stay, or None; what is wrong with what it asks)."""
    given, named = [], False
    for host in sorted(members):
        value = situation.variables.get(host, {}).get(VARIABLE)
        if isinstance(value, dict):
            named = named or group in value
            value = value.get(group)
        if value is not None:
            given.append(value)
    if not given or (len(given) < len(members) and not named):
        return None, None
    counts = [needed(value, len(members)) for value in given]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        text = (
            f"{VARIABLE} of group {group} is {str(given[counts.index(None)])[:40]!r}; "
            "write a count such as 2 or a share such as 50%."
        )
        return None, Reason(rule="capacity", level=Level.DRY_RUN, text=text)
    return max(known), None


def _reach(
    situation: Situation, group: str, members: frozenset[str], minimum: int | None
) -> GroupReach:
    health = situation.healthy or {}
    touched = members & set(situation.affected)
    sick = {h for h in members if situation.healthy is not None and health.get(h) is not True}
    busy = members & situation.busy
    grey = members & greylisted(situation)
    staying = members - touched - sick - busy - grey if minimum is not None else ()
    return GroupReach(
        group=group,
        size=len(members),
        touched=tuple(sorted(touched)),
        staying=tuple(sorted(staying)),
        needed=minimum,
        # What is broken already cannot be taken away.
        takes=any(health.get(host) is not False for host in touched),
        busy=len(busy),
        sick=len(sick),
        grey=len(grey),
    )
