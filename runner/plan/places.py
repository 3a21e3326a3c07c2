"""Where the steps of a plan act: on the target, on a spare, or on a peer that acts for it.

Spares and peers are inventory groups, named by variables of the target. Code picks from
them: by name, and only what is healthy and free. The names become part of the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from runner.catalog import Catalog
from runner.catalog.entry import Entry, Place
from runner.errors import Refused
from runner.inventory import Inventory

#: Variables of the target that name the groups to pick from.
GROUPS: Mapping[str, str] = {"spare": "runner_spares", "peer": "runner_peers"}
#: Hosts of a group that get a dry run, one after another, until one passes.
TRIES = 5

Places = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One step, down to its role: nested plans are laid out."""

    entry: Entry
    place: Place
    may_skip: bool  #: whether the plan goes on when the host cannot be reached


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to fill the places. `number` is stable: the position in the group, from 0."""

    number: int
    places: Places


def in_order(entry: Entry, catalog: Catalog) -> tuple[Placed, ...]:
    """The steps of an entry in order; an ordinary entry is its own only step."""
    if not entry.steps:
        return (Placed(entry=entry, place=entry.target.host, may_skip=False),)
    found: list[Placed] = []
    for step in entry.steps:
        of = catalog.get(step.entry)
        if of.steps:
            found += in_order(of, catalog)
        else:
            place, skip = step.host or of.target.host, step.unreachable == "skip"
            found.append(Placed(entry=of, place=place, may_skip=skip))
    return tuple(found)


def options(
    steps: Collection[Placed],
    target: str,
    inventory: Inventory,
    *,
    healthy: Mapping[str, bool | None] | None,
    busy: Collection[str],
) -> tuple[Option, ...]:
    """Every way to fill the places of these steps, best first; at most `TRIES`.

    A peer that is needed after a spare has joined is that spare: it was verified a moment
    ago. Raises Refused, with what stood against each host, when there is none.
    """
    wanted = [step.place for step in steps if step.place != "target"]
    if not wanted:
        return (Option(number=0, places={"target": target}),)
    free = {
        place: _free(place, target, inventory, healthy, busy)
        for place in dict.fromkeys(wanted)
        if place == wanted[0] or place == "spare"
    }
    found = []
    for number, host in free[wanted[0]][:TRIES]:
        places = {"target": target, wanted[0]: host}
        if "peer" in wanted:
            places.setdefault("peer", host)
        if "spare" in wanted:
            places.setdefault("spare", free["spare"][0][1])
        found.append(Option(number=number, places=places))
    return tuple(found)


def _free(
    place: str,
    target: str,
    inventory: Inventory,
    healthy: Mapping[str, bool | None] | None,
    busy: Collection[str],
) -> list[tuple[int, str]]:
    """(position, host) of every host of the group that may be taken; never none."""
    variable = GROUPS[place]
    group = inventory.hosts[target].variables.get(variable)
    if group is None:
        raise Refused(f"{target} has no inventory variable {variable}, which names its {place}s")
    if not isinstance(group, str) or group not in inventory.groups:
        raise Refused(f"{target}: {variable} is {str(group)[:60]!r}, which is no inventory group")
    found, against = [], []
    for number, host in enumerate(sorted(inventory.groups[group])):
        if host == target:
            against.append(f"{host} is the target itself")
        elif host in busy:
            against.append(f"another run is touching {host}")
        elif healthy is not None and healthy.get(host) is not True:
            against.append(f"{host} is not known to be healthy")
        elif not inventory.exact(host):
            against.append(f"{host} has a name that Ansible may take for something else")
        else:
            found.append((number, host))
    if not found:
        said = "; ".join(against) or "the group is empty"
        raise Refused(f"there is no {place} for {target} in group {group}: {said}")
    return found
