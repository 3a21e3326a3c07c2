"""Autonomy with the real engine and real Ansible: earned by one fix, lost by one failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.incident import Level, State
from runner.project import Project
from runner.store import audit_log
from tests import small_project as small

pytestmark = pytest.mark.real

RUNG = {"count": 1, "bound": 0.1}
AUTONOMY = {"earn": True, "start": "approve", "dry_run": RUNG, "approve": RUNG, "auto": RUNG}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    extra = f"test ! -e {tmp_path}/broken"
    path = small.make(
        tmp_path, settings={"autonomy": AUTONOMY}, entry={"dry_run": "none"}, extra=extra
    )
    made = small.project(path)
    daemon = Daemon(made)
    daemon.start()
    yield made
    daemon.stop()
    made.close()


def test_a_fix_that_a_person_let_through_earns_auto_and_a_failure_loses_it(
    project: Project, tmp_path: Path
) -> None:
    """Invariant 8: the very next incident is judged by what the last one came to."""
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting, seconds=300).approvals[0]
    acts.answer(project, question.id, answer="approved", by="user:ann")
    assert small.wait(project, seconds=300).incident.state is State.FIXED

    (tmp_path / "broken").touch()
    small.deliver(project, small.alert(host="web2", service="mail"))
    failed = small.wait(project, 2, seconds=300)
    assert (failed.incident.level, failed.incident.state) == (Level.AUTO, State.ESCALATED)
    assert "#1, " in next(e.text for e in failed.evidence if e.kind == "history")
    told = ["promoted", "demoted"]
    small.wait(project, 2, until=lambda _: _told(project) == told, seconds=300)


def _told(project: Project) -> list[str]:
    with project.database.read() as tx:
        return [row.action for row in audit_log.walk(tx) if row.action in ("promoted", "demoted")]
