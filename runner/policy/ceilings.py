"""Ceilings: what configuration, command line, hosts, entry and history allow at most.

A ceiling always speaks, so that every verdict shows each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.catalog import connections
from runner.incident import Level, Reason
from runner.policy.situation import Situation

VARIABLE = "runner_level"


def configuration(situation: Situation) -> Iterator[Reason]:
    """`level:` of runner.yml."""
    level = situation.config.level
    yield Reason(rule="configuration", level=level, text=_limit(level, "`level:` in runner.yml"))


def command_line(situation: Situation) -> Iterator[Reason]:
    """What the command or the source that brought the incident allows."""
    if situation.ceiling is not Level.AUTO:
        text = _limit(situation.ceiling, "the command line or source")
        yield Reason(rule="command_line", level=situation.ceiling, text=text)


def sender(situation: Situation) -> Iterator[Reason]:
    """`level:` of the other sender that the alert is from, as it is now."""
    if not (name := situation.alert.other_sender):
        return
    found = situation.config.intake.source(name)
    if found is None:
        text = f"Limited to approve: {name} is no longer in intake.sources."
        yield Reason(rule="sender", level=Level.APPROVE, text=text)
    elif found.level is not Level.AUTO:
        text = _limit(found.level, f"`level:` of source {name}")
        yield Reason(rule="sender", level=found.level, text=text)


def entry(situation: Situation) -> Iterator[Reason]:
    """`level:` of entry.yml."""
    level = situation.entry.level
    text = _limit(level, f"`level:` of entry {situation.entry.id}")
    yield Reason(rule="entry", level=level, text=text)


def _limit(level: Level, by: str) -> str:
    return f"No limit by {by}." if level is Level.AUTO else f"Limited to {level} by {by}."


def pause(situation: Situation) -> Iterator[Reason]:
    """`runner pause` makes it observe everywhere."""
    if situation.paused is not None:
        yield Reason(
            rule="pause", level=Level.OBSERVE, text=f"The runner is paused: {situation.paused}."
        )


def earned(situation: Situation) -> Iterator[Reason]:
    """What the history of this entry, alert and environment has earned."""
    if situation.earned is not None:
        yield situation.earned


def hosts(situation: Situation) -> Iterator[Reason]:
    """The least `runner_level` of all hosts within reach."""
    reasons = [_of_host(situation, host) for host in situation.reach]
    said = [reason for reason in reasons if reason is not None]
    if not said:
        text = "No limit: no host within reach sets runner_level."
        yield Reason(rule="hosts", level=Level.AUTO, text=text)
        return
    least = Level.lowest(*(reason.level for reason in said))
    yield from (reason for reason in said if reason.level is least)


def _of_host(situation: Situation, host: str) -> Reason | None:
    if host not in situation.variables:
        text = f"{host} is not in the inventory, so its runner_level is unknown."
        return Reason(rule="hosts", level=Level.APPROVE, text=text)
    if why := connections.of_host(situation.variables[host]):
        return Reason(rule="hosts", level=Level.OBSERVE, text=f"Nothing runs on {host}: {why}.")
    if VARIABLE not in situation.variables[host]:
        return None
    value = situation.variables[host][VARIABLE]
    level = level_of(value)
    if level is None:
        known = ", ".join(Level)
        text = f"{host} sets runner_level to {str(value)[:40]!r}, which is none of {known}."
        return Reason(rule="hosts", level=Level.OBSERVE, text=text)
    return Reason(rule="hosts", level=level, text=_limit(level, f"runner_level of {host}"))


def unread(situation: Situation) -> Iterator[Reason]:
    """What an inventory source that cannot be read may say of a host within reach."""
    for host in situation.reach:
        if text := situation.doubts.get(host):
            yield Reason(rule="inventory", level=Level.APPROVE, text=text)


def level_of(value: Any) -> Level | None:
    """The level that a host's variable names; None when it is none."""
    try:
        return Level(value)
    except ValueError:
        return None
