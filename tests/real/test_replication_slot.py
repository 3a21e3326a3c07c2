"""Replication slots of a real PostgreSQL: which are dropped, and which never."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.real_postgres import Server
from tests.role_code import module_of

pytestmark = pytest.mark.real

Connection = psycopg.Connection[Any]


@pytest.fixture
def sql(postgres: Server) -> Iterator[Connection]:
    """A superuser's connection; slots go with the test."""
    with psycopg.connect(
        host=str(postgres.folder), dbname="postgres", user="runner", autocommit=True
    ) as connection:
        yield connection
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
        )


def physical(sql: Connection, name: str = "gone") -> None:
    """A slot that keeps some WAL."""
    sql.execute("SELECT pg_create_physical_replication_slot(%s, true)", (name,))
    write(sql)


def write(sql: Connection) -> None:
    sql.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 200000))")


def slots(sql: Connection) -> set[str]:
    return {row[0] for row in sql.execute("SELECT slot_name FROM pg_replication_slots")}


def called(
    capsys: pytest.CaptureFixture[str], postgres: Server, check: bool = False, **given: Any
) -> Any:
    module = module_of("modules/replication_slot.py")
    arguments = {
        "name": "gone", "min_bytes": 100_000, "window": 0, "socket": str(postgres.folder),
        "role": "runner", "system_user": "", "_ansible_check_mode": check, **given,
    }  # fmt: skip
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_an_inactive_slot_that_keeps_much_is_dropped_and_no_other(
    postgres: Server, sql: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    physical(sql)
    physical(sql, "other")
    dry = called(capsys, postgres, check=True)
    assert (dry["changed"], dry["dropped"], slots(sql)) == (True, False, {"gone", "other"})
    write(sql)
    found = called(capsys, postgres)
    assert (found["changed"], found["dropped"], slots(sql)) == (True, True, {"other"})
    assert found["kept_bytes"] > dry["kept_bytes"] > 100_000
    assert dry["diff"] == found["diff"] == {
        "before": "gone: physical slot, inactive, keeps more than 100000 bytes of WAL\n",
        "after": "",
    }  # fmt: skip
    again = called(capsys, postgres)
    assert (again["changed"], again["dropped"]) == (False, True)


def test_a_logical_slot_is_dropped_from_its_own_database(
    postgres: Server, sql: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of the database is data: it is no string of connection parameters."""
    name = "host=127.0.0.1 port=1"
    sql.execute(f'CREATE DATABASE "{name}"')
    with psycopg.connect(
        host=str(postgres.folder), dbname=name, user="runner", autocommit=True
    ) as inside:
        inside.execute("SELECT pg_create_logical_replication_slot('gone', 'pgoutput')")
    write(sql)
    found = called(capsys, postgres)
    assert found["dropped"] and found["slot"]["database"] == name


def test_a_slot_that_keeps_little_is_refused(
    postgres: Server, sql: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    physical(sql)
    found = called(capsys, postgres, min_bytes=10**9)
    assert found["failed"] and "bytes of WAL, less than 1000000000, and is not" in found["msg"]
    assert slots(sql) == {"gone"}


def test_a_slot_that_reserves_nothing_is_refused(
    postgres: Server, sql: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    sql.execute("SELECT pg_create_physical_replication_slot('gone')")
    assert "keeps 0 bytes of WAL" in called(capsys, postgres, min_bytes=1)["msg"]


def test_a_slot_in_use_is_refused(
    postgres: Server, sql: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    physical(sql)
    words = ["-h", str(postgres.folder), "-U", "runner", "-S", "gone", "-D", str(tmp_path)]
    receiver = [str(postgres.binaries / "pg_receivewal"), *words]
    with subprocess.Popen(receiver, stderr=subprocess.DEVNULL) as streaming:
        active = "SELECT active FROM pg_replication_slots"
        while sql.execute(active).fetchone() != (True,):
            assert streaming.poll() is None
        found = called(capsys, postgres)
        streaming.kill()
    assert found["msg"] == "the slot gone is in use, and is not dropped."
    while sql.execute(active).fetchone() != (False,):
        continue


def test_a_slot_that_is_used_while_it_is_watched_is_refused(
    postgres: Server,
    sql: Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    physical(sql)
    module = module_of("modules/replication_slot.py")

    def used(_: float) -> None:
        sql.execute("SELECT pg_replication_slot_advance('gone', pg_current_wal_lsn())")

    monkeypatch.setattr(module.time, "sleep", used)
    monkeypatch.setattr("tests.real.test_replication_slot.module_of", lambda _: module)
    assert "was used or dropped within 0 s" in called(capsys, postgres)["msg"]
    assert slots(sql) == {"gone"}


def slot(**said: Any) -> dict[str, Any]:
    return {
        "active": False, "temporary": False, "in_step": False, "kept_bytes": 200,
        "inactive_seconds": None, "restart_lsn": "0/1", **said,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, ""),
        ({"temporary": True}, "is temporary"),
        ({"in_step": True}, "is kept in step with the primary; drop it there"),
        ({"inactive_seconds": 899}, "is inactive for 899 s only, less than 900"),
        ({"inactive_seconds": 901}, ""),
    ],
)
def test_what_later_releases_know_counts(said: dict[str, Any], why: str) -> None:
    """PostgreSQL 17 says since when a slot is inactive, and which are copies of the primary's."""
    refusal = module_of("modules/replication_slot.py").refusal
    given = {"min_bytes": 100, "min_inactive": 900, "window": 0}
    found = refusal(slot(**said), slot(**said), given)
    assert found.startswith(why) and bool(found) == bool(why)
