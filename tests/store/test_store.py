"""The store: migrations, intents and host locks, answers, retention; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import engine
from runner.config import Retention
from runner.errors import ConfigError, NotFound, StoreError
from runner.incident import (
    Alert,
    AlertStatus,
    BlastRadius,
    GroupReach,
    Level,
    Outcome,
    Purpose,
    Run,
    State,
)
from runner.intake import payload
from runner.project import Project
from runner.store import (
    approvals,
    audit_log,
    incidents,
    outbox,
    retention,
    runs,
    switches,
    tables,
    workers,
)
from runner.store.database import HEAD, Database
from runner.text.duration import parse
from tests import small_project as small
from tests.store.test_admit import Desk

pytestmark = pytest.mark.store

WORKER = "worker-1"


@pytest.fixture
def working(database: Database) -> Database:
    """A store with one living worker."""
    with database.write() as tx:
        workers.join(tx, WORKER, "here")
    return database


def run(incident: int = 1, attempt: int = 1, hosts: tuple[str, ...] = ("web1",)) -> Run:
    now = datetime.now(UTC)
    return Run(
        id=uuid.uuid4().hex,
        incident=incident,
        purpose=Purpose.REMEDIATION,
        attempt=attempt,
        entry="heal",
        hosts=hosts,
        plan="p",
        started_at=now,
        deadline=now + timedelta(minutes=1),
    )


def intend(database: Database, wanted: Run, worker: str = WORKER) -> bool:
    with database.write() as tx:
        return runs.intend(tx, wanted, worker=worker, lock=wanted.hosts)


def open_one(database: Database, fingerprint: str = "f" * 16, age: timedelta = timedelta()) -> int:
    now = datetime.now(UTC) - age
    alert = Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        labels={"alertname": "Down"},
        annotations={},
        starts_at=now,
    )
    with database.write() as tx:
        opened = incidents.open_incident(
            tx, alert, environment="test", ceiling=Level.AUTO, reason="fires", now=now
        )
    assert opened is not None
    return opened


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": False})
        ours = set(tables.metadata.tables)
        found = [
            change
            for change in compare_metadata(context, tables.metadata)
            if not isinstance(change, tuple) or getattr(change[1], "name", None) in ours
        ]
        version = tx.execute(sa.text("select version_num from alembic_version")).scalar()
    assert found == []
    assert version == HEAD


def test_migrating_again_changes_nothing(database: Database) -> None:
    engine.migrate(database)
    with database.write() as tx:
        switches.pause(tx, actor="user:ann", reason="x")
    engine.migrate(database)
    with database.read() as tx:
        assert switches.paused(tx)


def test_the_first_writers_of_an_empty_store_wait_for_one_another(database: Database) -> None:
    """Invariant 12: on PostgreSQL both find no trail; one begins it and both are in it."""
    at_once = threading.Barrier(4)

    def pause(number: int) -> None:
        at_once.wait()
        with database.write() as tx:
            switches.pause(tx, actor=f"user:ann{number}", reason="x")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pause, range(4)))
    with database.read() as tx:
        assert (audit_log.verify(tx).rows, audit_log.verify(tx).broken) == (4, None)
        assert switches.paused(tx)


def test_a_run_in_flight_keeps_its_hosts_through_the_change_of_its_table(tmp_path: Path) -> None:
    """Invariant 3: SQLite makes the table of runs anew, to which the host locks refer."""
    before = Database("sqlite:///old.db", root=tmp_path)
    upgrade(before, "0001")
    with before.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into runs (id, incident, purpose, attempt, entry, hosts, worker, artifacts,"
            " started_at, deadline) values ('r', 1, 'remediation', 1, 'e', '[\"web1\"]', 'w', '',"
            " '2026-01-01 00:00:00', '2026-01-01 00:05:00')"
        )
        connection.exec_driver_sql("insert into host_locks values ('web1', 'r', '2026-01-01')")
    before.migrate()
    with before.read() as tx:
        (run,) = runs.locked(tx)
    assert (run.id, run.step) == ("r", 1)
    before.close()


def test_open_questions_of_what_had_ended_are_closed_by_the_upgrade(tmp_path: Path) -> None:
    """Invariant 22: nobody is asked any more about what an earlier release left open."""
    (parsed,) = payload.parse(small.body(small.alert())).alerts
    alert = json.dumps(incidents.alert_to_json(parsed))
    before = Database("sqlite:///old.db", root=tmp_path)
    upgrade(before, "0006")
    with before.engine.begin() as connection:
        for number, state in ((1, "resolved"), (2, "waiting")):
            connection.exec_driver_sql(
                "insert into incidents (id, fingerprint, activation, alertname, alert, firing,"
                " state, reason, environment, ceiling, hosts, created_at, updated_at) values"
                f" ({number}, 'f{number}', '2026-01-01', 'Down', '{alert}', 1, '{state}', 'r', 'e',"
                " 'auto', '[]', '2026-01-01', '2026-01-01')"
            )
            connection.exec_driver_sql(
                "insert into approvals (incident, plan, requested_by, requested_at, expires_at)"
                f" values ({number}, 'p', 'runner', '2026-01-01', '2026-01-02')"
            )
    before.migrate()
    with before.read() as tx:
        assert [question.incident for question in approvals.open_approvals(tx)] == [2]
        (closed,) = approvals.of_incident(tx, 1)
    assert (closed.answer, closed.answered_by, closed.asked) == ("closed", "runner", 1)
    assert closed.answered_at is not None and closed.shown is None
    before.close()


@pytest.mark.parametrize("url", ["", "nothing", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_something_else_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        Database(url)


def test_a_store_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is no database, whatever its name may say " * 100)
    with pytest.raises(StoreError, match="the store is unavailable"):
        Database(f"sqlite:///{tmp_path / 'file'}").migrate()


def test_an_intent_is_written_once(working: Database) -> None:
    """Invariant 2: a run of the same attempt is never started again."""
    assert intend(working, run())
    assert not intend(working, run())
    assert intend(working, run(attempt=2, hosts=("web2",)))


def test_a_busy_host_leaves_nothing_behind(working: Database) -> None:
    """Invariant 3: all hosts of a plan are locked, or none."""
    first, second = run(), run(incident=2, hosts=("db1", "web1"))
    intend(working, first)
    with pytest.raises(runs.HostsBusy, match="web1"):
        intend(working, second)
    with working.read() as tx:
        assert runs.find(tx, 2, Purpose.REMEDIATION, 1) is None
        assert runs.busy_hosts(tx) == {"web1"}
    with working.write() as tx:
        assert runs.conclude(tx, first.id, outcome=Outcome.CHANGED)
    assert intend(working, second)


def group(needed: int = 2) -> BlastRadius:
    """web1 of three; the other two stay in service."""
    reach = GroupReach(
        group="web", size=3, touched=("web1",), staying=("web2", "web3"), needed=needed
    )
    return BlastRadius(hosts=("web1",), groups=(reach,))


def into(database: Database, wanted: Run, radius: BlastRadius) -> bool:
    with database.write() as tx:
        return runs.intend(tx, wanted, worker=WORKER, lock=wanted.hosts, radius=radius)


def test_a_run_waits_while_others_leave_no_room_for_it(working: Database) -> None:
    """Invariant 11: what was true when policy judged may not be when the run starts."""
    other, wanted = run(hosts=("web2",)), run(incident=2)
    intend(working, other)
    with pytest.raises(runs.HostsBusy, match="web2"):
        into(working, wanted, group())
    with working.write() as tx:
        assert runs.conclude(tx, other.id, outcome=Outcome.CHANGED)
    assert into(working, wanted, group())


def test_check_mode_takes_nothing_out_of_service(working: Database) -> None:
    intend(working, replace(run(hosts=("web2",)), purpose=Purpose.DRY_RUN))
    with working.read() as tx:
        assert (runs.busy_hosts(tx), runs.acting_hosts(tx)) == ({"web2"}, frozenset())
    assert into(working, run(incident=2), group())


def test_of_runs_that_start_at_once_only_as_many_as_there_is_room_for(working: Database) -> None:
    """Invariant 11: three workers, three hosts of a group that needs two."""
    hosts = ("web1", "web2", "web3")
    gate, started = threading.Barrier(len(hosts)), []

    def start(number: int, host: str) -> None:
        staying = tuple(other for other in hosts if other != host)
        reach = GroupReach(group="web", size=3, touched=(host,), staying=staying, needed=2)
        gate.wait()
        try:
            into(
                working,
                run(incident=number, hosts=(host,)),
                BlastRadius(hosts=(host,), groups=(reach,)),
            )
            started.append(host)
        except runs.HostsBusy:
            pass

    threads = [threading.Thread(target=start, args=item) for item in enumerate(hosts, start=1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


def test_a_dead_worker_starts_nothing(working: Database) -> None:
    """Invariant 2: a worker that was taken over may not start its run any more."""
    with working.write() as tx:
        workers.leave(tx, WORKER)
    with pytest.raises(runs.WorkerDead):
        intend(working, run())


def test_an_unknown_end_keeps_its_hosts_until_it_is_proven(working: Database) -> None:
    """Invariant 2: what nobody knows the end of may still be running."""
    one = run()
    intend(working, one)
    with working.write() as tx:
        assert runs.conclude(tx, one.id, release=False, outcome=Outcome.UNKNOWN)
    with pytest.raises(runs.HostsBusy):
        intend(working, run(incident=2))
    with working.write() as tx:
        assert runs.conclude(tx, one.id, outcome=Outcome.CHANGED)
        assert not runs.conclude(tx, one.id, outcome=Outcome.FAILED), "proven once"
    assert intend(working, run(incident=2))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=2, max_size=8))
def test_no_two_runs_hold_one_host(working: Database, plans: list[set[str]]) -> None:
    """Invariant 3: whatever threads ask for at once, each host is held by one run at most."""
    with working.write() as tx:
        tx.execute(tables.host_locks.delete())
        tx.execute(tables.runs.delete())
    held: list[tuple[str, ...]] = []

    def ask(number: int, hosts: set[str]) -> None:
        wanted = run(incident=number, hosts=tuple(sorted(hosts)))
        try:
            if intend(working, wanted):
                held.append(wanted.hosts)
        except runs.HostsBusy:
            pass

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [host for hosts in held for host in hosts]
    assert held and len(everything) == len(set(everything))


def test_each_activation_is_a_row_whatever_the_clocks_say(database: Database) -> None:
    """Invariant 18: who opens an incident decided that it is another activation; neither the
    sender's clock nor ours, set back, makes two of them one."""
    now = datetime.now(UTC)
    alert = Alert(
        fingerprint="a" * 16,
        status=AlertStatus.FIRING,
        labels={},
        annotations={},
        starts_at=now,
    )
    with database.write() as tx:
        options = {"environment": "test", "ceiling": Level.AUTO, "reason": "fires", "now": now}
        first = incidents.open_incident(tx, alert, **options)  # type: ignore[arg-type]
        assert incidents.open_incident(tx, alert, **options) > first  # type: ignore[arg-type]


def test_an_ended_incident_moves_no_more(database: Database) -> None:
    incident = open_one(database)
    with database.write() as tx:
        assert incidents.move(tx, incident, State.RESOLVED, "gone")
        assert not incidents.move(tx, incident, State.RUNNING, "late")
    with database.read() as tx:
        assert [t.action for t in audit_log.of_incident(tx, incident)] == ["admitted", "resolved"]


def test_an_answer_counts_once(database: Database) -> None:
    incident, now = open_one(database), datetime.now(UTC)
    with database.write() as tx:
        question = approvals.ask(
            tx,
            incident=incident,
            plan="p",
            requested_by="runner",
            requested_at=now,
            expires_at=now + timedelta(minutes=1),
        )
        assert approvals.answer(tx, question.id, answer="approved", by="user:ann", at=now)
        assert not approvals.answer(tx, question.id, answer="denied", by="user:bob", at=now)
        assert approvals.get(tx, question.id).answered_by == "user:ann"


def test_what_is_not_there_is_not_found(database: Database) -> None:
    with database.read() as tx, pytest.raises(NotFound, match="no incident 7"):
        incidents.get(tx, 7)
    with database.read() as tx, pytest.raises(NotFound, match="no approval 7"):
        approvals.get(tx, 7)


def test_retention_removes_what_ended_long_ago_and_keeps_the_chain(database: Database) -> None:
    """Invariants 12 and 14: rows go, and the trail that is left still verifies."""
    old = open_one(database, "a" * 16, age=timedelta(days=500))
    open_one(database, "b" * 16)
    with database.write() as tx:
        incidents.move(tx, old, State.RESOLVED, "gone")
        stale = {"updated_at": datetime.now(UTC) - timedelta(days=499)}
        tx.execute(tables.incidents.update().where(tables.incidents.c.id == old).values(stale))
        outbox.fan_out(tx, {}, datetime.now(UTC))
        gone = retention.sweep(tx, Retention(incidents=parse("90d")), datetime.now(UTC))
    assert gone["incidents"] == 1 and gone["transitions"] == 1
    with database.read() as tx:
        assert audit_log.verify(tx).broken is None
        assert [found.id for found in incidents.find(tx)] == [2]


def test_a_silent_worker_is_marked_dead_and_cannot_beat_again(working: Database) -> None:
    with working.write() as tx:
        past = datetime.now(UTC) - timedelta(minutes=5)
        tx.execute(tables.workers.update().values(beat_at=past))
        assert workers.reap(tx, timedelta(seconds=10)) == (WORKER,)
        assert not workers.beat(tx, WORKER)
        assert workers.count_alive(tx, timedelta(seconds=10)) == 0


def test_what_fired_before_the_upgrade_is_not_taken_for_new(tmp_path: Path) -> None:
    """Migration 0008: old rows are read as before, and stay the only incidents of their alerts."""
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(database, "0006")
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number, firing in ((1, True), (2, False)):
        old_incident(database, number, began, firing=firing)
    database.migrate()
    desk = Desk(database)
    alerts = [small.alert(starts_at=began, n=str(number)) for number in (1, 2)]
    desk.deliver(alerts[0])
    assert desk.started == []
    desk.deliver(alerts[1])  # as late as it would be without the upgrade
    assert desk.started == [3]
    with database.read() as tx:
        first, third = incidents.get(tx, 1), incidents.get(tx, 3)
    assert (first.deliveries, first.sender, first.alert.late) == (2, None, False)
    assert third.alert.late
    database.close()


def upgrade(database: Database, revision: str) -> None:
    """Bring an empty store to an older schema."""
    wanted = AlembicConfig()
    wanted.set_main_option("script_location", "runner:store/migrations")
    wanted.set_main_option("path_separator", "os")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        wanted.attributes["connection"] = connection
        command.upgrade(wanted, revision)
        connection.commit()


def old_incident(database: Database, number: int, began: datetime, *, firing: bool) -> None:
    """A row as the release before 0008 wrote it: an ended incident."""
    (alert,) = payload.parse(small.body(small.alert(starts_at=began, n=str(number)))).alerts
    kept = incidents.alert_to_json(alert)
    added_since = ("undated", "late", "contradictions", "notes")
    names = [column["name"] for column in sa.inspect(database.engine).get_columns("incidents")]
    old = sa.table("incidents", *(sa.column(c.name, c.type) for c in tables.incidents.columns))
    row = dict.fromkeys(names) | {
        "id": number,
        "fingerprint": alert.fingerprint,
        "activation": began,
        "alertname": alert.name,
        "alert": {name: value for name, value in kept.items() if name not in added_since},
        "firing": firing,
        "state": State.FIXED,
        "reason": "it was fixed",
        "environment": "test",
        "ceiling": Level.AUTO,
        "hosts": [],
        "deliveries": 1,
        "cancel_requested": False,
        "cleared_at": None if firing else began + timedelta(hours=1),
        "created_at": datetime.now(UTC),
        "updated_at": datetime.now(UTC),
    }
    with database.engine.begin() as tx:
        tx.execute(old.insert().values(row))


def test_another_process_that_looks_and_leaves_does_not_end_this_one(tmp_path: Path) -> None:
    """A file that is opened and closed again loses the process' locks: the next reader that
    leaves takes the log away, and every statement is then an I/O error."""
    path = tmp_path / "runner.yml"
    path.write_text("level: observe\n")
    with closing(Project.load(path)) as project:
        file = project.database.file
        assert file is not None
        with project.database.write() as tx:
            workers.join(tx, "w", "here")
            project.database.migrate()
        look = f"import sqlite3; c = sqlite3.connect({str(file)!r}); "
        look += "c.execute('select * from incidents').fetchall(); c.close()"
        subprocess.run([sys.executable, "-c", look], check=True, timeout=60)
        assert file.with_name(f"{file.name}-wal").exists()
