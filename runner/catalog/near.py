"""Entries whose match nearly holds, and which matchers keep them from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.catalog.entry import Entry
from runner.catalog.matcher import Matcher
from runner.incident import Labels
from runner.text import brief

#: Entries that a person is told of; with more, none of them is near.
MOST = 3
_NAME = "alertname"


@dataclass(frozen=True, kw_only=True)
class NearMiss:
    """An entry for alerts of this name, and the matchers that these labels fail."""

    entry: str
    failed: tuple[Matcher, ...]
    labels: Labels

    @property
    def why(self) -> str:
        """As in `service!="" fails (the alert has no label service)`."""
        reasons = []
        for matcher in self.failed:
            label, value = matcher.label, self.labels.get(matcher.label, "")
            found = f"{label} is {brief(value)!r}" if value else f"the alert has no label {label}"
            reasons.append(f"{matcher} fails ({found})")
        return " and ".join(reasons)

    def __str__(self) -> str:
        return f"{self.entry}, where {self.why}"


def near_misses(labels: Labels, entries: Iterable[Entry]) -> tuple[NearMiss, ...]:
    """The entries that speak of this alert name and fail by another label, the nearest first.

    An entry that names no alert is near when a single matcher of it fails.
    """
    found = []
    for entry in entries:
        failed = tuple(matcher for matcher in entry.match if not matcher.matches(labels))
        named = any(matcher.label == _NAME for matcher in entry.match)
        if any(matcher.label == _NAME for matcher in failed) or not failed:
            continue
        if named or (len(failed) == 1 and len(entry.match) > 1):
            found.append(NearMiss(entry=entry.id, failed=failed, labels=labels))
    return tuple(sorted(found, key=lambda miss: (len(miss.failed), miss.entry))[:MOST])
