"""What a working process does by itself: reconcile, take symptoms up again, free hosts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner import config
from runner.daemon import Daemon, handle_again, release_held, release_joined
from runner.incident import Outcome, Purpose, Run, State
from runner.project import Project
from runner.steps.locate import locate
from runner.steps.perform import LEASE, settle_left
from runner.store import audit_log, due, incidents, runs, tables, waiting, workers
from tests import small_project as small

pytestmark = pytest.mark.store

#: Nothing is sent to it here.
RECEIVER = {"name": "chat", "url": "json://127.0.0.1:9/", "on": ["escalated"]}


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
    assert re.search(r"it is handled from [-\d]{10} [:\d]{8} UTC on", again.incident.reason)
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
    assert settle_left(project) == 0
    with project.database.write() as tx:
        past = datetime.now(UTC) - LEASE - timedelta(seconds=1)
        runs.conclude(tx, run.id, release=False, deadline=past, outcome=Outcome.UNKNOWN)
    assert settle_left(project) == 1
    with project.database.read() as tx:
        assert runs.busy_hosts(tx) == frozenset()
        assert runs.get(tx, run.id).outcome is Outcome.UNKNOWN


def test_every_move_of_an_incident_is_in_the_trail(project: Project) -> None:
    """Invariant 12: a row for each, with time, actor and reason."""
    admitted(project, small.alert())
    end(project, 1, State.RESOLVED)
    with project.database.read() as tx:
        found = audit_log.of_incident(tx, 1)
        assert audit_log.verify(tx).broken is None
    assert [(t.previous, t.action, t.actor) for t in found] == [
        (None, "admitted", "runner"),
        ("admitted", "resolved", "runner"),
    ]
    assert all(t.reason for t in found)


def run_of(project: Project, incident: int, worker: str, *, over: bool = False) -> Run:
    """A run without an outcome that holds web1; `over`: its deadline is long past."""
    length = timedelta(seconds=-LEASE.total_seconds() - 1 if over else 60)
    with project.database.write() as tx:
        workers.join(tx, worker, "here")
        now = datetime.now(UTC)
        run = Run(
            id=f"{incident:02x}" * 16,
            incident=incident,
            purpose=Purpose.DRY_RUN,
            attempt=1,
            entry="mark",
            hosts=("web1",),
            plan="p",
            started_at=now,
            deadline=now + length,
        )
        runs.intend(tx, run, worker=worker, lock=run.hosts)
    return run


@pytest.mark.parametrize("end_state", [State.CANCELLED, State.ESCALATED, State.RESOLVED])
def test_whatever_ends_an_incident_settles_its_runs(project: Project, end_state: State) -> None:
    """Invariant 22, case K1: a lock without a living run is proven dead and freed."""
    admitted(project, small.alert())
    project.worker = "me"
    run = run_of(project, 1, "me")
    assert settle_left(project) == 0, "the incident is open: whoever works on it settles it"
    end(project, 1, end_state)
    assert settle_left(project) == 1
    with project.database.read() as tx:
        settled, busy = runs.get(tx, run.id), runs.busy_hosts(tx)
    if project.database.sqlite:  # no folder on the only machine: it was never started
        assert (settled.outcome, busy) == (Outcome.CANCELLED, frozenset())
    else:  # it could have been another machine, until its deadline and a lease are over
        assert (settled.outcome, busy) == (Outcome.UNKNOWN, {"web1"})


def test_a_run_past_its_deadline_is_settled_though_its_incident_is_open(project: Project) -> None:
    """Invariant 22: nothing in this process watches it any more."""
    admitted(project, small.alert())
    project.worker = "me"
    run = run_of(project, 1, "me", over=True)
    assert settle_left(project) == 1
    with project.database.read() as tx:
        assert runs.busy_hosts(tx) == frozenset()
        assert runs.get(tx, run.id).outcome is not None


def test_a_run_of_a_living_worker_is_left_to_it(project: Project) -> None:
    """Invariant 2: nobody else calls its end, whatever became of the incident."""
    admitted(project, small.alert())
    run_of(project, 1, "other", over=True)
    project.worker = "me"
    end(project, 1, State.ESCALATED)
    assert settle_left(project) == 0
    with project.database.write() as tx:
        assert runs.busy_hosts(tx) == {"web1"}
        workers.leave(tx, "other")
    assert settle_left(project) == 1


def held(project: Project, *, until: timedelta = timedelta(seconds=-1)) -> None:
    """Incident 1, held back until then (the store's shortest time is undone)."""
    admitted(project, small.alert())
    with project.database.write() as tx:
        at = datetime.now(UTC) + until
        assert incidents.hold(tx, 1, "it cools down", until=at, longest=timedelta(hours=1))
        tx.execute(tables.incidents.update().values(held_until=at))


def test_a_broken_workflow_is_queued_again_unless_one_of_its_incident_waits(
    project: Project,
) -> None:
    """Invariant 3: two workflows of one incident would step on each other."""
    admitted(project, small.alert())
    handle_again(project, 1, 1)
    assert queued(project) == ["incident-1-remediate"]
    with project.database.write() as tx:
        waiting.end(tx, "incident-1-remediate")
    handle_again(project, 1, 1)
    handle_again(project, 1, 2)
    assert queued(project) == ["incident-1-again-1"]


def test_what_was_held_back_is_looked_at_when_the_time_is_over_and_once(project: Project) -> None:
    """Invariant 22: by one worker, in the transaction that queues it."""
    held(project, until=timedelta(minutes=5))
    assert release_held(project) == 0
    with project.database.write() as tx:
        tx.execute(tables.incidents.update().values(held_until=datetime.now(UTC)))
    assert release_held(project) == 1
    assert release_held(project) == 0
    found = small.look(project).incident
    assert (found.state, found.holds, found.held_until) == (State.HELD, 1, None)


def test_what_resolved_while_it_was_held_back_ends(project: Project) -> None:
    """Invariant 22: nothing goes on for an alert that is gone."""
    held(project)
    with project.database.write() as tx:
        incidents.set_firing(tx, 1, False)
    assert release_held(project) == 1
    assert small.look(project).incident.state is State.RESOLVED


def test_a_message_ends_what_is_held_back(project: Project) -> None:
    begun = datetime.now(UTC)
    admitted(project, small.alert(starts_at=begun))
    with project.database.write() as tx:
        later = begun + timedelta(minutes=30)
        incidents.hold(tx, 1, "it cools down", until=later, longest=timedelta(hours=1))
    admitted(project, small.alert(starts_at=begun, status="resolved"))
    assert small.look(project).incident.state is State.RESOLVED


def test_nothing_is_held_back_for_ever(project: Project) -> None:
    """Invariants 14 and 22: at the deadline it is for a person."""
    admitted(project, small.alert())
    longest = timedelta(hours=1)
    with project.database.write() as tx:
        far = datetime.now(UTC) + timedelta(days=3)
        assert incidents.hold(tx, 1, "frozen", until=far, longest=longest)
        kept = incidents.get(tx, 1)
        assert kept.held_until is not None and kept.held_until - kept.created_at < longest * 1.1
        past = datetime.now(UTC) - longest
        tx.execute(tables.incidents.update().values(held_since=past))
        assert not incidents.hold(tx, 1, "frozen", until=far, longest=longest)
    found = small.look(project)
    assert found.incident.state is State.ESCALATED
    assert found.incident.reason == "held back for 1h, and it still fires: frozen"


def test_people_are_told_once_that_an_incident_is_held_back(project: Project) -> None:
    """Invariant 22: receivers hear of `held`; that it is held once more is in the trail only."""
    admitted(project, small.alert())
    for _ in range(3):
        with project.database.write() as tx:
            soon = datetime.now(UTC) + timedelta(minutes=1)
            incidents.hold(tx, 1, "it cools down", until=soon, longest=timedelta(hours=1))
    actions = [row.action for row in small.look(project).transitions]
    assert actions == ["admitted", "held", "held_again", "held_again"]
    told = config.Receiver(name="ops", url="json://localhost").on
    assert "held" in told and "held_again" not in told


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


def nothing(project: Project) -> None: ...


def expired(project: Project) -> None:
    admitted(project, small.alert())
    with project.database.write() as tx:
        now = datetime.now(UTC)
        row = {"incident": 1, "plan": "p", "requested_by": "runner", "requested_at": now}
        tx.execute(tables.approvals.insert().values(**row, expires_at=now))


def joined(project: Project) -> None:
    admitted(project, small.alert(host="db1"), small.alert(host="web2"))
    end(project, 2, State.SUPPRESSED, joined=1)
    end(project, 1, State.FIXED)


def left_running(project: Project) -> None:
    admitted(project, small.alert())
    project.worker = "me"
    run_of(project, 1, "me", over=True)


def told_again(project: Project) -> None:
    admitted(project, small.alert())
    with project.database.write() as tx:
        tx.execute(tables.firings.update().values(again_at=datetime.now(UTC)))


def under_way(project: Project) -> None:
    """Nothing of it is due: a run of an open incident, one that is held back for an hour."""
    held(project, until=timedelta(hours=1))
    run_of(project, 1, "me")


@pytest.mark.parametrize(
    ("happens", "due_now"),
    [
        (nothing, False), (under_way, False), (expired, True), (held, True), (joined, True),
        (left_running, True), (told_again, True),
        (lambda project: unknown_run(project, datetime.now(UTC) + timedelta(minutes=1)), True),
    ],
)  # fmt: skip
def test_housekeeping_begins_whenever_there_is_something_to_do(
    project: Project, happens: Callable[[Project], object], due_now: bool
) -> None:
    """One statement decides it each second, so that it must know everything that is done."""
    happens(project)
    with project.database.read() as tx:
        assert due.housekeeping(tx, project.worker, LEASE) is due_now


def test_who_stops_notes_down_who_is_to_be_told(tmp_path: Path) -> None:
    """By its own settings: a terminal that has shown it all leaves nothing for the next console."""
    path = small.make(tmp_path, settings={"notify": {"console": False, "receivers": [RECEIVER]}})
    for number, console in ((1, False), (2, True)):
        project = small.project(path)
        notify = project.config.notify.model_copy(update={"console": console})
        project.config = project.config.model_copy(update={"notify": notify})
        daemon = Daemon(project)
        admitted(project, small.alert(host=f"web{number}"))
        end(project, number, State.ESCALATED)
        daemon.stop()
        with project.database.read() as tx:
            found = tx.execute(sa.select(tables.outbox.c.receiver)).scalars().all()
        project.close()
    assert sorted(found) == ["chat", "chat", "console"]
