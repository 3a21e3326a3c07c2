"""Fixtures that many tests share. `RUNNER_TEST_STORE=postgresql` runs them on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from runner import engine
from runner.store.database import Database
from tests import real_postgres
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

# A busy machine is slow at making examples; that says nothing of the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="session")
def postgres() -> Iterator[real_postgres.Server]:
    """A real PostgreSQL on a socket of its own."""
    with real_postgres.server() as server:
        yield server


@pytest.fixture
def store_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty store: SQLite, or PostgreSQL when the variable says so."""
    if os.environ.get("RUNNER_TEST_STORE") == "postgresql":
        server: real_postgres.Server = request.getfixturevalue("postgres")
        return server.new_database()
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """An empty store at the newest schema."""
    database = Database(store_url)
    engine.migrate(database)
    yield database
    database.close()
