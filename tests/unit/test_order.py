"""The order of the tests."""

from __future__ import annotations

from itertools import chain

from tests.order import dealt


def test_every_worker_begins_with_one_of_the_first_files() -> None:
    files = [["a1", "a2"], ["b1"], ["c1", "c2"], ["d1"], ["e1"], ["f1"]]
    assert dealt(files, 1) == [["a1", "a2", "b1", "c1", "c2", "d1", "e1", "f1"]]
    assert dealt(files, 2) == [["a1", "a2", "c1", "c2"], ["b1", "d1", "e1", "f1"]]


def test_no_test_is_lost_or_run_twice_and_the_parts_are_as_long() -> None:
    files = [[f"{name}{n}" for n in range(ord(name) % 7 + 1)] for name in "abcdefghijklmnop"]
    for workers in range(1, 6):
        hands = dealt(files, workers)
        assert sorted(chain(*hands)) == sorted(chain(*files))
        assert max(map(len, hands)) - min(map(len, hands)) <= 7
