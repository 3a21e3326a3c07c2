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
    yield Reason(
        rule="configuration", level=level, text=f"runner.yml allows {level} for everything."
    )


def command_line(case: Case) -> Iterator[Reason]:
    """What the command or the source that brought the incident allows."""
    yield Reason(
        rule="command_line",
        level=case.ceiling,
        text=f"The command line or source allows {case.ceiling}.",
    )


def entry(case: Case) -> Iterator[Reason]:
    """`level:` of entry.yml."""
    level = case.entry.level
    yield Reason(rule="entry", level=level, text=f"Entry {case.entry.id} allows {level}.")


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
        text = "No host within reach sets runner_level, so the inventory allows auto."
        yield Reason(rule="hosts", level=Level.AUTO, text=text)
        return
    least = Level.lowest(*(reason.level for reason in said))
    yield from (reason for reason in said if reason.level is least)


def _of_host(case: Case, host: str) -> Reason | None:
    if host not in case.variables:
        text = f"{host} is not in the inventory, so what it allows is not known."
        return Reason(rule="hosts", level=Level.APPROVE, text=text)
    if VARIABLE not in case.variables[host]:
        return None
    value = case.variables[host][VARIABLE]
    level = level_of(value)
    if level is None:
        known = ", ".join(Level)
        text = f"{host} sets runner_level to {str(value)[:40]!r}, which is none of {known}."
        return Reason(rule="hosts", level=Level.OBSERVE, text=text)
    return Reason(rule="hosts", level=level, text=f"{host} allows {level} (runner_level).")


def level_of(value: Any) -> Level | None:
    """The level that a host's variable names; None when it is none."""
    try:
        return Level(value)
    except ValueError:
        return None
