"""A message that disagrees with itself, or with one before it, needs a person."""

from __future__ import annotations

from collections.abc import Iterator

from runner.incident import Level, Reason
from runner.policy.situation import Situation

#: How many are named; one is enough to ask.
_NAMED = 5


def contradictions(situation: Situation) -> Iterator[Reason]:
    """What the message contradicts of itself, and labels that name another host."""
    for sentence in (*situation.alert.contradictions, *situation.other_hosts)[:_NAMED]:
        yield Reason(rule="contradiction", level=Level.APPROVE, text=f"{sentence}.")


def late(situation: Situation) -> Iterator[Reason]:
    """A firing that was told as resolved before, and that Alertmanager did not confirm."""
    if situation.alert.late:
        text = (
            "An earlier message said that this alert had resolved, and nothing has confirmed "
            "it since."
        )
        yield Reason(rule="late", level=Level.APPROVE, text=text)
