"""Host locks of parts: invariant 3, by any sequence of runs, on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from runner.incident import BlastRadius, GroupReach, Outcome, Purpose, Run
from runner.incident.part import apart
from runner.store import runs, tables, workers
from runner.store.database import Database
from tests.store.test_store import upgrade

pytestmark = pytest.mark.store

WORKER = "worker-1"
HOSTS = ("web1", "web2", "db1")
#: None: a run on whole hosts.
PARTS = (
    None, "unit nginx.service", "unit nginx.socket", "unit redis.service", "mountpoint /var",
    "mountpoint /var/log", "mountpoint /srv", "database shop",
)  # fmt: skip
hosts_of_a_run = st.sets(st.sampled_from(HOSTS), min_size=1, max_size=2)


@pytest.fixture
def working(database: Database) -> Database:
    """A store with one living worker."""
    with database.write() as tx:
        workers.join(tx, WORKER, "here")
    return database


def wanted(number: int, hosts: set[str], part: str | None) -> Run:
    now = datetime.now(UTC)
    return Run(
        id=uuid.uuid4().hex,
        incident=number,
        purpose=Purpose.REMEDIATION,
        attempt=1,
        entry="heal",
        hosts=tuple(sorted(hosts)),
        part=part,
        plan="p",
        started_at=now,
        deadline=now + timedelta(minutes=1),
    )


def started(
    database: Database, run: Run, exclusive: str = "part", radius: BlastRadius | None = None
) -> bool:
    """Whether the run could take its hosts; `exclusive` is what its entry declares."""
    locked = run.part or "" if exclusive == "part" else ""
    try:
        with database.write() as tx:
            return runs.intend(tx, run, worker=WORKER, lock=run.hosts, part=locked, radius=radius)
    except runs.HostsBusy:
        return False


def conflict(one: tuple[set[str], str | None], other: tuple[set[str], str | None]) -> bool:
    """The ruling in its own words: same host, unless both declare a part and these differ."""
    return bool(one[0] & other[0]) and not apart(one[1], other[1])


class Locks(RuleBasedStateMachine):
    """Runs begin and end in any order; the model is the list of those that hold something."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, tuple[set[str], str | None]] = {}
        self.number = 0
        with self.database.write() as tx:
            tx.execute(tables.host_locks.delete())
            tx.execute(tables.runs.delete())

    @rule(
        hosts=hosts_of_a_run,
        part=st.sampled_from(PARTS),
        exclusive=st.sampled_from(["host", "part", "part"]),
    )
    def start(self, hosts: set[str], part: str | None, exclusive: str) -> None:
        self.number += 1
        run = wanted(self.number, hosts, part)
        mine = (hosts, part if exclusive == "part" else None)
        free = not any(conflict(mine, theirs) for theirs in self.held.values())
        assert started(self.database, run, exclusive) is free
        if free:
            self.held[run.id] = mine

    @rule(index=st.integers(0, 9), known=st.booleans())
    def end(self, index: int, known: bool) -> None:
        """One whose end is unknown keeps what it holds until there is a proof."""
        if not self.held:
            return
        run = sorted(self.held)[index % len(self.held)]
        outcome = Outcome.CHANGED if known else Outcome.UNKNOWN
        with self.database.write() as tx:
            runs.conclude(tx, run, release=known, outcome=outcome)
        if known:
            del self.held[run]

    @invariant()
    def no_two_runs_touch_one_part(self) -> None:
        with self.database.read() as tx:
            rows = tx.execute(sa.select(tables.host_locks)).all()
            busy = runs.busy_hosts(tx)
        for one, other in itertools.combinations(rows, 2):
            assert one.host != other.host or apart(one.part, other.part), (one, other)
        holding = {(host, part or "") for hosts, part in self.held.values() for host in hosts}
        assert {(row.host, row.part) for row in rows} == holding
        assert busy == {host for hosts, _ in self.held.values() for host in hosts}


def test_no_sequence_lets_two_runs_touch_one_part_of_a_host(working: Database) -> None:
    """Invariant 3: one host at a time, unless both entries declare parts that are apart."""
    Locks.database = working
    run_state_machine_as_test(
        Locks,
        settings=settings(
            max_examples=20, stateful_step_count=20, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=st.lists(st.tuples(hosts_of_a_run, st.sampled_from(PARTS)), min_size=2, max_size=7))
def test_runs_that_start_at_once_touch_one_part_at_most_once(
    working: Database, plans: list[tuple[set[str], str | None]]
) -> None:
    """Invariant 3: whatever threads ask for at once."""
    with working.write() as tx:
        tx.execute(tables.host_locks.delete())
        tx.execute(tables.runs.delete())
    held: list[tuple[set[str], str | None]] = []
    gate = threading.Barrier(len(plans))

    def ask(number: int, plan: tuple[set[str], str | None]) -> None:
        gate.wait()
        if started(working, wanted(number, *plan)):
            held.append(plan)

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held, "somebody was first"
    assert not any(conflict(one, other) for one, other in itertools.combinations(held, 2))


def test_who_waits_reads_which_part_is_held(working: Database) -> None:
    """Invariant 22: the reason names it."""
    assert started(working, wanted(7, {"web1"}, "unit nginx.service"))
    with pytest.raises(
        runs.HostsBusy, match=r"^waits for unit nginx\.service of web1, held by run"
    ):
        with working.write() as tx:
            runs.intend(tx, wanted(8, {"web1"}, None), worker=WORKER, lock=("web1",))


def test_two_parts_of_a_host_are_one_host_of_a_group(working: Database) -> None:
    """Invariant 11: capacity counts hosts, so a second part takes no second host away."""
    reach = GroupReach(group="web", size=2, touched=("web1",), staying=("web2",), needed=1)
    radius = BlastRadius(hosts=("web1",), groups=(reach,))
    assert started(working, wanted(1, {"web1"}, "unit nginx.service"), radius=radius)
    assert started(working, wanted(2, {"web1"}, "unit redis.service"), radius=radius)
    other = GroupReach(group="web", size=2, touched=("web2",), staying=("web1",), needed=1)
    away = BlastRadius(hosts=("web2",), groups=(other,))
    assert not started(working, wanted(3, {"web2"}, "unit nginx.service"), radius=away)


def test_locks_of_an_earlier_release_are_of_whole_hosts(tmp_path: Path) -> None:
    """Invariant 3: a run that was in flight at the upgrade still keeps every other away."""
    before = Database("sqlite:///old.db", root=tmp_path)
    upgrade(before, "0011")
    with before.engine.begin() as connection:
        connection.execute(
            sa.text(
                "insert into runs (id, incident, purpose, attempt, entry, hosts, worker, artifacts,"
                " started_at, deadline) values ('r', 1, 'remediation', 1, 'e', :hosts, 'w', '',"
                " '2026-01-01 00:00:00', '2026-01-01 00:05:00')"
            ),
            {"hosts": json.dumps(["web1"])},
        )
        connection.execute(
            sa.text("insert into host_locks (host, run, taken_at) values ('web1', 'r', :at)"),
            {"at": "2026-01-01 00:00:00"},
        )
    before.migrate()
    with before.write() as tx:
        workers.join(tx, WORKER, "here")
        (run,) = runs.locked(tx)
        (holder,) = runs.holders(tx, ["web1"], "unit nginx.service")
    assert (run.id, run.part, holder.part) == ("r", None, "")
    assert not started(before, wanted(2, {"web1"}, "unit nginx.service"))
    before.close()
