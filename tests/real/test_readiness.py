"""Ready means that the store takes writes: asked seldom, and never waited for without an end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner.errors import StoreError
from runner.store import workers
from runner.store.database import Database
from runner.web import ready
from runner.web.ready import Readiness
from tests import small_project as small
from tests import web_site
from tests.real_postgres import Server


@pytest.fixture
def store(postgres: Server) -> Iterator[tuple[Server, str]]:
    """A PostgreSQL database that can be made read-only by its name."""
    url = postgres.new_store()
    yield postgres, url


def read_only(server: Server, url: str, to: bool) -> None:
    """As the database of a primary that became a standby behaves to whoever connects anew."""
    name = sa.make_url(url).database
    engine = sa.create_engine(server.url("postgres").replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        setting = f"default_transaction_read_only = {'on' if to else 'off'}"
        connection.exec_driver_sql(f"alter database {name} set {setting}")
    engine.dispose()


@pytest.mark.real
def test_a_connection_to_a_read_only_server_is_not_used_again(store: tuple[Server, str]) -> None:
    server, url = store
    read_only(server, url, True)
    database = Database(url)
    try:
        with pytest.raises(StoreError, match="read-only"), database.write() as tx:
            workers.join(tx, "one", "here")
        read_only(server, url, False)  # as if the name led to the new primary now
        with database.write() as tx:
            workers.join(tx, "one", "here")
    finally:
        database.close()


@pytest.mark.real
def test_a_store_that_only_reads_is_not_ready_and_is_again_by_itself(
    store: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "FRESH", 0.0)
    server, url = store
    opened = small.project(small.make(tmp_path), url)
    try:
        with web_site.site(opened) as client:
            assert client.get("/readyz").status_code == 200
            opened.database.engine.dispose()
            read_only(server, url, True)
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            read_only(server, url, False)
            assert client.get("/readyz").status_code == 200
    finally:
        opened.close()


def test_the_store_is_asked_once_however_many_want_to_know() -> None:
    asked, hold = [], threading.Event()

    def write() -> None:
        asked.append(1)
        hold.wait(20)

    one = Readiness(write)
    askers = [threading.Thread(target=one.require) for _ in range(8)]
    for each in askers:
        each.start()
    hold.set()
    for each in askers:
        each.join()
    one.require()
    assert len(asked) == 1


def test_a_store_that_never_answers_is_down_and_is_asked_by_one_thread_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ready, "PATIENCE", 0.05)
    asked, hold = [], threading.Event()

    def write() -> None:
        asked.append(1)
        hold.wait(20)

    one = Readiness(write)
    for _ in range(3):
        with pytest.raises(StoreError, match="did not take a write"):
            one.require()
    assert len(asked) == 1
    hold.set()


def test_a_defect_is_not_ready() -> None:
    def write() -> None:
        raise ZeroDivisionError

    with pytest.raises(StoreError, match="ZeroDivisionError"):
        Readiness(write).require()
