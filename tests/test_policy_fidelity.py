"""What the rehearsal adds: it can only lower the level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Policy
from runner.incident import Fidelity, Level, Outcome, Reason, TaskFidelity, Verdict
from runner.policy import judge_rehearsal
from tests.policy_case import entry

AUTO = Verdict(level=Level.AUTO, reasons=())


def fidelity(*kinds: str) -> Fidelity:
    return Fidelity(tasks=tuple(TaskFidelity(task="t", kind=kind, hosts=1) for kind in kinds))


def test_a_rehearsal_that_showed_enough_changes_nothing() -> None:
    shown = fidelity("simulated", "really_ran", "skipped")
    assert judge_rehearsal(AUTO, shown, Outcome.CHANGED, Policy(), entry()) == AUTO


def test_it_asks_when_the_rehearsal_showed_too_little() -> None:
    shown = fidelity("simulated", "skipped", "fed_by_skipped")
    verdict = judge_rehearsal(AUTO, shown, Outcome.CHANGED, Policy(), entry())
    assert verdict.level is Level.APPROVE
    assert verdict.reasons[-1].text == (
        "The rehearsal showed 33% of the tasks (1 skipped, 1 fed by skipped), "
        "policy.min_fidelity is 50%."
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_it_does_not_run_what_did_not_complete_its_rehearsal(outcome: Outcome) -> None:
    """Invariant 9: skipped, tolerated and unknown are not success."""
    verdict = judge_rehearsal(AUTO, fidelity("simulated"), outcome, Policy(), entry())
    assert verdict.level is (Level.AUTO if outcome.completed else Level.REHEARSE)


def test_a_required_rehearsal_must_have_run() -> None:
    assert judge_rehearsal(AUTO, None, None, Policy(), entry()).level is Level.REHEARSE
    excused = entry(rehearsal="none")
    assert judge_rehearsal(AUTO, None, None, Policy(), excused) == AUTO


def test_missing_fidelity_is_not_full_fidelity() -> None:
    """Invariant 10: missing data is unknown, not good."""
    verdict = judge_rehearsal(AUTO, None, Outcome.CHANGED, Policy(), entry())
    assert verdict.level is Level.APPROVE


@given(
    level=st.sampled_from(Level),
    kinds=st.lists(st.sampled_from(["simulated", "skipped", "really_ran", "fed_by_skipped"])),
    outcome=st.none() | st.sampled_from(Outcome),
)
def test_a_rehearsal_never_raises_the_level(
    level: Level, kinds: list[str], outcome: Outcome | None
) -> None:
    before = Verdict(level=level, reasons=(Reason(rule="x", level=level, text="x"),))
    after = judge_rehearsal(before, fidelity(*kinds), outcome, Policy(), entry())
    assert after.level.rank <= level.rank
    assert after.reasons[:1] == before.reasons
