from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.store.database import Database
from runner.store.turns import ENDING, ProcessQueue, WriterQueue


def test_a_turn_goes_to_who_asked_first() -> None:
    """Whoever writes one piece after the other cannot keep an acknowledgement waiting."""
    turns, served = WriterQueue(), list[int]()

    def take(number: int) -> None:
        with turns.turn(30):
            served.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns.turn(30):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(turns._waiting) < number:
                pass
    with turns.turn(30):  # asked after all of them
        served.append(99)
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4, 99]


def test_nobody_waits_for_ever() -> None:
    """Invariant 14: and who gave up does not hold up those behind."""
    turns = WriterQueue()
    with turns.turn(30), pytest.raises(StoreError, match="take too long"), turns.turn(0.01):
        pass
    with turns.turn(0.01):
        pass
    assert not turns._waiting and not turns._taken


def test_an_error_hands_the_turn_on(database: Database) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), database.write():
            raise ZeroDivisionError
    with database.write():
        pass


#: Writes without a pause, in four threads, and says how often it has.
BUSY = """
import sys, threading, time
from pathlib import Path
from runner.store.database import Database
database, said = Database("sqlite:///" + sys.argv[1]), Path(sys.argv[2])
done = []
def work():
    while True:
        with database.write():
            time.sleep(0.01)
            done.append(1)
            said.write_text(str(len(done)))
for _ in range(4):
    threading.Thread(target=work).start()
"""


def test_a_process_that_always_writes_keeps_no_other_one_waiting(
    database: Database, tmp_path: Path
) -> None:
    """Invariant 1: an acknowledgement is not refused because incidents are worked on."""
    said = tmp_path / "said"

    def done() -> int:
        return int(said.read_text() or 0)

    busy = subprocess.Popen([sys.executable, "-c", BUSY, str(database.file), str(said)])
    waited = []
    try:
        while not said.exists() or done() < 20:
            assert busy.poll() is None
            time.sleep(0.01)
        for _ in range(30):
            before = done()
            with database.write():
                waited.append(done() - before)
            time.sleep(0.02)  # so that it is the other's again
    finally:
        busy.kill()
        busy.wait()
    # A busy machine may keep this process from asking; it does not keep it waiting.
    assert sorted(waited)[len(waited) // 2] <= 3, waited


def test_a_process_that_was_killed_in_its_turn_has_it_no_longer(tmp_path: Path) -> None:
    store = tmp_path / "runner.db"
    first = ProcessQueue(store)
    with first.turn(time.monotonic() + 30):
        if (child := os.fork()) == 0:  # which has no turn, as it is another process
            with pytest.raises(StoreError, match="take too long"):
                with ProcessQueue(store).turn(time.monotonic() + 0.05):
                    pass
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with ProcessQueue(store).turn(time.monotonic() + 30):
            os.write(writing, b"x")
            time.sleep(60)
    assert os.read(reading, 1) == b"x"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with first.turn(time.monotonic() + 30):
        pass
    first.close()
    assert store.with_name(store.name + ENDING).stat().st_mode & 0o777 == 0o600


def test_where_there_can_be_no_file_the_store_says_why(tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path}/none/runner.db")
    with pytest.raises(StoreError, match="unable to open database file"), nowhere.write():
        pass


def test_who_still_writes_when_the_store_is_closed_ends_well(database: Database) -> None:
    """A thread may be in its last step while the process ends."""
    within, ended = threading.Event(), list[bool]()

    def last() -> None:
        with database.write():
            within.set()
            time.sleep(0.2)
        ended.append(True)

    thread = threading.Thread(target=last)
    thread.start()
    assert within.wait(30)
    database.close()
    thread.join()
    assert ended == [True]
