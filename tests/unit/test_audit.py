from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.store import audit_export, audit_log
from runner.store.audit_export import explain, export, verify_export
from runner.store.database import Database
from runner.store.tables import chain
from tests import fresh_store
from tests.unit.test_trail import START, fill, sql


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(fresh_store.place(tmp_path_factory.mktemp("audit") / "runner.db"))
    yield made
    made.close()


@pytest.fixture
def tx(store: Database) -> Iterator[sa.Connection]:
    with store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        fill(connection)
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def exports(store: Database) -> dict[str, list[str]]:
    """A whole export, one since a time, and one of an incident."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        fill(connection)
        made = {
            "whole": lines(connection),
            "since": lines(connection, since=START + timedelta(hours=3)),
            "incident": lines(connection, incident=2),
        }
        connection.rollback()
    return made


def lines(tx: sa.Connection, **which: object) -> list[str]:
    out = io.StringIO()
    export(tx, out, **which)  # type: ignore[arg-type]
    return out.getvalue().splitlines(keepends=True)


KINDS = ("whole", "since", "incident")


@pytest.mark.parametrize(("kind", "rows"), [("whole", 8), ("since", 5), ("incident", 2)])
def test_an_export_proves_itself(exports: dict[str, list[str]], kind: str, rows: int) -> None:
    """Invariant 12: an export that nobody touched verifies."""
    finding = verify_export(exports[kind])
    assert (finding.rows, finding.broken) == (rows, None)
    assert len(exports[kind]) == rows + 1


def test_an_export_ends_with_the_head_of_the_store(tx: sa.Connection) -> None:
    finding = verify_export(lines(tx), head=audit_log.verify(tx).head)
    assert finding.broken is None
    assert finding.head == audit_log.verify(tx).head


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(data=st.data())
def test_any_edit_of_an_export_is_found(
    exports: dict[str, list[str]], kind: str, data: st.DataObject
) -> None:
    """Invariant 12: whatever character of whatever line is another one."""
    made = list(exports[kind])
    number = data.draw(st.integers(0, len(made) - 1))
    line = made[number].rstrip("\n")
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != line[place]))
    made[number] = line[:place] + other + line[place + 1 :] + "\n"
    assert verify_export(made).broken is not None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_removed_doubled_or_moved_line_is_found(
    exports: dict[str, list[str]], kind: str, data: st.DataObject
) -> None:
    """Invariant 12: removal, truncation, doubling and reordering of lines."""
    made = exports[kind]
    one, two = data.draw(
        st.lists(st.integers(0, len(made) - 1), min_size=2, max_size=2, unique=True).map(sorted)
    )
    swapped = list(made)
    swapped[one], swapped[two] = made[two], made[one]
    removed = made[:one] + made[one + 1 :]
    for changed in (swapped, removed, made[: one + 1], made[:two] + made[one:]):
        if changed != made:
            assert verify_export(changed).broken is not None


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_time_written_otherwise_is_an_edit(
    exports: dict[str, list[str]], kind: str
) -> None:
    """Invariant 12: an edit that changes no meaning is one too."""
    made = [line.replace("+00:00", "Z") for line in exports[kind]]
    assert "was changed" in str(verify_export(made).broken)
    spaced = [json.dumps(json.loads(line)) for line in exports[kind]]
    assert "was changed" in str(verify_export(spaced).broken)


def test_a_rewritten_export_is_found_by_the_head_that_was_kept(tx: sa.Connection) -> None:
    """Invariant 12: who rewrites the whole file cannot rewrite the head kept elsewhere."""
    kept = audit_log.verify(tx).head
    sql(tx, "delete from transitions")
    sql(tx, "delete from chain")
    fill(tx, 7)
    assert verify_export(lines(tx)).broken is None
    assert "ends with hash" in str(verify_export(lines(tx), head=kept).broken)


@pytest.mark.parametrize(
    "text",
    ["update transitions set reason = 'x' where sequence = 6",
     "delete from transitions where sequence = 6",
     "delete from transitions where sequence > 6"],
)  # fmt: skip
def test_a_store_that_was_edited_exports_what_it_holds(tx: sa.Connection, text: str) -> None:
    """Invariant 12: the export of a broken chain is broken at the same place."""
    sql(tx, text)
    for made in (lines(tx), lines(tx, since=START + timedelta(hours=2))):
        assert verify_export(made).broken is not None


def test_an_export_after_a_cut_verifies(tx: sa.Connection) -> None:
    """Invariant 12: a cut trail exports from its new beginning."""
    tx.execute(chain.update().values(notified=8))
    audit_log.cut(tx, START + timedelta(hours=4))
    assert verify_export(lines(tx)).rows == 4
    assert verify_export(lines(tx, incident=2)).broken is None


@pytest.mark.parametrize("which", [{"incident": 99}, {"since": START + timedelta(days=9)}])
def test_an_export_of_nothing_verifies(tx: sa.Connection, which: dict[str, object]) -> None:
    finding = verify_export(lines(tx, **which))
    assert (finding.rows, finding.broken) == (0, None)


def test_an_export_of_an_empty_store_verifies(store: Database) -> None:
    with store.read() as tx:
        assert verify_export(lines(tx)) == audit_log.Finding(rows=0, head=audit_log.GENESIS)


@given(st.lists(st.text()))
def test_a_file_that_is_no_export_is_broken_and_raises_nothing(text: list[str]) -> None:
    assert verify_export(text).broken is not None


@pytest.mark.parametrize("line", ["[" * 9999, "null", "{}", '{"format": 1}', "1e999", "\ud800"])
def test_an_odd_first_line_is_told(line: str) -> None:
    assert verify_export([line]).broken == "line 1 is not a line of an audit export"


def test_a_row_that_was_written_meanwhile_is_left_out(tx: sa.Connection) -> None:
    made = lines(tx)
    assert [json.loads(line)["sequence"] for line in made[1:]] == list(range(1, 9))
    assert len(list(audit_export._between(tx, 2, 5))) == 4


def test_an_explanation_names_the_place() -> None:
    broken = audit_log.Finding(rows=2, head="ab" * 32, broken="transition 3 is missing")
    assert "transition 3 is missing. The 2 entries before" in explain(broken)
    assert explain(audit_log.Finding(rows=1, head="cd")) == "Audit log intact: 1 entry, head cd."
