"""Sessions of a real PostgreSQL, idle in a transaction: which are ended, and which never."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.real_postgres import Server
from tests.role_code import module_of

pytestmark = pytest.mark.real

Connection = psycopg.Connection[Any]


class Database:
    """An empty database of the cluster, with roles that may connect."""

    def __init__(self, server: Server, opened: ExitStack) -> None:
        self.folder = server.folder
        self.name = f"idle_{uuid.uuid4().hex[:12]}"
        server.run("createdb", "-h", str(server.folder), "-U", "runner", self.name)
        self._opened = opened
        for role in ("app LOGIN", "backup LOGIN", "stream LOGIN REPLICATION"):
            self.superuser().execute(
                f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END $$"
            )

    def superuser(self) -> Connection:
        return self.connect("runner")

    def connect(self, role: str, application: str = "") -> Connection:
        """A connection, which is closed with the test."""
        connection = psycopg.connect(
            host=str(self.folder), dbname=self.name, user=role, autocommit=True,
            application_name=application,
        )  # fmt: skip
        self._opened.callback(connection.close)
        return connection

    def idle(
        self, role: str = "app", application: str = "", statement: str = "SELECT 1"
    ) -> Connection:
        """A session that began a transaction and does nothing more."""
        connection = self.connect(role, application)
        connection.execute("BEGIN")
        connection.execute(statement)
        return connection

    def aged(self, *given: str, **named: str) -> Connection:
        """The same, idle for longer than a second."""
        connection = self.idle(*given, **named)
        pid = connection.info.backend_pid
        query = (
            "SELECT clock_timestamp() - state_change > '1.1s' FROM pg_stat_activity WHERE pid = %s"
        )
        watching = self.superuser()
        while watching.execute(query, (pid,)).fetchone() != (True,):
            time.sleep(0.05)
        return connection


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    with ExitStack() as opened:
        yield Database(postgres, opened)


def alive(connection: Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def called(
    capsys: pytest.CaptureFixture[str], database: Database, check: bool = False, **given: Any
) -> Any:
    """What the module answers for this database."""
    module = module_of("modules/idle_sessions.py")
    arguments = {
        "age": 1, "database": database.name, "socket": str(database.folder), "role": "runner",
        "system_user": "", "_ansible_check_mode": check, **given,
    }  # fmt: skip
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_a_session_over_the_age_is_ended_and_one_without_a_transaction_is_not(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    old, resting = database.aged(application="worker"), database.connect("app")
    dry = called(capsys, database, check=True)
    assert (dry["changed"], dry["ended"]) == (True, 0)
    found = called(capsys, database)
    assert (found["changed"], found["ended"], found["left"]) == (True, 1, 0)
    assert dry["diff"] == found["diff"]
    assert found["diff"]["before"].startswith(f"app@{database.name} by worker")
    assert not alive(old) and alive(resting)


def test_it_says_how_many_wait_for_it_and_a_second_run_changes_nothing(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.superuser().execute("CREATE TABLE a (b int); GRANT ALL ON a TO app")
    database.aged(statement="LOCK TABLE a")
    database.connect("app").pgconn.send_query(b"SELECT * FROM a")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while database.superuser().execute(waits).fetchone() != (1,):
        time.sleep(0.05)
    found = called(capsys, database)
    assert [one["blocking"] for one in found["sessions"]] == [1]
    again = called(capsys, database)
    assert (again["changed"], again["sessions"], again["ended"]) == (False, [], 0)


@pytest.mark.parametrize(
    ("role", "given", "why"),
    [
        ("runner", {}, "a superuser's"),
        ("stream", {}, "of replication"),
        ("backup", {"protected": ["backup"]}, "protected"),
        ("app", {"protected": ["pg_dump.*"]}, "protected"),
        ("app", {"databases": ["other"]}, "in another database"),
    ],
)
def test_what_must_not_be_ended_is_refused_and_goes_on(
    database: Database,
    capsys: pytest.CaptureFixture[str],
    role: str,
    given: dict[str, Any],
    why: str,
) -> None:
    session = database.aged(role, application="pg_dump --all")
    found = called(capsys, database, **given)
    assert found["failed"] and found["msg"].startswith("nothing that is idle in a transaction may")
    assert why in found["msg"] and alive(session)


def test_a_younger_one_is_left_alone(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    session = database.idle()
    found = called(capsys, database, age=3600)
    assert (found["changed"], found["sessions"]) == (False, []) and alive(session)


def test_beside_others_a_superuser_s_session_is_left_alone(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = [database.aged(role) for role in ("runner", "stream", "app")]
    found = called(capsys, database)
    assert (found["ended"], found["left"]) == (1, 0)
    assert [alive(each) for each in sessions] == [True, True, False]


def test_a_session_that_went_on_meanwhile_is_not_ended(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = database.aged()
    module = module_of("modules/idle_sessions.py")
    found, first = module.found, []

    def look(given: Any) -> Any:
        seen = found(given)
        if not first:
            first.append(session.execute("SELECT 2"))
        return seen

    monkeypatch.setattr(module, "found", look)
    monkeypatch.setattr("tests.real.test_idle_sessions.module_of", lambda _: module)
    said = called(capsys, database, grace=0)
    assert said["ended"] == 0 and alive(session)


def test_too_many_are_a_person_s(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    session = database.aged()
    found = called(capsys, database, max=0)
    assert found["msg"] == "1 sessions are idle in a transaction, more than 0; a person must look."
    assert alive(session)


def test_functions_of_others_are_not_what_the_superuser_runs(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever owns a schema on the search path of a database gains nothing by it."""
    owner = database.superuser()
    owner.execute("CREATE SCHEMA trap; CREATE FUNCTION trap.host(inet) RETURNS text LANGUAGE sql "
                  "AS 'SELECT pg_sleep(60)::text'")  # fmt: skip
    owner.execute(f"ALTER DATABASE {database.name} SET search_path = trap, pg_catalog")
    session = database.aged()
    assert called(capsys, database)["ended"] == 1 and not alive(session)


def test_a_server_that_does_not_answer_is_one_sentence(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, database, port=1)
    assert found["msg"].startswith(f"PostgreSQL at {database.folder}, port 1, was asked by psql")
    assert "No such file or directory" in found["msg"]


def test_a_protected_name_that_is_no_expression_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = module_of("modules/idle_sessions.py")
    given = {"age": 1, "protected": ["app", "back(up"]}
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()
    msg = json.loads(capsys.readouterr().out)["msg"]
    assert msg.startswith("protected: 'back(up' is no regular expression (missing )")
    assert msg.endswith("; nothing was ended.")
