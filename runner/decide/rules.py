"""The rules: the most specific entry whose conditions hold. They need no model and no key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.catalog.entry import Entry
from runner.catalog.near import NearMiss
from runner.errors import Refused
from runner.incident import Decision, Labels
from runner.text import promql
from runner.text.matcher import Matchers, rank

DECIDER = "rules"

#: The truth of a PromQL condition: whether it gives a sample; None when that is not known.
Ask = Callable[[str], bool | None]


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    matched: Matchers  #: the alternative of its `match` that counts
    fits: bool
    why: str  #: why not, when it does not fit

    @property
    def rank(self) -> tuple[object, ...]:
        """Greater is more specific."""
        return (*rank(self.matched), len(self.entry.when))


def decide(
    labels: Labels,
    eligible: Iterable[Entry],
    ask: Ask,
    *,
    values: Mapping[str, str] | None = None,
    hosts: Sequence[str] = (),
    near: Sequence[NearMiss] = (),
) -> Decision:
    """The decision of the rules. Its entry is None when nothing fits, or when two fit equally.

    Among the entries whose conditions hold the most specific one wins: by the number of its
    matchers that need their label, then by equalities before patterns before negations, then
    by the number of its conditions. Of several alternatives that match, the most specific one
    counts. A tie is never broken by chance: it is for a person. A condition that is false or not
    known leaves its entry out. `labels` and `values` fill the names in a condition, except
    `$host`, which is each of `hosts` in turn: it must hold for all.
    `near` are the entries to name to a person when none is eligible.
    """
    entries = sorted(eligible, key=lambda entry: entry.id)
    if not entries:
        nearest = f" The nearest is {near[0]}." if near else ""
        return Decision(
            decider=DECIDER,
            entry=None,
            reason=f"No entry of the catalog matches these labels.{nearest}",
            alternatives=tuple((miss.entry, miss.why) for miss in near),
        )
    named = {**labels, **(values or {})}
    candidates = [
        _judge(entry, entry.matched(labels) or (), named, ask, hosts) for entry in entries
    ]
    fitting = [candidate for candidate in candidates if candidate.fits]
    best = max((candidate.rank for candidate in fitting), default=None)
    winners = [candidate for candidate in fitting if candidate.rank == best]
    return _decided(winners, candidates, labels)


def _judge(
    entry: Entry, matched: Matchers, labels: Labels, ask: Ask, hosts: Sequence[str]
) -> _Candidate:
    for condition in entry.when:
        try:
            places = [promql.values(labels, host) for host in hosts or (None,)]
            queries = dict.fromkeys(promql.fill(condition.promql, place) for place in places)
        except Refused as error:
            return _Candidate(entry, matched, False, f"its condition is unknown: {error}")
        for query in queries:
            truth = ask(query)
            if truth is None:
                return _Candidate(entry, matched, False, f"cannot tell whether {query} holds")
            if not truth:
                return _Candidate(entry, matched, False, f"{query} does not hold")
    return _Candidate(entry, matched, True, "")


def _decided(winners: list[_Candidate], candidates: list[_Candidate], labels: Labels) -> Decision:
    won = [winner.entry.id for winner in winners]
    names = " and ".join(won)
    others = []
    for candidate in candidates:
        id = candidate.entry.id
        lost = f"it ties: {names}" if id in won else f"it is less specific than {names}"
        if won != [id]:
            others.append((id, candidate.why or lost))
    if len(winners) != 1:
        none = f"None of {len(candidates)} eligible entries matches."
        tie = f"{names} match equally well; a person must choose, or their `match` must differ."
        return Decision(
            decider=DECIDER,
            entry=None,
            reason=tie if winners else none,
            confidence=0.0 if winners else 1.0,
            alternatives=tuple(others),
        )
    winner, matched = winners[0].entry, winners[0].matched
    # What only asks for the absence of a label says little of why this entry was chosen.
    why = ", ".join(str(matcher) for matcher in matched if matcher.label in labels)
    if len(winner.match) > 1:
        why += f" (alternative {winner.match.index(matched) + 1} of its `match`)"
    why += "".join(f"; {condition.promql} holds" for condition in winner.when)
    return Decision(
        decider=DECIDER,
        entry=winner.id,
        reason=f"{winner.id} matches by {why}.",
        alternatives=tuple(others),
    )
