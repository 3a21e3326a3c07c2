"""Entries whose match nearly holds, and which matchers keep them from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.catalog.entry import Entry
from runner.incident import Labels
from runner.text import brief
from runner.text.matcher import Matcher, Matchers

#: Entries that a person is told of; with more, none of them is near.
MOST = 3
_NAME = "alertname"


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    """An entry for alerts of this name, and the matchers that these labels fail."""

    entry: str
    failed: tuple[Matcher, ...]
    labels: Labels
    alternative: int | None = None  #: which of `match`, from 1; None where there is only one
    matchers: Matchers = ()  #: all of that alternative

    @property
    def of_other_alert(self) -> bool:
        """Whether it is the alert's name that fails."""
        return any(matcher.label == _NAME for matcher in self.failed)

    @property
    def why(self) -> str:
        """As in `service!="" fails (the alert has no label service)`."""
        of = f" in alternative {self.alternative} of its `match`" if self.alternative else ""
        reasons = []
        for matcher in self.failed:
            label, value = matcher.label, self.labels.get(matcher.label, "")
            found = f"{label} is {brief(value)!r}" if value else f"the alert has no label {label}"
            reasons.append(f"{matcher} fails ({found})")
        return " and ".join(reasons) + of

    def __str__(self) -> str:
        return f"{self.entry}, where {self.why}"


def near_misses(labels: Labels, entries: Iterable[Entry]) -> tuple[NearMiss, ...]:
    """The entries that speak of this alert name and fail by another label, the nearest first.

    An entry that names no alert is near when a single matcher of it fails.
    """
    found = []
    for entry in entries:
        # What fails the alert's name is about another alert.
        nearest = min(filter(_near, _misses(labels, entry)), key=_distance, default=None)
        if nearest is not None and not entry.eligible(labels):
            found.append(nearest)
    return tuple(sorted(found, key=_distance)[:MOST])


def nearest_miss(labels: Labels, entry: Entry) -> NearMiss | None:
    """The alternative of `match` that these labels come nearest to; None without a `match`, or
    where one fits. One that names the alert is nearer than any that does not."""
    misses = () if entry.eligible(labels) else _misses(labels, entry)
    return min(misses, key=lambda miss: (miss.of_other_alert, *_distance(miss)), default=None)


def _misses(labels: Labels, entry: Entry) -> tuple[NearMiss, ...]:
    several = len(entry.match) > 1
    return tuple(
        NearMiss(
            entry=entry.id,
            failed=tuple(matcher for matcher in matchers if not matcher.matches(labels)),
            labels=labels,
            alternative=number if several else None,
            matchers=matchers,
        )
        for number, matchers in enumerate(entry.match, start=1)
    )


def _distance(miss: NearMiss) -> tuple[int, str, int]:
    return len(miss.failed), miss.entry, miss.alternative or 0


def _near(miss: NearMiss) -> bool:
    if miss.of_other_alert:
        return False
    named = any(matcher.label == _NAME for matcher in miss.matchers)
    return named or (len(miss.failed) == 1 and len(miss.matchers) > 1)
