"""The decision itself: is it sure, agreed, grounded, harmless and about now?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from runner.incident import Level, Reason
from runner.incident.firing import CLOCK_SKEW
from runner.policy.situation import Situation
from runner.text.duration import write


def chosen(situation: Situation) -> Iterator[Reason]:
    """Somebody must have chosen this entry."""
    if all(decision.entry != situation.entry.id for decision in situation.decisions):
        text = f"No decision chose {situation.entry.id}."
        yield Reason(rule="decision", level=Level.OBSERVE, text=text)


def confidence(situation: Situation) -> Iterator[Reason]:
    """Every decider must be sure enough."""
    wanted = situation.config.policy.min_confidence
    for decision in situation.decisions:
        if not decision.confidence >= wanted:  # also true of NaN
            text = (
                f"{decision.decider} is {decision.confidence:.2f} confident; "
                f"policy.min_confidence is {wanted:.2f}."
            )
            yield Reason(rule="confidence", level=Level.APPROVE, text=text)


def agreement(situation: Situation) -> Iterator[Reason]:
    """Deciders that differ on the entry, or on a value that both gave, need a person."""
    answers = {decision.entry for decision in situation.decisions}
    if len(answers) > 1:
        said = ", ".join(f"{d.decider} chose {d.entry or 'none'}" for d in situation.decisions)
        text = f"The deciders disagree: {said}."
        yield Reason(rule="disagreement", level=Level.APPROVE, text=text)
        return
    first: dict[str, object] = {}
    differing = set()
    for decision in situation.decisions:
        for name, value in decision.values.items():
            if first.setdefault(name, value) != value:
                differing.add(name)
    if names := sorted(differing):
        text = f"The deciders disagree about {', '.join(names)}."
        yield Reason(rule="disagreement", level=Level.APPROVE, text=text)


def grounded(situation: Situation) -> Iterator[Reason]:
    """Cited evidence must exist, and the model must cite some."""
    for decision in situation.decisions:
        missing = sorted(set(decision.cited) - situation.evidence)
        if missing:
            numbers = ", ".join(str(number) for number in missing[:10])
            text = f"{decision.decider} cites evidence that does not exist: {numbers}."
            yield Reason(rule="citation", level=Level.APPROVE, text=text)
        if decision.decider == "model" and decision.entry and not decision.cited:
            text = "The model cites no evidence for its choice."
            yield Reason(rule="citation", level=Level.APPROVE, text=text)


def suspicion(situation: Situation) -> Iterator[Reason]:
    """Text that may have steered the model needs a person, who is also told (invariant 8)."""
    for sentence in situation.suspicions[:5]:
        text = f"Some text may be meant to steer the model: {sentence}."
        yield Reason(rule="injection", level=Level.APPROVE, text=text)


def scope(situation: Situation) -> Iterator[Reason]:
    """A decider that chose only some of the hosts, or others, disagrees about the scope."""
    for decision in situation.decisions:
        chosen = set(decision.hosts)
        if decision.entry == situation.entry.id and chosen and chosen != set(situation.hosts):
            hosts = ", ".join(sorted(chosen))
            text = (
                f"{decision.decider} chose {hosts} only, of {', '.join(sorted(situation.hosts))}."
            )
            yield Reason(rule="scope", level=Level.APPROVE, text=text)


def risk(situation: Situation) -> Iterator[Reason]:
    """An entry of high risk always asks a person."""
    if situation.entry.risk == "high":
        text = f"Entry {situation.entry.id} has high risk."
        yield Reason(rule="risk", level=Level.APPROVE, text=text)


def unverified(situation: Situation) -> Iterator[Reason]:
    """Where nothing shows afterwards whether it helped, a person decides before."""
    entry = situation.entry
    if entry.kind == "remediation" and not entry.verify.checks:
        text = f"Entry {entry.id} has no checks (verify.checks), so nothing shows whether it helps."
        yield Reason(rule="unverified", level=Level.APPROVE, text=text)


def alert_age(situation: Situation) -> Iterator[Reason]:
    """What began long ago, or has not begun yet, is not what the entry was made for."""
    age, oldest = situation.now - situation.alert.starts_at, situation.config.policy.max_alert_age
    if age > oldest:
        text = f"The alert began {_hours(age)} ago; policy.max_alert_age is {write(oldest)}."
        yield Reason(rule="alert_age", level=Level.APPROVE, text=text)
    if -age > CLOCK_SKEW:
        text = f"The alert begins {_hours(-age)} from now: two clocks differ."
        yield Reason(rule="alert_age", level=Level.APPROVE, text=text)


def _hours(age: timedelta) -> str:
    """To the minute, and in years where days would be silly (year-0001 timestamps)."""
    if age > timedelta(days=3650):
        return f"{age.days // 365} years"
    return write(timedelta(minutes=int(age.total_seconds() // 60)))
