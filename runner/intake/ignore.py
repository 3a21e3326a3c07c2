"""Alerts that nobody is told of: `ignore:` in runner.yml."""

from __future__ import annotations

from collections.abc import Sequence

from runner.incident import Labels
from runner.store.order import Urgency, highest_urgency_of
from runner.text.matcher import all_match, parse_alternatives


def ignored_by(labels: Labels, ignore: Sequence[str | Sequence[str]]) -> str | None:
    """The matchers of the first item that covers an alert with these labels, as a text.

    None where none does, and for whatever is critical by its severity or its priority: a wide
    matcher must not silence a page.
    """
    if highest_urgency_of(labels) is Urgency.CRITICAL:
        return None
    for item in ignore:
        (matchers,) = parse_alternatives([item] if isinstance(item, str) else item)
        if all_match(matchers, labels):
            return ", ".join(map(str, matchers))
    return None
