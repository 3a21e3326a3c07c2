"""The durable engine: one process on SQLite, a contract with the library, what is left behind."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS

from runner import engine
from runner.engine import Queue, Worker, incident_of, is_worked_on
from runner.errors import Refused
from runner.store import tables
from runner.store.database import Database


def held(state: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of this store."""
    code = (
        "import sys, time; from pathlib import Path; from runner.engine import _take;"
        "lock = _take(Path(sys.argv[1]) / 'runner.lock'); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(state)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_on_one_sqlite_store_is_refused(tmp_path: Path) -> None:
    """Invariant 3: SQLite is one process; two would run on one host at once."""
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    engine.migrate(database)
    other = held(tmp_path)
    try:
        assert is_worked_on(database, tmp_path)
        with pytest.raises(Refused, match=f"process {other.pid} already works on this SQLite"):
            Worker(database, tmp_path).start()
    finally:
        other.kill()
        other.communicate()
    assert not is_worked_on(database, tmp_path)
    database.close()


def test_a_worker_starts_again_after_it_stopped(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    engine.migrate(database)
    for _ in range(2):
        worker = Worker(database, tmp_path)
        worker.start()
        worker.stop()
    database.close()


@pytest.mark.store
def test_a_workflow_is_queued_with_its_rows_or_not_at_all(database: Database) -> None:
    """Invariant 1: the transaction that rolls back queues nothing."""
    queue = Queue(database)
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        queue.remediate(tx, 1)
        raise ZeroDivisionError
    with database.write() as tx:
        queue.remediate(tx, 2)
        queue.remediate(tx, 2)
    assert queued(database) == ["incident-2-remediate"]


def queued(database: Database) -> list[str]:
    with database.read() as tx:
        return list(tx.execute(sa.select(tables.waiting.c.key)).scalars())


def test_the_private_call_of_the_library_is_still_there() -> None:
    """The one private name that takeover needs; its version range is pinned."""
    parameters = inspect.signature(DBOS._recover_pending_workflows).parameters
    assert list(parameters) == ["executor_ids"]


def test_a_workflow_is_named_after_its_incident() -> None:
    assert incident_of("incident-42-approval-7") == 42
    assert incident_of("incident-42-remediate") == 42


def test_the_queue_of_the_library_itself_is_hardly_looked_at(tmp_path: Path) -> None:
    """The third private name: without it nothing is wrong, but idle costs more."""
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    engine.migrate(database)
    worker = Worker(database, tmp_path)
    asked: list[str] = []

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(threading.current_thread().name)

    worker.start()
    time.sleep(2.5)  # in which there would be two looks
    worker.stop()
    assert any(name.startswith("queue-worker-incidents") for name in asked), set(asked)
    assert "queue-worker-_dbos_internal_queue" not in asked
    database.close()
