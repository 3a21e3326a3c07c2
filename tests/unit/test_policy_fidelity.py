"""What the dry run adds: it can only lower the level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Policy
from runner.incident import Fidelity, Level, Outcome, Reason, Shown, TaskFidelity, Verdict
from runner.policy import judge_dry_run
from tests.policy_case import entry

AUTO = Verdict(level=Level.AUTO, reasons=())


def fidelity(*kinds: Shown) -> Fidelity:
    return Fidelity(tasks=tuple(TaskFidelity(task="t", kind=kind, hosts=1) for kind in kinds))


def test_a_dry_run_that_showed_enough_changes_nothing() -> None:
    shown = fidelity(Shown.SHOWN, Shown.STATED, Shown.SKIPPED)
    assert judge_dry_run(AUTO, shown, Outcome.CHANGED, Policy(), entry()) == AUTO


def test_it_asks_when_the_dry_run_showed_too_little() -> None:
    shown = fidelity(Shown.SHOWN, Shown.SKIPPED, Shown.FED_BY_SKIPPED, Shown.READ)
    verdict = judge_dry_run(AUTO, shown, Outcome.CHANGED, Policy(), entry())
    assert verdict.level is Level.APPROVE
    assert verdict.reasons[-1].text == (
        "The dry run showed 33% of the changes (1 skipped, 1 fed by skipped); "
        "policy.min_fidelity is 50%."
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_it_does_not_run_what_did_not_complete_its_dry_run(outcome: Outcome) -> None:
    """Invariant 9: skipped, tolerated and unknown are not success."""
    verdict = judge_dry_run(AUTO, fidelity(Shown.SHOWN), outcome, Policy(), entry())
    assert verdict.level is (Level.AUTO if outcome.completed else Level.DRY_RUN)


def test_what_failed_in_the_dry_run_is_named() -> None:
    said = "a task failed on web1: restart : Restart the unit: no such unit."
    verdict = judge_dry_run(AUTO, fidelity(), Outcome.FAILED, Policy(), entry(), said=said)
    assert verdict.why == f"The dry run ended failed, so the run does not start: {said}"


def test_a_required_dry_run_must_have_run() -> None:
    assert judge_dry_run(AUTO, None, None, Policy(), entry()).level is Level.DRY_RUN
    excused = entry(dry_run="none")
    assert judge_dry_run(AUTO, None, None, Policy(), excused) == AUTO


def test_missing_fidelity_is_not_full_fidelity() -> None:
    """Invariant 10: missing data is unknown, not good."""
    verdict = judge_dry_run(AUTO, None, Outcome.CHANGED, Policy(), entry())
    assert verdict.level is Level.APPROVE


def test_reads_do_not_help_a_change_that_was_not_shown() -> None:
    """Invariant 19: one skipped change among four reads is asked about, not run."""
    shown = fidelity(*[Shown.READ] * 4, Shown.SKIPPED)
    verdict = judge_dry_run(AUTO, shown, Outcome.NO_CHANGE, Policy(), entry())
    assert verdict.level is Level.APPROVE
    assert verdict.reasons[-1].text.startswith("The dry run showed 0% of the changes (1 skipped)")


def test_no_change_at_all_holds_nothing_back() -> None:
    for shown in (fidelity(), fidelity(Shown.READ)):
        assert judge_dry_run(AUTO, shown, Outcome.NO_CHANGE, Policy(), entry()) == AUTO


def test_a_dry_run_that_changed_something_is_told_whatever_the_minimum_is() -> None:
    """Invariant 19: it was made before anybody could see it."""
    shown = fidelity(Shown.SHOWN, Shown.CHANGED_ALREADY)
    settings = Policy(min_fidelity=0)
    verdict = judge_dry_run(AUTO, shown, Outcome.CHANGED, settings, entry())
    assert verdict.level is Level.APPROVE
    assert verdict.reasons[-1].text == (
        "The dry run itself changed something, by t: check_mode: false is for tasks that only read."
    )


@given(
    level=st.sampled_from(Level),
    kinds=st.lists(st.sampled_from(Shown)),
    outcome=st.none() | st.sampled_from(Outcome),
)
def test_a_dry_run_never_raises_the_level(
    level: Level, kinds: list[str], outcome: Outcome | None
) -> None:
    before = Verdict(level=level, reasons=(Reason(rule="x", level=level, text="x"),))
    after = judge_dry_run(before, fidelity(*kinds), outcome, Policy(), entry())
    assert after.level.rank <= level.rank
    assert after.reasons[:1] == before.reasons
