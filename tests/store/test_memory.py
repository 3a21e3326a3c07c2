"""The memory: incidents that have ended are found again by their words, and words do nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runner.autonomy.record import Feedback
from runner.config import Retention
from runner.evidence import gather
from runner.incident import Alert, AlertStatus, Incident, Level, State
from runner.store import incidents, learning, memory, retention, tables
from runner.store.database import Database
from runner.store.similar import find_similar
from runner.text import storable
from runner.text.duration import parse
from tests import fresh_store

pytestmark = pytest.mark.store

NOW = datetime.now(UTC)


def opened(database: Database, name: str = "Down", note: str = "", **labels: str) -> Incident:
    with database.write() as tx:
        number = len(incidents.find(tx, limit=1000)) + 1
        alert = Alert(
            fingerprint=f"{number:016x}",
            status=AlertStatus.FIRING,
            labels={"alertname": name, **labels},
            annotations={"note": note} if note else {},
            starts_at=NOW,
        )
        made = incidents.open_incident(
            tx, alert, environment="test", ceiling=Level.AUTO, reason="fires", now=NOW
        )
        assert made is not None
        return incidents.get(tx, made)


def ended(database: Database, name: str = "Down", reason: str = "it is well again",
          state: State = State.FIXED, note: str = "", **labels: str) -> int:  # fmt: skip
    number = opened(database, name, note, **labels).id
    with database.write() as tx:
        incidents.move(tx, number, State.DECIDED, "chosen", entry="heal")
        assert incidents.move(tx, number, state, reason)
    return number


def alike(database: Database, incident: Incident, limit: int = 5) -> list[int]:
    with database.read() as tx:
        return [found.id for found in find_similar(tx, incident, limit)]


def test_the_most_alike_come_first(database: Database) -> None:
    other = ended(database, "DiskFull", mountpoint="/var")
    far = ended(database, "Down", service="mail", instance="db7:9100")
    near = ended(database, "Down", service="shop", instance="web1:9100")
    one = opened(database, "Down", service="shop", instance="web1:9100")
    assert alike(database, one) == [near, far]
    assert alike(database, opened(database, "Slow", mountpoint="/var")) == [other]
    assert alike(database, opened(database, "Nothing", a="unheard")) == []


def test_the_same_alert_comes_before_any_other(database: Database) -> None:
    same = ended(database, "Down", instance="db7")
    words = {"instance": "web1", "service": "shop", "team": "blue", "region": "north"}
    ended(database, "Slow", **words)
    assert alike(database, opened(database, "Down", **words))[0] == same


def test_what_nearly_all_say_is_not_searched_for_and_the_same_alert_still_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that ranks every incident takes half a second with 100,000 of them. Only SQLite
    ranks every hit."""
    database = Database(fresh_store.place(tmp_path / "store.db"))
    monkeypatch.setattr(memory, "_MANY", 3)
    mine = ended(database, "Slow", instance="web1", team="blue")
    same = [ended(database, "Down", instance=f"web{n}", team="blue") for n in (2, 3, 4)]
    here = ended(database, "Down", instance="web1", team="blue")
    one = opened(database, "Down", instance="web1", team="blue")
    with database.read() as tx:
        found = memory.search(tx, ["down", "blue", "web1"], before=one.id)
    assert set(found) == {mine, here}
    assert alike(database, one) == [here, *reversed(same), mine]
    database.close()


def test_only_the_incidents_that_are_returned_are_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        ended(database, "Down", instance="web1")
    one = opened(database, "Down", instance="web1")
    read: list[int] = []
    whole = incidents.from_row

    def counted(row: sa.RowMapping) -> Incident:
        read.append(row["id"])
        return whole(row)

    monkeypatch.setattr(incidents, "from_row", counted)
    assert len(alike(database, one, limit=3)) == len(read) == 3


def test_open_incidents_are_found_by_an_index(tmp_path: Path) -> None:
    """With 100,000 incidents a look at each row takes seconds. PostgreSQL plans by the size of
    the table, SQLite by the question alone."""
    database = Database(fresh_store.place(tmp_path / "store.db"))
    asked: list[tuple[str, object]] = []
    sa.event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, given, *_: asked.append((statement, given)),
    )
    with database.read() as tx:
        incidents.find(tx, ended=False)
        statement, given = asked[-1]
        plan = tx.exec_driver_sql(f"explain query plan {statement}", given).all()
    assert any("ix_incidents_state" in row.detail for row in plan)
    database.close()


def test_reasons_and_what_people_said_are_remembered(database: Database) -> None:
    number = ended(database, "Down", "the switch in rack nine lost power")
    word = Feedback(incident=number, right=False, by="user:ann", reason="replace psu", at=NOW)
    with database.write() as tx:
        learning.say(tx, word)
    for text in ("lost POWER", "psu?", "heal", "wrong", "fixed"):
        with database.read() as tx:
            assert list(memory.search(tx, [text], before=99)) == [number], text


def test_it_remembers_only_what_came_before_and_was_handled(database: Database) -> None:
    ended(database, "Down", state=State.SUPPRESSED)
    one = opened(database, "Down")
    ended(database, "Down")
    assert alike(database, one) == []
    assert alike(database, opened(database, "Down")) == [3]


def test_an_open_incident_is_not_remembered(database: Database) -> None:
    opened(database, "Down")
    assert alike(database, opened(database, "Down")) == []


def test_what_is_said_again_replaces_what_was_kept(database: Database) -> None:
    number = ended(database, "Down")
    with database.write() as tx:
        memory.remember(tx, number)
        memory.remember(tx, number)
        tx.execute(tables.incidents.update().values(reason="quite another story"))
        memory.remember(tx, number)
        assert list(memory.search(tx, ["story"], before=99)) == [number]
        assert memory.search(tx, ["well"], before=99) == {}


def test_retention_forgets(database: Database) -> None:
    """Invariant 14."""
    ended(database, "Down", "unforgettable")
    with database.write() as tx:
        gone = retention.sweep(tx, Retention(incidents=parse("1d")), NOW + timedelta(days=2))
        assert gone["incidents"] == 1
        assert memory.search(tx, ["unforgettable"], before=99) == {}


def test_what_is_kept_and_asked_is_bounded(database: Database) -> None:
    """Invariant 14."""
    ended(database, "Down", "long " * 9000)
    with database.read() as tx:
        kept = tx.execute(sa.select(tables.memory.c.text)).scalar_one()
    assert len(kept) == memory.MAX_TEXT
    many = memory.tokens(f"word{number} " + "x" * 500 for number in range(500))
    assert len(many) == memory.MAX_WORDS
    assert max(map(len, many)) == memory.MAX_LENGTH


HOSTILE = [
    '" OR rowid > 0 --', "NEAR(a b)", "text:x", "a* ^b", "-c", "'; drop table memory; --",
    "a & !b | (c", "<->", "a:*", "\\", "\x00", "{{ x }}", "_", "__", "''", '""', "AND", "NOT",
]  # fmt: skip


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), max_size=5))
@example(HOSTILE)
@example(["\u023a\u2c6f \u0345 \u01c5 \ufdfa \u0130 \U0001d7d8 \u2460 \u00b2 \u0969"])
def test_hostile_words_are_only_words(database: Database, texts: list[str]) -> None:
    """Invariant 5: nothing that an alert says is a query; and a search changes nothing."""
    with database.write() as tx:
        if tx.execute(sa.select(sa.func.count()).select_from(tables.memory)).scalar_one() == 0:
            tx.execute(tables.memory.insert().values(incident=1, text="harmless"))
    found = {"harmless"} & set(memory.tokens(texts))
    with database.read() as tx:
        assert bool(memory.search(tx, [storable(text) for text in texts], before=9)) is bool(found)
        assert tx.execute(sa.select(tables.memory.c.text)).scalars().all() == ["harmless"]


@given(st.text())
def test_words_hold_no_syntax(text: str) -> None:
    """Invariant 5."""
    assert not set("".join(memory.tokens([text]))) & set("\"'*:^()&|!<>-+\\_ \n\x00")


def test_evidence_says_what_came_of_them_and_what_people_said(database: Database) -> None:
    number = ended(database, "Down")
    with database.write() as tx:
        word = Feedback(incident=number, right=False, by="user:ann", reason="not that", at=NOW)
        learning.say(tx, word)
        past = (incidents.get(tx, number),)
        words = learning.feedback_of(tx, [number])
    (found,) = gather.history(past, at=NOW, words=words)
    assert f"#{number}, " in found.text and "fixed: it is well again" in found.text
    assert "user:ann said that this was wrong: not that" in found.text
