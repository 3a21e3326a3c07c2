"""Policy: pure functions from a case to a verdict. No clock, no files, no network.

A new rule is a function in the file of its family and a line in `RULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from runner.catalog.entry import Entry
from runner.incident import Level, Verdict
from runner.policy import calendar, ceilings, decision, frequency, radius, steps
from runner.policy.budget import budget
from runner.policy.capacity import capacity
from runner.policy.case import Case, PastRun, Rule
from runner.policy.contradictions import contradictions, late
from runner.policy.fidelity import judge_rehearsal
from runner.policy.radius import measure
from runner.policy.steps import one_after_another, together

__all__ = [
    "MIDWAY",
    "OF_THE_WHOLE",
    "RADIUS",
    "RULES",
    "STANDING",
    "Case",
    "PastRun",
    "Rule",
    "judge",
    "judge_rehearsal",
    "judge_steps",
    "measure",
    "one_after_another",
    "rules_for",
    "together",
]

RULES: tuple[Rule, ...] = (
    ceilings.configuration,
    ceilings.command_line,
    ceilings.hosts,
    ceilings.entry,
    ceilings.earned,
    ceilings.pause,
    decision.chosen,
    decision.confidence,
    decision.agreement,
    decision.grounded,
    decision.suspicion,
    decision.scope,
    decision.risk,
    decision.alert_age,
    contradictions,
    late,
    radius.max_hosts,
    radius.failure_domains,
    radius.unknown_radius,
    capacity,
    steps.one_at_a_time,
    frequency.cooldown,
    frequency.entry_rate,
    frequency.global_rate,
    frequency.breaker,
    budget,
    calendar.freeze,
)

#: What may have changed between the verdict and the run: looked at once more right before it.
RADIUS: tuple[Rule, ...] = (radius.max_hosts, radius.failure_domains, capacity)

#: What can be said of an entry without an alert and without hosts.
STANDING: tuple[Rule, ...] = (
    ceilings.configuration,
    ceilings.entry,
    ceilings.earned,
    ceilings.pause,
    decision.risk,
    radius.unknown_radius,
    frequency.entry_rate,
    frequency.global_rate,
    frequency.breaker,
    calendar.freeze,
)

#: Rules about the very hosts of a run: each step of a plan is judged by them.
OF_A_STEP: tuple[Rule, ...] = (
    ceilings.hosts,
    ceilings.entry,
    decision.risk,
    radius.max_hosts,
    radius.failure_domains,
    radius.unknown_radius,
    capacity,
    steps.one_at_a_time,
    frequency.cooldown,
    frequency.entry_rate,
    frequency.breaker,
)
#: Rules about a plan whose hosts are not chosen yet.
OF_THE_WHOLE: tuple[Rule, ...] = (
    ceilings.entry,
    decision.risk,
    *(rule for rule in RULES if rule not in OF_A_STEP),
)
#: Rules that are asked again right before a later step: half a plan is stopped by what makes
#: it unsafe, not by what counts how often something begins.
MIDWAY: tuple[Rule, ...] = (ceilings.hosts, radius.max_hosts, radius.failure_domains, capacity)


def rules_for(entry: Entry) -> tuple[Rule, ...]:
    """The rules of a verdict. Where a placed entry acts is only known when its plan is made:
    its steps are judged then."""
    return OF_THE_WHOLE if entry.placed else RULES


def judge(case: Case, rules: Iterable[Rule] = RULES) -> Verdict:
    """The least level that any rule grants, with every reason in the order of `rules`."""
    reasons = tuple(reason for rule in rules for reason in rule(case))
    return Verdict(level=Level.lowest(*(reason.level for reason in reasons)), reasons=reasons)


def judge_steps(verdict: Verdict, cases: Sequence[Case]) -> Verdict:
    """`verdict` with every reason for which a step holds the plan back; never a higher level."""
    added = [
        replace(reason, text=f"Step {number}, {case.entry.id}: {reason.text}")
        for number, case in enumerate(cases, start=1)
        for reason in judge(case, OF_A_STEP).reasons
        if reason.level is not Level.AUTO
    ]
    level = Level.lowest(verdict.level, *(reason.level for reason in added))
    return Verdict(level=level, reasons=(*verdict.reasons, *added))
