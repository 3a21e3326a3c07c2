"""Policy of plans with steps: one at a time, and each step after those before it."""

from __future__ import annotations

from typing import Any

import pytest

from runner.incident import Level, Verdict
from runner.policy import Situation, judge_steps, one_after_another, together
from runner.policy.capacity import capacity
from runner.policy.radius import failure_domains
from runner.policy.steps import one_at_a_time
from tests.policy_case import case, entry, only

GROUPS = {
    "all": ("s1", "s2", "s3", "s4", "w1"),
    "storage": ("s1", "s2", "s3"),
    "pool": ("s4",),
    "web": ("w1",),
}
PLACES = {"target": "s1", "spare": "s4", "peer": "s4"}


def step(*hosts: str, serving: tuple[str, ...] = (), **changes: Any) -> Situation:
    given: dict[str, Any] = {
        "hosts": hosts,
        "touched": hosts,
        "serving": frozenset(serving),
        "groups": GROUPS,
        "variables": {
            host: {"runner_min_available": 3} if host in GROUPS["storage"] else {}
            for host in GROUPS["all"]
        },
    }
    return case(**given | changes)


def test_after_the_spare_joined_three_of_three_can_stay() -> None:
    """Invariant 11: each step is judged given the previous ones."""
    retire = step("s4", "s1", serving=("s4",))
    assert "would keep 2 of 3 hosts, needs 3" in [r.text for r in capacity(retire)][-1][:60]
    _, after = one_after_another((step("s4"), retire), PLACES)
    assert [reason.level for reason in capacity(after)] == [Level.AUTO]


def test_a_spare_counts_only_after_its_own_step() -> None:
    before, _ = one_after_another((step("s1"), step("s4")), PLACES)
    assert before.groups["storage"] == GROUPS["storage"]


def test_who_acts_for_another_stays_in_service() -> None:
    variables = {"s1": {"runner_failure_domain": "a"}, "s4": {"runner_failure_domain": "b"}}
    alone = step("s1", "s4", variables=variables)
    assert only(failure_domains, alone).level is Level.DRY_RUN
    assert list(failure_domains(step("s1", "s4", serving=("s4",), variables=variables))) == []


def test_a_second_plan_in_the_group_does_not_start() -> None:
    reason = only(one_at_a_time, step("s2", acting={7: ("s1", "s4")}))
    assert (reason.level, reason.rule) == (Level.DRY_RUN, "one_change")
    assert "Incident 7 is changing group storage now" in reason.text
    assert list(one_at_a_time(step("w1", acting={7: ("s1", "s4")}))) == []


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [
        (["s1"], ["s1", "w1"], "s1"),
        (["s1"], ["s3"], "group storage"),
        (["s1"], ["w1"], ""),  # both are in `all`, which says nothing
        ([], ["w1"], ""),
    ],
)
def test_two_sets_of_hosts_share_a_host_or_a_group(
    some: list[str], others: list[str], shared: str
) -> None:
    assert together(GROUPS, some, others) == shared


def test_a_step_can_only_lower_the_level_and_is_named() -> None:
    whole = Verdict(level=Level.AUTO, reasons=())
    risky = step("s1", entry=entry(risk="high"), variables={h: {} for h in GROUPS["all"]})
    verdict = judge_steps(whole, (risky,))
    assert verdict.level is Level.APPROVE
    assert [reason.text for reason in verdict.reasons] == [
        "Step 1, service_restart: Entry service_restart has high risk."
    ]
    assert judge_steps(Verdict(level=Level.OBSERVE, reasons=()), (risky,)).level is Level.OBSERVE
