"""The page says what the tests count: a row for each fault, a test for each row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.reliability import record
from tests.reliability.matrix import MATRIX
from tests.reliability.record import BEGIN, END, LEAST, NOT_YET, Injected

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def rows() -> list[list[str]]:
    """The cells of the page's table, without its head."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return [record.cells(line) for line in text.splitlines() if line.startswith("| ")][1:]


def marked() -> dict[str, set[str]]:
    """Row → files with a test that is marked with it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        keys = set(re.findall(r'mark\.fault\("(\w+)"\)', text))
        if "mark.fault(row(points))" in text and path != Path(__file__):
            keys |= {"kill_step", "kill_run"}
        for which in re.findall(r'modes\("(\w+)"\)', text):
            keys |= {f"{which}_away", f"{which}_slow"}
        for key in keys:
            found.setdefault(key, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert set(marked()) == set(MATRIX)


def test_the_page_has_every_row_with_its_tests() -> None:
    """Write it again with `make reliability`."""
    *faults, _ = rows()
    assert [(row[0], row[1]) for row in faults] == [(r.fault, r.promised) for r in MATRIX.values()]
    for key, row in zip(MATRIX, faults, strict=True):
        if row[2] == NOT_YET:
            continue
        files = {target.removeprefix("../") for target in re.findall(r"\]\((.+?)\)", row[7])}
        assert files == marked()[key], key


def test_the_page_counts_enough_failures_and_nothing_wrong() -> None:
    *faults, sums = rows()
    numbers = [[int(cell) for cell in row[3:7]] for row in faults]
    assert [int(cell) for cell in sums[3:7]] == [
        sum(column) for column in zip(*numbers, strict=True)
    ]
    injected, *wrong = (int(cell) for cell in sums[3:7])
    assert wrong == [0, 0, 0]
    missing = [row[0] for row in faults if row[2] == NOT_YET]
    assert not missing, "run `make reliability`, as root"
    assert injected >= LEAST
    assert all(row[2] and int(row[3]) > 0 for row in faults)


def test_what_is_lost_twice_or_wrong_is_counted() -> None:
    one = Injected(row="kill_step", test="x")
    one.failure(3)
    one.alerts(told=5, found=4)
    one.runs(1, 3, 0)
    one.ended("fixed", "escalated", broken=True)
    one.ended("fixed")
    assert (one.injected, one.lost, one.twice, one.wrong) == (3, 1, 2, 1)
    assert one.seen == {"fixed": 2, "escalated": 1}


def test_a_run_of_some_rows_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}{END}after\n")
    for key, number in (("kill_step", 2), ("kill_run", 5), ("kill_step", 3)):
        one = vars(Injected(row=key, test="tests/test_x.py", injected=number))
        monkeypatch.setattr(record, "RECORDS", {key: [one | {"seen": {"fixed": number}}]})
        record.write(page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| 3 fixed | 3 | 0 | 0 | 0 | [test_x.py](../tests/test_x.py) |" in text
    assert "| 5 fixed | 5 |" in text and "2 fixed" not in text
    assert "| all | | | 8 | 0 | 0 | 0 | |" in text
