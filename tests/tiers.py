"""A test lies in the folder of what it needs, so that a folder can be run where only that is there.

A plugin, named in tests/conftest.py: `tests/unit` starts none of the programs of others, and
`tests/store` needs no more than PostgreSQL. CONTRIBUTING.md has the table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
#: Folder → marks that no test in it has.
TOO_MUCH = {
    "unit": ("fault", "lab", "real", "slow", "store"),
    "store": ("fault", "lab", "real", "slow"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that needs too much."""
    folder = item.path.parent.name if item.path.parent.parent == TESTS else ""
    for mark in TOO_MUCH.get(folder, ()):
        if item.get_closest_marker(mark):
            right = "store" if mark == "store" else "real"
            pytest.fail(f"It is marked {mark}, so it belongs to tests/{right}, not tests/{folder}.")
