"""A test that needs more than its folder says fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiers import TESTS, pytest_runtest_setup


def marked(path: Path, *marks: str) -> Any:
    return SimpleNamespace(
        path=path, get_closest_marker=lambda mark: mark if mark in marks else None
    )


@pytest.mark.parametrize(
    ("folder", "mark", "where"),
    [
        ("unit", "real", "it belongs to tests/real, not tests/unit"),
        ("unit", "slow", "it belongs to tests/real, not tests/unit"),
        ("unit", "store", "it belongs to tests/store, not tests/unit"),
        ("store", "real", "it belongs to tests/real, not tests/store"),
    ],
)
def test_what_needs_too_much_fails(folder: str, mark: str, where: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=where):
        pytest_runtest_setup(marked(TESTS / folder / "test_x.py", mark))


@pytest.mark.parametrize(
    ("folder", "marks"),
    [("unit", ()), ("unit", ("nightly",)), ("store", ("store",)), ("real", ("real", "slow"))],
)
def test_what_its_folder_has_is_not(folder: str, marks: tuple[str, ...]) -> None:
    pytest_runtest_setup(marked(TESTS / folder / "test_x.py", *marks))
