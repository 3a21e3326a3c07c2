"""Whoever changes a question locks its incident first, so that no two wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner import acts
from runner.daemon import expire_approvals
from runner.incident import State
from runner.project import Project
from runner.store import incidents, tables
from tests import small_project as small
from tests import web_site
from tests.real_postgres import Server


@pytest.fixture
def project(tmp_path: Path, postgres: Server) -> Iterator[Project]:
    made = small.project(small.make(tmp_path), postgres.new_store())
    yield made
    made.close()


def _answer(project: Project, question: int) -> None:
    acts.answer(project, question, answer="denied", by="user:ann")


def _expire(project: Project, question: int) -> None:
    past = {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}
    with project.database.write() as tx:
        tx.execute(tables.approvals.update().values(past))
    expire_approvals(project)


@pytest.mark.parametrize(("act", "ended"), [(_answer, State.DENIED), (_expire, State.EXPIRED)])
def test_who_waits_for_an_incident_keeps_nobody_from_its_question(
    project: Project, act: Callable[[Project, int], None], ended: State
) -> None:
    """Invariant 22: what ends an incident locks it and then closes its question. One who had
    taken them the other way round would deadlock with it."""
    made, question = web_site.waiting(project)
    errors: list[Exception] = []

    def other() -> None:
        try:
            act(project, question)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    with project.database.write() as tx:
        incidents.lock(tx, made)
        thread.start()
        small.until(lambda: _somebody_waits(project), "the other waits for the incident")
        row = sa.select(tables.approvals.c.id).where(tables.approvals.c.id == question)
        assert tx.execute(row.with_for_update(nowait=True)).scalar_one() == question
    thread.join()
    assert errors == []
    assert small.look(project, made).incident.state is ended


def _somebody_waits(project: Project) -> bool:
    query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    with project.database.read() as tx:
        return bool(tx.execute(sa.text(query)).scalar_one())
