"""One lab for most tests that a worker runs here; the tests live in its control namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab import lab as labs
from tests.lab import layout
from tests.lab.game import Game, playing
from tests.lab.lab import Lab
from tests.lab.shell import inside


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is marked `lab`."""
    for item in items:
        if layout.HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session", autouse=True)
def able() -> None:
    """Skips with the reason where there can be no lab. CI installs all programs, or fails."""
    if why := labs.obstacle():
        pytest.skip(why)
    if why := labs.lacking():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


@pytest.fixture(scope="session")
def lab(able: None, worker_id: str) -> Iterator[Lab]:
    """A running lab with its default hosts."""
    with labs.running(at=layout.beside(worker_id)) as made, inside(made.layout.namespace):
        yield made


@pytest.fixture(scope="session")
def game(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A runner that works on the lab."""
    with playing(lab, tmp_path_factory.mktemp("game")) as made:
        yield made
