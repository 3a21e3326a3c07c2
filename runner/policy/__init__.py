"""Policy: pure functions from a case to a verdict. No clock, no files, no network.

A new rule is a function in the file of its family and a line in `RULES`.
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.incident import Level, Verdict
from runner.policy import calendar, ceilings, decision, frequency, radius
from runner.policy.budget import budget
from runner.policy.capacity import capacity
from runner.policy.case import Case, PastRun, Rule
from runner.policy.fidelity import judge_rehearsal
from runner.policy.radius import measure

__all__ = [
    "RADIUS",
    "RULES",
    "STANDING",
    "Case",
    "PastRun",
    "Rule",
    "judge",
    "judge_rehearsal",
    "measure",
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
    radius.max_hosts,
    radius.failure_domains,
    radius.unknown_radius,
    capacity,
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


def judge(case: Case, rules: Iterable[Rule] = RULES) -> Verdict:
    """The least level that any rule grants, with every reason in the order of `rules`."""
    reasons = tuple(reason for rule in rules for reason in rule(case))
    return Verdict(level=Level.lowest(*(reason.level for reason in reasons)), reasons=reasons)
