from __future__ import annotations

import threading

import pytest

from runner.errors import StoreError
from runner.store.database import Database, WriterQueue


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
