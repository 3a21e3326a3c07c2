"""Ceilings: what configuration, command line, hosts, entry and history allow at most.

A ceiling always speaks, so that every verdict shows each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.incident import Level, Reason
from runner.policy.case import Case

VARIABLE = "runner_level"


def configuration(case: Case) -> Iterator[Reason]:
    """`level:` of runner.yml."""
    level = case.config.level
    yield Reason(rule="configuration", level=level, text=_limit(level, "`level:` in runner.yml"))


def command_line(case: Case) -> Iterator[Reason]:
    """What the command or the source that brought the incident allows."""
    if case.ceiling is not Level.AUTO:
        text = _limit(case.ceiling, "the command line or source")
        yield Reason(rule="command_line", level=case.ceiling, text=text)


def entry(case: Case) -> Iterator[Reason]:
    """`level:` of entry.yml."""
    level = case.entry.level
    text = _limit(level, f"`level:` of entry {case.entry.id}")
    yield Reason(rule="entry", level=level, text=text)


def _limit(level: Level, by: str) -> str:
    return f"No limit by {by}." if level is Level.AUTO else f"Limited to {level} by {by}."


def pause(case: Case) -> Iterator[Reason]:
    """`runner pause` makes it observe everywhere."""
    if case.paused is not None:
        yield Reason(
            rule="pause", level=Level.OBSERVE, text=f"The runner is paused: {case.paused}."
        )


def earned(case: Case) -> Iterator[Reason]:
    """What the history of this entry, alert and environment has earned."""
    if case.earned is not None:
        yield case.earned


def hosts(case: Case) -> Iterator[Reason]:
    """The least `runner_level` of all hosts within reach."""
    reasons = [_of_host(case, host) for host in case.reach]
    said = [reason for reason in reasons if reason is not None]
    if not said:
        text = "No limit: no host within reach sets runner_level."
        yield Reason(rule="hosts", level=Level.AUTO, text=text)
        return
    least = Level.lowest(*(reason.level for reason in said))
    yield from (reason for reason in said if reason.level is least)


def _of_host(case: Case, host: str) -> Reason | None:
    if host not in case.variables:
        text = f"{host} is not in the inventory, so its runner_level is unknown."
        return Reason(rule="hosts", level=Level.APPROVE, text=text)
    if VARIABLE not in case.variables[host]:
        return None
    value = case.variables[host][VARIABLE]
    level = level_of(value)
    if level is None:
        known = ", ".join(Level)
        text = f"{host} sets runner_level to {str(value)[:40]!r}, which is none of {known}."
        return Reason(rule="hosts", level=Level.OBSERVE, text=text)
    return Reason(rule="hosts", level=level, text=_limit(level, f"runner_level of {host}"))


def level_of(value: Any) -> Level | None:
    """The level that a host's variable names; None when it is none."""
    try:
        return Level(value)
    except ValueError:
        return None
