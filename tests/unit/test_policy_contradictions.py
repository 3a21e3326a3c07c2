"""A message that disagrees with itself, or came too late, needs a person."""

from __future__ import annotations

from dataclasses import replace

from runner.incident import Level
from runner.policy import judge
from runner.policy.contradictions import contradictions, late
from tests.policy_case import alert, case, only


def test_a_message_that_contradicts_itself_needs_a_person() -> None:
    """Invariant 8: what a sender writes can only make the runner do less by itself."""
    told = replace(alert(), contradictions=("Its status is firing, but it ended",))
    given = case(alert=told)
    reason = only(contradictions, given)
    assert (reason.level, reason.rule) == (Level.APPROVE, "contradiction")
    assert judge(given).level is Level.APPROVE


def test_a_label_that_names_another_host_needs_a_person() -> None:
    given = case(other_hosts=('The label node="web2" names web2, not web1',))
    assert only(contradictions, given).text == 'The label node="web2" names web2, not web1.'
    assert judge(given).level is Level.APPROVE


def test_a_firing_that_its_end_overtook_needs_a_person() -> None:
    """Invariant 18: without an Alertmanager to ask it is not lost, and runs by no one's word."""
    given = case(alert=replace(alert(), late=True))
    reason = only(late, given)
    assert reason.level is Level.APPROVE
    assert reason.text.endswith("had resolved, and nothing has confirmed it since.")
    assert judge(given).level is Level.APPROVE


def test_a_plain_message_says_nothing() -> None:
    assert [*contradictions(case()), *late(case())] == []


def test_only_a_few_contradictions_are_named() -> None:
    told = replace(alert(), contradictions=tuple(map(str, range(50))))
    assert len(list(contradictions(case(alert=told)))) == 5
