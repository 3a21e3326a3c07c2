"""What goes on is woken, and waits for no clock; what is undone wakes nobody."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from dbos._queue import queue_worker_thread

from runner import engine
from runner.engine import dispatch
from runner.engine.bell import Bell
from runner.incident import State
from runner.intake import admit
from runner.store import workers
from runner.store.database import Database, after_commit
from tests import small_project as small
from tests.real.test_remediate import Start, start

__all__ = ["start"]  # a fixture


def test_who_waits_for_a_transaction_is_called_after_it_and_once(database: Database) -> None:
    seen: list[int] = []

    def look() -> None:
        with database.read() as tx:
            seen.append(workers.count_alive(tx, timedelta(minutes=1)))

    with database.write() as tx:
        after_commit(tx, look)
        after_commit(tx, look)
        workers.join(tx, "w", "here")
        assert seen == []
    assert seen == [1], "once, and it sees what was written"


def test_what_is_undone_calls_nobody_now_or_later(database: Database) -> None:
    """Not even when the same connection is used for the next transaction."""
    called: list[str] = []
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        after_commit(tx, lambda: called.append("undone"))
        raise ZeroDivisionError
    with database.write() as tx:
        after_commit(tx, lambda: called.append("done"))
    with database.write():
        pass
    assert called == ["done"]


def test_the_loop_of_the_library_is_still_what_it_was() -> None:
    """The second private name; what it asks of the event is shown by the last test."""
    assert list(inspect.signature(queue_worker_thread).parameters) == [
        "stop_event",
        "dbos",
        "queue",
    ]


class Loop:
    """Stands in for the library's loop: counts its looks."""

    def __init__(self) -> None:
        self.looks = threading.Semaphore(0)
        self.held = threading.Event()

    def __call__(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if stop.wait(timeout=0.001):
                return
            self.looks.release()
            self.held.wait(60)


@pytest.fixture
def loop() -> Iterator[Loop]:
    found = Loop()
    yield found
    found.held.set()


def test_it_looks_when_it_is_rung_and_never_by_the_clock(loop: Loop) -> None:
    loop.held.set()
    rung = Bell()
    rung.start(loop)
    assert not loop.looks.acquire(timeout=0.1)
    rung.ring()
    assert loop.looks.acquire(timeout=60)
    assert not loop.looks.acquire(timeout=0.1)
    rung.stop()
    assert rung._thread is not None and not rung._thread.is_alive()


def test_a_ring_during_a_look_is_another_look(loop: Loop) -> None:
    """What is handed over behind a look that is under way is not missed by it."""
    rung = Bell()
    rung.start(loop)
    rung.ring()
    assert loop.looks.acquire(timeout=60)
    rung.ring()
    rung.ring()
    loop.held.set()
    assert loop.looks.acquire(timeout=60)
    assert not loop.looks.acquire(timeout=0.1), "two rings before it are one look"
    rung.stop()


@pytest.mark.store("nightly")
@pytest.mark.real
def test_an_incident_goes_from_its_delivery_to_its_end_by_no_clock(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With every look by the clock ten minutes apart, and more incidents than may be begun."""
    monkeypatch.setattr(engine, "POLL", 600.0)
    monkeypatch.setattr(dispatch, "POLL", 600.0)
    monkeypatch.setattr(admit, "POLL", 600.0)
    project = start(settings={"turns": {"incidents": 4, "per_host": 1}})
    small.deliver(project, *(small.alert("Unknown", number=str(number)) for number in range(5)))
    for number in range(1, 6):
        assert small.wait(project, number).incident.state in (State.ESCALATED, State.SUPPRESSED)
