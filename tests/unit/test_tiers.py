"""A test that needs more than its folder says is refused before any test begins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiers import TESTS, pytest_collection_modifyitems


def marked(path: Path, *marks: str) -> Any:
    return SimpleNamespace(
        path=path,
        nodeid="test_x.py::test_x",
        get_closest_marker=lambda mark: mark if mark in marks else None,
    )


@pytest.mark.parametrize(
    ("folder", "mark", "where"),
    [
        ("unit", "real", "it belongs to tests/real, not tests/unit"),
        ("unit", "slow", "it belongs to tests/real, not tests/unit"),
        ("unit", "store", "it belongs to tests/store"),
        ("store", "real", "it belongs to tests/real, not tests/store"),
    ],
)
def test_what_needs_too_much_is_refused(folder: str, mark: str, where: str) -> None:
    with pytest.raises(pytest.UsageError, match=where):
        pytest_collection_modifyitems([marked(TESTS / folder / "test_x.py", mark)])


@pytest.mark.parametrize(
    ("folder", "marks"),
    [("unit", ()), ("unit", ("nightly",)), ("store", ("store",)), ("real", ("real", "slow"))],
)
def test_what_its_folder_has_is_not(folder: str, marks: tuple[str, ...]) -> None:
    pytest_collection_modifyitems([marked(TESTS / folder / "test_x.py", *marks)])
