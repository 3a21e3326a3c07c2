"""Policy: pure functions from a situation to a verdict. No clock, no files, no network.

A new rule is a function in the file of its family and a line in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from runner.catalog.entry import Entry
from runner.incident import Level, Reason, Verdict
from runner.policy import calendar, ceilings, considered, decision, frequency, radius, steps
from runner.policy.budget import budget
from runner.policy.capacity import capacity
from runner.policy.contradictions import contradictions, late
from runner.policy.cover import judge_cover
from runner.policy.fidelity import judge_dry_run
from runner.policy.radius import measure
from runner.policy.situation import PastRun, Rule, Situation
from runner.policy.steps import one_after_another, together

__all__ = [
    "RULES",
    "TABLE",
    "Against",
    "Late",
    "Moment",
    "PastRun",
    "Row",
    "Rule",
    "Situation",
    "against",
    "judge",
    "judge_cover",
    "judge_dry_run",
    "judge_steps",
    "measure",
    "moment_of",
    "one_after_another",
    "together",
]


class Moment(StrEnum):
    """When a verdict is given. At the start of a run, `against` asks what has come up since."""

    STANDING = "standing"  #: of an entry, without an alert and without hosts
    JUDGE = "judge"  #: of an incident whose hosts are known
    WHOLE = "whole"  #: of a plan whose hosts are chosen when it is made
    STEP = "step"  #: of each step of such a plan, once its hosts are chosen
    APPROACH = "approach"  #: before the dry run of a later step: is it still safe?


class Late(StrEnum):
    """What follows when a rule speaks only at the start of a run; the strongest first."""

    CANCEL = "cancel"  #: somebody lowered a level since: the incident ends with the reason
    HAND_OVER = "hand_over"  #: nothing makes it right again: a person takes over
    WAIT = "wait"  #: it passes with time: wait, and look again
    ASK = "ask"  #: a person decides, unless one has already, knowing of this rule


@dataclass(frozen=True)
class Row:
    """One rule: the moments at which it is asked, and what it means at the start of a run."""

    rule: Rule
    moments: frozenset[Moment]
    late: Late | None  #: None: what it looks at cannot change once the plan is made


def _row(rule: Rule, moments: str, late: Late | None = None) -> Row:
    return Row(rule, frozenset(map(Moment, moments.split())), late)


#: Every rule, with every moment at which it counts. There is no second list.
TABLE: tuple[Row, ...] = (
    _row(ceilings.configuration, "standing judge whole", Late.CANCEL),
    _row(ceilings.command_line, "judge whole", Late.CANCEL),
    _row(ceilings.sender, "judge whole", Late.CANCEL),
    _row(ceilings.hosts, "judge step approach", Late.CANCEL),
    _row(ceilings.unread, "judge step approach", Late.ASK),
    _row(ceilings.entry, "standing judge whole step", Late.CANCEL),
    _row(ceilings.earned, "standing judge whole", Late.ASK),
    _row(ceilings.pause, "standing judge whole", Late.CANCEL),
    _row(decision.chosen, "judge whole"),
    _row(considered.considered, "judge whole"),
    _row(considered.first_look, "judge whole"),
    _row(decision.confidence, "judge whole"),
    _row(decision.agreement, "judge whole"),
    _row(decision.grounded, "judge whole"),
    _row(decision.suspicion, "judge whole"),
    _row(decision.scope, "judge whole"),
    _row(decision.risk, "standing judge whole step"),
    _row(decision.unverified, "standing judge whole"),
    _row(decision.alert_age, "judge whole"),
    _row(contradictions, "judge whole"),
    _row(late, "judge whole"),
    _row(radius.max_hosts, "judge step approach", Late.HAND_OVER),
    _row(radius.failure_domains, "judge step approach", Late.HAND_OVER),
    _row(radius.unknown_radius, "standing judge step"),
    _row(radius.controller, "standing judge whole step"),
    _row(capacity, "judge step approach", Late.WAIT),
    _row(steps.one_at_a_time, "judge step", Late.WAIT),
    _row(frequency.cooldown, "judge step", Late.WAIT),
    _row(frequency.entry_rate, "standing judge step", Late.WAIT),
    _row(frequency.global_rate, "standing judge whole", Late.WAIT),
    _row(frequency.host_rate, "judge step", Late.WAIT),
    _row(frequency.part_rate, "judge step", Late.WAIT),
    _row(frequency.breaker, "standing judge step", Late.ASK),
    _row(budget, "judge whole", Late.ASK),
    _row(calendar.freeze, "standing judge whole", Late.WAIT),
)

#: The rules of an ordinary verdict.
RULES: tuple[Rule, ...] = tuple(row.rule for row in TABLE if Moment.JUDGE in row.moments)


def moment_of(entry: Entry) -> Moment:
    """When the verdict of an incident with this entry is given. Where a placed entry acts is
    only known when its plan is made: its steps are judged then."""
    return Moment.WHOLE if entry.placed else Moment.JUDGE


def judge(situation: Situation, moment: Moment = Moment.JUDGE) -> Verdict:
    """The least level that any rule of this moment grants, with every reason in their order."""
    return verdict_of(situation, (row.rule for row in TABLE if moment in row.moments))


def verdict_of(situation: Situation, rules: Iterable[Rule]) -> Verdict:
    """The least level that any of `rules` grants, with every reason in their order."""
    reasons = tuple(reason for rule in rules for reason in rule(situation))
    return Verdict(level=Level.lowest(*(reason.level for reason in reasons)), reasons=reasons)


def judge_steps(verdict: Verdict, situations: Sequence[Situation]) -> Verdict:
    """`verdict` with every reason for which a step holds the plan back; never a higher level."""
    added = [
        replace(reason, text=f"Step {number}, {situation.entry.id}: {reason.text}")
        for number, situation in enumerate(situations, start=1)
        for reason in judge(situation, Moment.STEP).reasons
        if reason.level is not Level.AUTO
    ]
    level = Level.lowest(verdict.level, *(reason.level for reason in added))
    return Verdict(level=level, reasons=(*verdict.reasons, *added))


@dataclass(frozen=True)
class Against:
    """What stands against a run at the moment of its start, and what follows from it."""

    late: Late
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        return " ".join(reason.text for reason in self.reasons)


def against(situation: Situation, shown: Collection[str] | None) -> Against | None:
    """What stands against starting now; None when nothing does.

    A person's approval overrides the rules that were `shown` with the question (None: every
    rule), and no level below `approve`. An incident at `auto` was shown to nobody.
    """
    found = []
    for row in TABLE:
        if row.late is None:
            continue
        for reason in row.rule(situation):
            seen = shown is None or reason.rule in shown
            if reason.level is not Level.AUTO and not (seen and reason.level is Level.APPROVE):
                found.append((row.late, reason))
    for consequence in Late:
        if reasons := tuple(reason for what, reason in found if what is consequence):
            return Against(consequence, reasons)
    return None
