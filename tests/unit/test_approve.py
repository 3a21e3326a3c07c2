"""Whether an answer counts: every way to forge, repeat or delay one fails closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Approval as Settings
from runner.errors import Refused
from runner.incident import Approval
from runner.policy.approve import check, check_four_eyes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = "a" * 64
QUESTION = Approval(
    id=7,
    incident=1,
    plan=PLAN,
    requested_by="user:ann",
    requested_at=NOW - timedelta(minutes=1),
    expires_at=NOW + timedelta(minutes=1),
)


def ask(question: Approval = QUESTION, **changes: Any) -> None:
    options: dict[str, Any] = {
        "by": "user:bob",
        "plan": None,
        "current_plan": PLAN,
        "settings": Settings(),
        "now": NOW,
    }
    check(question, **options | changes)


def test_an_answer_in_time_for_this_plan_counts() -> None:
    ask()
    ask(plan=PLAN, settings=Settings(approvers=("bob",)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"now": NOW + timedelta(minutes=1)}, "expired"),
        ({"plan": "b" * 64}, "another plan"),
        ({"current_plan": "b" * 64}, "another plan"),
        ({"current_plan": ""}, "another plan"),
        ({"settings": Settings(approvers=("carol",))}, "not among approval.approvers"),
    ],
)
def test_a_late_or_foreign_answer_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        ask(**changes)


def test_a_second_answer_is_refused() -> None:
    answered = replace(QUESTION, answer="approved", answered_by="user:carol")
    with pytest.raises(Refused, match="was approved by user:carol"):
        ask(answered)


def test_nobody_approves_what_they_asked_for() -> None:
    with pytest.raises(Refused, match="another person"):
        check_four_eyes(QUESTION, by="user:ann", settings=Settings())
    check_four_eyes(QUESTION, by="user:bob", settings=Settings())
    check_four_eyes(QUESTION, by="user:ann", settings=Settings(four_eyes=False))


@given(plan=st.text(alphabet="abcdef0123456789", min_size=1, max_size=64))
def test_only_the_very_hash_fits(plan: str) -> None:
    if plan != PLAN:
        with pytest.raises(Refused):
            ask(plan=plan)
