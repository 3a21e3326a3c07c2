"""Answers that must not count: each is tried through the acts and through the web API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from runner import acts
from runner.errors import Refused, RunnerError, UsageError
from runner.incident import Brief, State
from runner.project import Project
from runner.store import incidents, records
from runner.store.tables import approvals
from tests import web_site

BRIEF = Brief(title="Restart", description="Restarts.", risk="low", dry_run="required")

#: Tries to approve a question with a plan hash; returns the sentence that refused it.
Try = Callable[[int, str], str]


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    return web_site.project(tmp_path, web_site.GUARDED)


@pytest.fixture(params=["acts", "web"])
def attempt(opened: Project, request: pytest.FixtureRequest) -> Iterator[Try]:
    """One of the two ways in; anna asks."""
    if request.param == "acts":

        def by_act(question: int, plan: str) -> str:
            with pytest.raises(RunnerError) as caught:
                acts.answer(opened, question, answer="approved", by="user:anna", plan=plan)
            return str(caught.value)

        yield by_act
        opened.close()
        return
    with web_site.site(opened, web_site.ANNA) as client:

        def by_web(question: int, plan: str) -> str:
            given = {"answer": "approved", "plan": plan}
            answer = client.post(f"/api/v1/approvals/{question}", json=given)
            assert answer.status_code in (404, 409, 422), answer.text
            return str(answer.json()["error"])

        yield by_web


def _state(opened: Project, incident: int) -> State:
    with opened.database.read() as tx:
        return incidents.get(tx, incident).state


def _alter(opened: Project, question: int, **columns: object) -> None:
    with opened.database.write() as tx:
        tx.execute(approvals.update().where(approvals.c.id == question).values(**columns))


def test_a_forged_plan_is_refused(opened: Project, attempt: Try) -> None:
    made, question = web_site.waiting(opened)
    assert "another plan" in attempt(question, "a" * 64)
    assert "no approval" in attempt(question + 1, web_site.PLAN)
    assert _state(opened, made) is State.WAITING


def test_an_expired_question_is_refused(opened: Project, attempt: Try) -> None:
    made, question = web_site.waiting(opened)
    _alter(opened, question, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert "expired at" in attempt(question, web_site.PLAN)
    assert _state(opened, made) is State.WAITING  # the daemon ends it, nobody else


def test_a_replayed_answer_is_refused(opened: Project, attempt: Try) -> None:
    made, question = web_site.waiting(opened)
    acts.answer(opened, question, answer="denied", by="user:bob", plan=web_site.PLAN)
    assert "was denied by user:bob" in attempt(question, web_site.PLAN)
    assert _state(opened, made) is State.DENIED


def test_an_answer_for_another_plan_is_refused(opened: Project, attempt: Try) -> None:
    """The hash that was asked about is right, but the incident has another plan by now."""
    made, question = web_site.waiting(opened)
    with opened.database.write() as tx:
        plan = records.plan_of(tx, made)
        assert plan is not None
        records.put_plan(tx, made, replace(plan, hosts=("web-2",), hash="7" * 64))
    for plan_hash in (web_site.PLAN, "7" * 64):
        assert "another plan" in attempt(question, plan_hash)
    assert _state(opened, made) is State.WAITING


def test_a_self_given_answer_is_refused(opened: Project, attempt: Try) -> None:
    made, question = web_site.waiting(opened, by="user:anna")
    assert "another person must approve" in attempt(question, web_site.PLAN)
    assert _state(opened, made) is State.WAITING


def test_the_entry_names_who_may_approve(opened: Project, attempt: Try) -> None:
    """An entry's approvers narrow: a role that may answer is not enough."""
    made, question = web_site.waiting(opened)
    brief = {**vars(BRIEF), "approvers": ["dora"], "record": {**vars(BRIEF.record), "last": []}}
    _alter(opened, question, brief=brief)
    assert "not among the entry's approvers" in attempt(question, web_site.PLAN)
    acts.answer(opened, question, answer="approved", by="user:dora", plan=web_site.PLAN)
    assert _state(opened, made) is State.APPROVED


def test_an_approver_of_the_entry_must_be_one_of_the_configuration_too(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path, web_site.GUARDED, approval={"approvers": ["bob"]})
    _, question = web_site.waiting(opened)
    brief = {**vars(BRIEF), "approvers": ["dora"], "record": {**vars(BRIEF.record), "last": []}}
    _alter(opened, question, brief=brief)
    for by in ("user:bob", "user:dora"):
        with pytest.raises(Refused, match="not among"):
            acts.answer(opened, question, answer="approved", by=by, plan=web_site.PLAN)
    opened.close()


@pytest.mark.parametrize("by", ["anna", "runner", "user:", "user:a\nb", "rules", "model"])
def test_only_a_person_answers(opened: Project, by: str) -> None:
    """Invariant 7: neither the runner nor a model can be the one who approves."""
    _, question = web_site.waiting(opened)
    with pytest.raises(UsageError, match="user:NAME"):
        acts.answer(opened, question, answer="approved", by=by, plan=web_site.PLAN)
    opened.close()


@pytest.mark.parametrize("headers", [{}, web_site.VERA, web_site.ALERTMANAGER])
def test_who_may_not_answer_cannot_forge_an_answer(
    opened: Project, headers: dict[str, str]
) -> None:
    made, question = web_site.waiting(opened)
    with web_site.site(opened, headers) as client:
        given = {"answer": "approved", "plan": web_site.PLAN, "by": "user:anna"}
        answer = client.post(f"/api/v1/approvals/{question}", json=given)
        assert answer.status_code in (401, 403)
        with opened.database.read() as tx:
            row = tx.execute(sa.select(approvals.c.answer)).scalar()
        assert row is None
        assert _state(opened, made) is State.WAITING


def test_nobody_answers_in_the_name_of_another_through_the_api(opened: Project) -> None:
    _, question = web_site.waiting(opened)
    with web_site.site(opened, web_site.ANNA) as client:
        given = {"answer": "approved", "plan": web_site.PLAN, "by": "user:bob"}
        assert client.post(f"/api/v1/approvals/{question}", json=given).status_code == 422
        answer: httpx.Response = client.post(
            f"/api/v1/approvals/{question}", json={"answer": "approved", "plan": web_site.PLAN}
        )
        assert answer.json()["answered_by"] == "user:anna"
