"""What a working process does by itself: reconcile, take symptoms up again, free hosts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner.daemon import Daemon, release_joined
from runner.incident import Outcome, Purpose, Run, State
from runner.project import Project
from runner.steps.locate import locate
from runner.steps.perform import LEASE, settle_unknown
from runner.store import incidents, runs, tables, trail, workers
from tests import small_project as small

pytestmark = pytest.mark.store


@pytest.fixture
def project(tmp_path: Path, store_url: str) -> Any:
    made = small.project(small.make(tmp_path), store_url)
    yield made
    made.close()


def admitted(project: Project, *alerts: dict[str, Any]) -> None:
    """Deliver alerts and admit them, with nobody at work."""
    small.deliver(project, *alerts)
    inbox = Daemon(project)._inbox
    while inbox.step():
        pass


def end(project: Project, incident: int, state: State, **columns: Any) -> None:
    with project.database.write() as tx:
        assert incidents.move(tx, incident, state, "for the test", **columns)


def queued(project: Project) -> list[str]:
    with project.database.read() as tx:
        return list(tx.execute(sa.select(tables.waiting.c.key).order_by("number")).scalars())


def test_a_symptom_is_taken_up_again_when_its_cause_has_ended(project: Project) -> None:
    """Nobody is told that a symptom is handled when only its cause was."""
    admitted(project, small.alert(host="db1"), small.alert(host="web2"))
    end(project, 2, State.SUPPRESSED, joined=1)
    assert release_joined(project) == 0, "its cause is still being handled"
    end(project, 1, State.FIXED)
    assert release_joined(project) == 1
    assert release_joined(project) == 0, "taken up once"
    again = small.look(project, 2)
    assert again.incident.state is State.ADMITTED, "the same row: nothing grows by waiting"
    assert again.incident.woken and again.incident.joined is None
    assert "incident 1 has ended" in again.incident.reason
    assert queued(project) == ["incident-1-remediate", "incident-2-remediate", "incident-2-woken"]


def test_a_symptom_that_resolved_is_left_alone(project: Project) -> None:
    begun = datetime.now(UTC)
    admitted(project, small.alert(host="db1"), small.alert(host="web2", starts_at=begun))
    end(project, 2, State.SUPPRESSED, joined=1)
    admitted(project, small.alert(host="web2", starts_at=begun, status="resolved"))
    end(project, 1, State.FIXED)
    assert release_joined(project) == 0


class Alertmanagers:
    """Answers with what a test says is active."""

    def __init__(self, project: Project) -> None:
        from runner.intake.payload import parse

        self.active = parse(small.body(small.alert(), small.alert(host="web2"))).alerts
        project.__dict__["alertmanagers"] = self

    def active_alerts(self, *arguments: object) -> Any:
        return self.active

    def close(self) -> None: ...


def test_reconciliation_delivers_what_no_message_told(project: Project) -> None:
    """Rule 12: what fired while the runner was away is asked for, once."""
    Alertmanagers(project)
    daemon = Daemon(project)
    for _ in range(2):
        daemon.reconcile()
        while daemon._inbox.step():
            pass
    with project.database.read() as tx:
        found = incidents.find(tx)
    assert [incident.alert.source for incident in found] == ["pull", "pull"]
    assert [incident.deliveries for incident in found] == [1, 1]


def unknown_run(project: Project, deadline: datetime) -> Run:
    with project.database.write() as tx:
        workers.join(tx, "w", "elsewhere")
        run = Run(
            id="ab" * 16,
            incident=1,
            purpose=Purpose.REMEDIATION,
            attempt=1,
            entry="mark",
            hosts=("web1",),
            plan="p",
            started_at=deadline - timedelta(minutes=1),
            deadline=deadline,
        )
        runs.intend(tx, run, worker="w", lock=run.hosts)
        runs.conclude(tx, run.id, release=False, outcome=Outcome.UNKNOWN)
    return run


def test_hosts_of_an_unknown_run_are_freed_after_its_deadline_only(project: Project) -> None:
    """Invariant 2: until then it may still be running on another machine."""
    run = unknown_run(project, datetime.now(UTC) + timedelta(minutes=1))
    assert settle_unknown(project) == 0
    with project.database.write() as tx:
        past = datetime.now(UTC) - LEASE - timedelta(seconds=1)
        runs.conclude(tx, run.id, release=False, deadline=past, outcome=Outcome.UNKNOWN)
    assert settle_unknown(project) == 1
    with project.database.read() as tx:
        assert runs.busy_hosts(tx) == frozenset()
        assert runs.get(tx, run.id).outcome is Outcome.UNKNOWN


def test_every_move_of_an_incident_is_in_the_trail(project: Project) -> None:
    """Invariant 12: a row for each, with time, actor and reason."""
    admitted(project, small.alert())
    end(project, 1, State.RESOLVED)
    with project.database.read() as tx:
        found = trail.of_incident(tx, 1)
        assert trail.verify(tx).broken is None
    assert [(t.previous, t.action, t.actor) for t in found] == [
        (None, "admitted", "runner"),
        ("admitted", "resolved", "runner"),
    ]
    assert all(t.reason for t in found)


def test_many_that_joined_wake_once_each(project: Project) -> None:
    """Invariant 14: what had joined goes its own way, so nothing is opened anew each time."""
    alerts = [small.alert(host="db1", number=str(number)) for number in range(4)]
    admitted(project, *alerts)
    assert locate(project, 1)
    for number in (2, 3, 4):
        assert not locate(project, number), "it joins the first"
    end(project, 1, State.FIXED)
    assert release_joined(project) == 3
    for number in (2, 3, 4):
        assert locate(project, number), "it joins nothing again"
    assert release_joined(project) == 0
    with project.database.read() as tx:
        assert len(incidents.find(tx)) == 4
