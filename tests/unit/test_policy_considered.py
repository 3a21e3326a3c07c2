"""Policy of what was chosen by `consider`: a person always, and dry runs only where harmless."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import policy
from runner.incident import Level, Reason
from runner.policy.considered import MOST, considered, first_look
from tests.policy_case import NOW, case, config, decision, entry, only

WHY = "alertname=\"A\" fails (alertname is 'B')"


def test_what_matches_is_no_matter_of_this_rule() -> None:
    assert list(considered(case())) == list(first_look(case())) == []


def test_it_is_for_a_person_and_says_why() -> None:
    found = only(considered, case(considered=WHY))
    assert (found.rule, found.level) == ("considered", Level.APPROVE)
    assert WHY in found.text


def test_what_a_person_proposed_is_approved_once_its_dry_run_is_seen() -> None:
    found = only(considered, case(proposed=True))
    assert (found.rule, found.level) == ("considered", Level.APPROVE)


EARNED = Reason(rule="earned", level=Level.AUTO, text="It has earned auto.")


@given(
    st.fixed_dictionaries(
        {
            "proposed": st.booleans(),
            "earned": st.sampled_from([None, EARNED]),
            "ceiling": st.just(Level.AUTO),
            "entry": st.sampled_from([entry(), entry(risk="medium")]),
            "variables": st.sampled_from(
                [{"web1": {"runner_level": "auto"}}, {"web1": {}}, {"web1": {}, "web2": {}}]
            ),
            "decisions": st.sampled_from(
                [
                    (decision(),),
                    (decision(decider="user:ann"),),
                    (decision(), decision(decider="model", cited=(1,))),
                ]
            ),
            "evidence": st.just(frozenset({1})),
            "config": st.sampled_from([config(), config(min_confidence=0.0)]),
        }
    ),
    st.sampled_from(list(policy.Moment)[1:3]),
)
def test_nothing_raises_it_above_approve(given: dict[str, Any], moment: policy.Moment) -> None:
    """Invariant 7: earned autonomy, runner_level auto, the entry's level, agreement: none can."""
    without = Level.APPROVE if given["proposed"] else Level.AUTO
    assert policy.judge(case(**given), moment).level is without
    assert policy.judge(case(**given, considered=WHY), moment).level is Level.APPROVE


def test_a_dry_run_that_may_do_something_needs_a_person_first() -> None:
    given = case(considered=WHY, really_done=("Task 'A' really runs", "B", "C", "D"))
    found = only(first_look, given)
    assert (found.rule, found.level, found.until) == ("consent", Level.OBSERVE, None)
    assert "Task 'A' really runs; B; C and 1 more" in found.text
    assert list(first_look(case(considered=WHY, really_done=("x",), proposed=True))) == []
    assert list(first_look(case(considered=None, really_done=("x",)))) == []


@pytest.mark.parametrize(
    ("minutes", "held"),
    [([5, 10], False), ([5, 10, 20], True), ([5, 10, 61], False), ([5, 10, 20, 30], True)],
)
def test_at_most_three_dry_runs_begin_by_themselves_in_an_hour(
    minutes: list[int], held: bool
) -> None:
    starts = tuple(NOW - timedelta(minutes=minute) for minute in minutes)
    given = case(considered=WHY, looks={"web1": starts})
    reasons = list(first_look(given))
    assert bool(reasons) is held
    if held:
        assert (reasons[0].rule, reasons[0].level) == ("dry_run_rate", Level.OBSERVE)
        # When the third newest is an hour old there is room for one.
        assert reasons[0].until == sorted(starts)[-MOST] + timedelta(hours=1)
    assert list(first_look(case(considered=WHY, proposed=True, looks={"web1": starts}))) == []
