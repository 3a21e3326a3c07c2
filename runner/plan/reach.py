"""Which plays of a playbook run on which hosts of a plan, and why a playbook is refused for them.

Ansible takes one limit for all plays. So a play that is for none of the plan's hosts would be
left out in silence, a drain before a restart for instance, and one that is for too many would
run on hosts that are in the limit for another play's sake.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator

from runner.catalog.entry import Entry
from runner.catalog.plays import Play
from runner.catalog.scan import Scan
from runner.errors import Refused
from runner.inventory import Inventory
from runner.inventory.excerpt import LOCALHOST

CONTROLLER = "localhost"  #: the machine of the runner, as Ansible calls it
_POSITION = re.compile(r"(.+)\[[-\d:]+\]")
_WILD = re.compile(r"[*?\[]")
_EVERYTHING = ("all", "*")
_NO_GROUPS = frozenset({"all", "ungrouped"})  # that a wildcard never means


def also_of(entry: Entry, inventory: Inventory) -> tuple[str, ...]:
    """Further hosts that plays of the entry run on, sorted."""
    group = entry.target.also.group if entry.target.also else ""
    also = set(inventory.groups.get(group, ()))
    return tuple(sorted(also | ({CONTROLLER} if entry.target.controller else set())))


def refuse_unreached(
    entry: Entry, found: Scan, hosts: Collection[str], inventory: Inventory
) -> None:
    """Raise Refused for a playbook whose plays do not fit these hosts, by the plays' names."""
    plan, also = set(hosts), set(also_of(entry, inventory)) - set(hosts)
    problems, reached = [], set()
    unknown = set(entry.plays.skip) - {play.name for play in found.plays}
    problems += [f"plays.skip names {name!r}, and there is no such play" for name in unknown]
    if (group := entry.target.also) and not inventory.groups.get(group.group):
        problems.append(f"target.also: the inventory has no host in group {group.group!r}")
    for play in found.plays:
        there = hosts_of(play, inventory) & (plan | also)
        reached |= there
        problems += _against(entry, play, there, plan, also, inventory)
    if missed := sorted(plan - reached) if not problems else []:
        problems.append(f"no play is for {', '.join(missed)}")
    if problems:
        raise Refused(f"{entry.id} cannot run on {', '.join(sorted(plan))}: {'; '.join(problems)}")


def hosts_of(play: Play, inventory: Inventory) -> set[str]:
    """The hosts that `hosts` of the play means, in Ansible's order: what is named, then `&`, then
    `!`. Of a position, as in `web[0]`, all that it chooses from."""
    parts = [part for part in play.patterns if part]
    named = [part for part in parts if part[0] not in "&!"]
    found = {host for part in named or ["all"] for host in _members(part, inventory)}
    for part in parts:
        if part[0] == "&":
            found &= _members(part[1:], inventory)
    for part in parts:
        if part[0] == "!":
            # What a position leaves out is not known; none is the larger answer.
            found -= set() if _POSITION.fullmatch(part) else _members(part[1:], inventory)
    return found


def _members(pattern: str, inventory: Inventory) -> set[str]:
    if position := _POSITION.fullmatch(pattern):
        pattern = position[1]
    if pattern in _EVERYTHING:
        return set(inventory.hosts)
    if pattern.startswith("~"):
        try:
            matches = re.compile(pattern[1:]).match
        except re.error:
            return set()  # Ansible says what is wrong with it
        names = [n for n in (*inventory.groups, *inventory.hosts) if matches(n)]
    elif _WILD.search(pattern):
        names = fnmatch.filter((*inventory.groups, *inventory.hosts), pattern)
    else:
        names = [pattern]
        if pattern in LOCALHOST and pattern not in inventory.hosts:
            return {pattern}
    literal = names == [pattern]
    groups = [name for name in names if literal or name not in _NO_GROUPS]
    found = {host for name in groups for host in inventory.groups.get(name, ())}
    return found | {name for name in names if name in inventory.hosts}


def _against(
    entry: Entry,
    play: Play,
    there: Collection[str],
    plan: Collection[str],
    also: Collection[str],
    inventory: Inventory,
) -> Iterator[str]:
    """What speaks against running this play with a limit of `plan` and `also`, a sentence each."""
    named, further = f"the play {play.name!r}", sorted(set(there) - set(plan))
    positions = [part for part in play.patterns if _POSITION.fullmatch(part)]
    if play.name in entry.plays.skip:
        if there:
            yield (
                f"{named} is in plays.skip and would run on {_some(there)} all the same; "
                "leave it out by skip_tags"
            )
        return
    if not there and CONTROLLER in hosts_of(play, inventory):
        yield f"{named} runs on the machine of the runner; allow it with target.controller: true"
    elif not there:
        meant = ",".join(play.patterns)
        yield (
            f"{named} is for {meant}, which is none of these hosts, and would be left out; add its "
            "hosts with target.also, or name it in plays.skip"
        )
    elif further and set(there) & set(plan):
        yield (
            f"{named} is for {_some(set(there) & set(plan))} and would run on {_some(further)} "
            "too, which is in the plan for another play; say in its hosts which it is for"
        )
    elif positions and not hosts_of(play, inventory) <= {*plan, *also}:
        yield f"{named} picks hosts by their position ({positions[0]}), so it may be for others"


def _some(hosts: Iterable[str]) -> str:
    names = sorted(hosts)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
