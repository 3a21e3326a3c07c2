from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.store import audit_log
from runner.store.database import Database
from runner.store.tables import chain, transitions
from tests import fresh_store

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(fresh_store.place(tmp_path_factory.mktemp("trail") / "runner.db"))
    yield made
    made.close()


@pytest.fixture
def tx(store: Database) -> Iterator[sa.Connection]:
    """A transaction that is rolled back, with eight transitions an hour apart."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        fill(connection)
        yield connection
        connection.rollback()


def fill(tx: sa.Connection, rows: int = 8) -> None:
    for number in range(rows):
        audit_log.append(
            tx,
            action="admitted",
            reason=f"because {number}",
            incident=number // 2,
            detail={"number": number, "share": 0.1, "text": "ä\u2028"},
            at=START + timedelta(hours=number),
        )


def sql(tx: sa.Connection, text: str, **values: Any) -> None:
    tx.execute(sa.text(text), values)


def test_an_untouched_trail_is_whole(tx: sa.Connection) -> None:
    """Invariant 12: what nobody touched verifies."""
    finding = audit_log.verify(tx)
    assert (finding.rows, finding.broken) == (8, None)
    assert finding.head == audit_log.after(tx, 7)[0].hash


def test_an_empty_trail_is_whole(store: Database) -> None:
    """Invariant 12: there is nothing to find in an empty trail."""
    with store.read() as tx:
        assert audit_log.verify(tx) == audit_log.Finding(rows=0, head=audit_log.GENESIS)


VALUES = {
    "incident": st.one_of(st.none(), st.integers(0, 9)),
    "at": st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(str),
    "actor": st.text(max_size=9),
    "action": st.text(max_size=9),
    "previous": st.one_of(st.none(), st.text(max_size=9)),
    "reason": st.text(max_size=9),
    "detail": st.sampled_from(["{}", '{"number": 3}', "[]", "null", '"x"', '{"share": 0.2}']),
    "hash": st.text("0123456789abcdef", min_size=64, max_size=64),
    "sequence": st.integers(-3, 30),
}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), row=st.integers(1, 8), column=st.sampled_from(sorted(VALUES)))
def test_any_edit_of_one_row_is_found(
    tx: sa.Connection, data: st.DataObject, row: int, column: str
) -> None:
    """Invariant 12: whatever column of whatever row is changed, by raw SQL, to whatever."""
    value = data.draw(VALUES[column])
    if column == "sequence" and 1 <= value <= 8:
        value += 8
    was = raw(tx, row)
    with tx.begin_nested() as undo:
        sql(tx, f"update transitions set {column} = :value where sequence = :row",
            value=value, row=row)  # fmt: skip
        if column == "sequence" or raw(tx, row) != was:
            assert audit_log.verify(tx).broken is not None
        undo.rollback()


def raw(tx: sa.Connection, row: int) -> tuple[Any, ...] | None:
    found = tx.execute(sa.select(transitions).where(transitions.c.sequence == row)).first()
    return tuple(found) if found else None


@pytest.mark.parametrize("row", range(1, 9))
def test_a_removed_row_is_found(tx: sa.Connection, row: int) -> None:
    """Invariant 12: a row is missing at the beginning, in the middle or at the end."""
    sql(tx, "delete from transitions where sequence = :row", row=row)
    assert audit_log.verify(tx).broken is not None


@pytest.mark.parametrize("keep", [0, 1, 7])
def test_a_truncated_trail_is_found(tx: sa.Connection, keep: int) -> None:
    """Invariant 12: the end of the trail is known without its rows."""
    sql(tx, "delete from transitions where sequence > :keep", keep=keep)
    assert f"ends at transition {keep} but 8 were written" in str(audit_log.verify(tx).broken)


def test_two_swapped_rows_are_found(tx: sa.Connection) -> None:
    """Invariant 12: the order is part of the proof."""
    for old, new in ((3, 100), (4, 3), (100, 4)):
        sql(tx, "update transitions set sequence = :new where sequence = :old", old=old, new=new)
    assert audit_log.verify(tx).broken == "transition 3 was changed after it was written"


def test_a_row_that_was_slipped_in_at_the_end_is_found(tx: sa.Connection) -> None:
    """Invariant 12: a row with a right hash is still one too many."""
    before = audit_log.after(tx, 7)[0].hash
    row = {"sequence": 9, "incident": 1, "at": START, "actor": "runner", "action": "fixed",
           "previous": None, "reason": "", "detail": {}}  # fmt: skip
    tx.execute(transitions.insert().values(row | {"hash": audit_log.digest(before, row)}))
    assert audit_log.verify(tx).broken is not None


@pytest.mark.parametrize("text", ["delete from chain", "update chain set head = ''",
                                  "update chain set last = 7", "update chain set first = 2",
                                  "update chain set before = 'x'"])  # fmt: skip
def test_an_edit_of_the_chains_ends_is_found(tx: sa.Connection, text: str) -> None:
    """Invariant 12: the row that holds both ends is guarded by what it names."""
    sql(tx, text)
    assert audit_log.verify(tx).broken is not None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_a_cut_leaves_a_trail_that_verifies(tx: sa.Connection, hours: list[int]) -> None:
    """Invariant 12: retention moves the beginning and breaks nothing."""
    with tx.begin_nested() as undo:
        tx.execute(chain.update().values(notified=8))
        gone = sum(audit_log.cut(tx, START + timedelta(hours=hour)) for hour in hours)
        audit_log.append(tx, action="pause", reason="after the cut")
        finding = audit_log.verify(tx)
        assert (finding.rows, finding.broken) == (9 - gone, None)
        assert gone == min(7, max(hours))
        undo.rollback()


def test_a_row_removed_after_a_cut_is_found(tx: sa.Connection) -> None:
    """Invariant 12: the new beginning is guarded like the old one."""
    tx.execute(chain.update().values(notified=8))
    assert audit_log.cut(tx, START + timedelta(hours=3)) == 3
    sql(tx, "delete from transitions where sequence = 4")
    assert audit_log.verify(tx).broken == "transition 4 is missing: the next row is 5"


def test_a_cut_keeps_what_a_receiver_has_not_been_told(tx: sa.Connection) -> None:
    tx.execute(chain.update().values(notified=2))
    assert audit_log.cut(tx, START + timedelta(days=1)) == 2
    assert audit_log.verify(tx).broken is None


def test_a_trail_longer_than_a_page_verifies(tx: sa.Connection) -> None:
    fill(tx, 1200)
    assert audit_log.verify(tx).rows == 1208
    assert [row.sequence for row in audit_log.walk(tx)] == list(range(1, 1209))
