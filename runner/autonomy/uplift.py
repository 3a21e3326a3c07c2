"""Uplift: are runs better than waiting? The same alerts, left alone, are the comparison."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median

from runner.autonomy.bounds import interval
from runner.autonomy.record import Clearing, Helps, Spell, Touch, Uplift
from runner.config import UpliftRules
from runner.incident import Labels

#: Two clocks, a scrape and an evaluation may tell the beginning of one firing differently.
TOLERANCE = timedelta(minutes=5)
CONFIDENCE = 0.95


def untouched(spells: Iterable[Spell], touches: Iterable[Touch]) -> list[Spell]:
    """Firings that no run was made for."""
    known = sorted(((touch.at, touch.labels) for touch in touches), key=_time)
    return [
        spell
        for spell in spells
        if not any(
            spell.labels.items() <= labels.items()
            for labels in _between(known, spell.began, spell.began + spell.lasted)
        )
    ]


def joined(seen: Sequence[Spell], watched: Iterable[Spell]) -> tuple[Spell, ...]:
    """Both, without those of `watched` that `seen` has too: Prometheus saw them end itself."""
    known = sorted(((spell.began, spell.labels) for spell in seen), key=_time)
    extra = (
        spell
        for spell in watched
        if not any(
            labels.items() <= spell.labels.items()
            for labels in _between(known, spell.began, spell.began)
        )
    )
    return (*seen, *extra)


def _time(pair: tuple[datetime, Labels]) -> datetime:
    return pair[0]


def _between(
    known: Sequence[tuple[datetime, Labels]], begin: datetime, end: datetime
) -> Iterator[Labels]:
    """Labels of what happened in this time, or right around it."""
    first = bisect_left(known, begin - TOLERANCE, key=_time)
    last = bisect_right(known, end + TOLERANCE, key=_time)
    return (labels for _, labels in known[first:last])


def delay_of(touches: Iterable[Touch]) -> timedelta:
    """How old the alerts were that runs began on: the median."""
    ages = [max(0.0, (touch.at - touch.began).total_seconds()) for touch in touches]
    return timedelta(seconds=median(ages)) if ages else timedelta()


def count(
    spells: Iterable[Spell], delay: timedelta, within: timedelta, *, source: str, at: datetime
) -> Clearing:
    """Of the firings that lasted `delay`, as those did that runs began on: how many then
    ended within `within`. One whose end nobody saw counts only if it lasted longer anyway."""
    cleared = stayed = 0
    for spell in spells:
        if spell.lasted > delay + within:
            stayed += 1
        elif spell.lasted > delay and not spell.open:
            cleared += 1
    return Clearing(
        cleared=cleared, stayed=stayed, delay=delay, within=within, source=source, at=at
    )


def compare(fixed: int, runs: int, clearing: Clearing | None, rules: UpliftRules) -> Uplift:
    """Whether runs end better than firings that are left alone.

    Either side with fewer than `rules.trials` is unknown, and unknown is not `no`.
    """
    left = clearing.cleared + clearing.stayed if clearing is not None else 0
    acted, waited = interval(fixed, runs, CONFIDENCE), (0.0, 1.0)
    if clearing is not None:
        waited = interval(clearing.cleared, left, CONFIDENCE)
    if min(runs, left) < rules.trials:
        helps = Helps.UNKNOWN
    else:
        helps = Helps.YES if acted[0] > waited[1] else Helps.NO
    text = f"fixed {fixed / runs:.0%} of {runs}, " if runs else "never run, "
    if left:
        text += f"baseline {waited[0]:.0%} to {waited[1]:.0%} (of {left} without a run)"
    else:
        text += "baseline unknown"
    return Uplift(helps=helps, text=text, fixed=fixed, runs=runs, clearing=clearing)
