"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from runner.store.database import Database
from tests import fresh_store, real_postgres
from tests.reliability.record import (
    fault,
    pytest_addoption,
    pytest_runtest_logreport,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)

__all__ = [
    "fault",
    "pytest_addoption",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
]

pytest_plugins = [
    "tests.cpu_seconds",
    "tests.known_inventory",
    "tests.order",
    "tests.shared_warm",
    "tests.tiers",
]

# A busy machine is slow at making examples; that says nothing of the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="session")
def postgres() -> Iterator[real_postgres.Server]:
    """A real PostgreSQL on a socket of its own."""
    with real_postgres.server() as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is marked `store` runs on each kind of store."""
    mark = metafunc.definition.get_closest_marker("store")
    if "store_url" in metafunc.fixturenames and mark:
        marks = [pytest.mark.nightly] if "nightly" in mark.args else []
        second = pytest.param("postgresql", marks=marks)
        metafunc.parametrize("store_url", ["sqlite", second], indirect=True)


@pytest.fixture
def store_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty store at the newest schema: SQLite where nothing else is said."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: real_postgres.Server = request.getfixturevalue("postgres")
        return server.new_store()
    return fresh_store.place(tmp_path / "store.db")


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """An empty store."""
    database = Database(store_url)
    yield database
    database.close()
