"""Plans that act in steps, or for another host: one at a time, each step after those before it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from runner.incident import Level, Reason
from runner.policy.capacity import GREYLIST, VARIABLE
from runner.policy.situation import Situation

#: Groups that hold hosts of any kind, so that sharing one says nothing.
_OF_ANY_KIND = frozenset({"all", "ungrouped", GREYLIST})
#: How long a plan waits before it looks whether the other one has ended: nobody knows when.
LOOK_AGAIN = timedelta(minutes=5)


def one_at_a_time(situation: Situation) -> Iterator[Reason]:
    """While a plan with places is carried out in a group, no second one starts there."""
    for incident, hosts in sorted(situation.acting.items()):
        if shared := together(situation.groups, situation.reach, hosts):
            text = f"Incident {incident} is changing {shared} now; one change at a time."
            until = situation.now + LOOK_AGAIN
            yield Reason(rule="one_change", level=Level.DRY_RUN, text=text, until=until)


def together(
    groups: Mapping[str, tuple[str, ...]], some: Collection[str], others: Collection[str]
) -> str:
    """What two sets of hosts have in common, for a person: hosts or a group; empty for nothing."""
    if both := sorted(set(some) & set(others)):
        return ", ".join(both)
    for name, members in sorted(groups.items()):
        within = set(members)
        if name not in _OF_ANY_KIND and within & set(some) and within & set(others):
            return f"group {name}"
    return ""


def one_after_another(
    situations: tuple[Situation, ...], places: Mapping[str, str]
) -> tuple[Situation, ...]:
    """Each step's situation as it is once the steps before it have done their work.

    A spare that an earlier step brought in serves in every group of the target from then on:
    had it not been verified there, the later step would not be started.
    """
    spare, target = places.get("spare"), places.get("target")
    if spare is None or target is None:
        return situations
    found, joined = [], False
    for situation in situations:
        found.append(_with(situation, spare, target) if joined else situation)
        joined = joined or spare in situation.affected
    return tuple(found)


def _with(situation: Situation, spare: str, target: str) -> Situation:
    groups = {
        name: (*hosts, spare) if target in hosts and spare not in hosts else hosts
        for name, hosts in situation.groups.items()
    }
    own = situation.variables.get(spare, {})
    same = {VARIABLE: situation.variables.get(target, {}).get(VARIABLE)}
    inherited = {name: value for name, value in same.items() if value is not None}
    variables = {**situation.variables, spare: {**inherited, **own}}
    healthy = situation.healthy if situation.healthy is None else {**situation.healthy, spare: True}
    return replace(situation, groups=groups, variables=variables, healthy=healthy)
