"""Long tests begin first, so that the last minutes of a run are not one test that others wait for.

A plugin, named in tests/conftest.py. The files whose tests are marked `slow` come first, then
those marked `real`; of what is alike none moves. Each of several workers begins with a share.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the items into that order; the same in every worker."""
    files = [list(of_file) for _, of_file in groupby(items, key=lambda item: item.path)]
    files.sort(key=haste)
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    items[:] = [item for hand in dealt(files, workers) for item in hand]


def haste(of_file: list[pytest.Item]) -> int:
    """What comes first is the least."""
    for number, mark in enumerate(("slow", "real")):
        if any(item.get_closest_marker(mark) for item in of_file):
            return number
    return 2


def dealt(files: list[list[Any]], workers: int) -> list[list[Any]]:
    """As xdist gives each worker one part of the list: a part begins with the first files."""
    hands: list[list[Any]] = [[] for _ in range(workers)]
    full = -(-sum(map(len, files)) // workers)
    for number, of_file in enumerate(files):
        hand = hands[number % workers]
        if len(hand) + len(of_file) > full:
            hand = min(hands, key=len)
        hand.extend(of_file)
    return hands
