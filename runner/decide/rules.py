"""The rules: the most specific entry whose conditions hold. They need no model and no key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.catalog.entry import Entry
from runner.catalog.matcher import specificity
from runner.catalog.near import NearMiss
from runner.errors import Refused
from runner.incident import Decision, Labels
from runner.text import promql

DECIDER = "rules"

#: The truth of a PromQL condition: whether it gives a sample; None when that is not known.
Ask = Callable[[str], bool | None]


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    fits: bool
    why: str  #: why not, when it does not fit


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
    by the number of its conditions (`_rank`). A tie is never broken by chance: it is for a
    person. A condition that is false or not known leaves its entry out. `labels` and `values`
    fill the names in a condition, except `$host`, which is each of `hosts` in turn: it must
    hold for all.
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
    candidates = [_judge(entry, named, ask, hosts) for entry in entries]
    fitting = [candidate.entry for candidate in candidates if candidate.fits]
    best = max(map(_rank, fitting), default=None)
    winners = [entry for entry in fitting if _rank(entry) == best]
    return _decided(winners, candidates, labels)


def _rank(entry: Entry) -> tuple[int, tuple[int, ...], int]:
    """Greater is more specific. First count the matchers that need their label: what holds for a
    missing one too only shuts out. A matcher that matches everything does not count at all."""
    needs = sum(not matcher.matches({}) for matcher in entry.match)
    says = sorted(filter(None, map(specificity, entry.match)), reverse=True)
    return needs, tuple(says), len(entry.when)


def _judge(entry: Entry, labels: Labels, ask: Ask, hosts: Sequence[str]) -> _Candidate:
    for condition in entry.when:
        try:
            places = [promql.values(labels, host) for host in hosts or (None,)]
            queries = dict.fromkeys(promql.fill(condition.promql, place) for place in places)
        except Refused as error:
            return _Candidate(entry, False, f"its condition is unknown: {error}")
        for query in queries:
            truth = ask(query)
            if truth is None:
                return _Candidate(entry, False, f"cannot tell whether {query} holds")
            if not truth:
                return _Candidate(entry, False, f"{query} does not hold")
    return _Candidate(entry, True, "")


def _decided(winners: list[Entry], candidates: list[_Candidate], labels: Labels) -> Decision:
    won = [entry.id for entry in winners]
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
    winner = winners[0]
    # What only asks for the absence of a label says little of why this entry was chosen.
    matched = ", ".join(str(matcher) for matcher in winner.match if matcher.label in labels)
    conditions = "".join(f"; {condition.promql} holds" for condition in winner.when)
    return Decision(
        decider=DECIDER,
        entry=winner.id,
        reason=f"{winner.id} matches by {matched}{conditions}.",
        alternatives=tuple(others),
    )
