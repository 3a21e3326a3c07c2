"""Counts what tests of `tests/reliability/matrix.py` injected and saw; fails them by it.

Imported by tests/conftest.py. With `--reliability-page FILE` the rows that were run
are written into the table of docs/reliability.md; without it the totals are only said.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.matrix import MATRIX

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
HEAD = (
    "| fault | promised | seen | injected | lost | run twice | wrongly fixed | test |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
LEAST = 300  #: failures that a whole run injects
NOT_YET = "not run yet"  #: stands in a row until `make reliability` has run it
OUTCOME = pytest.StashKey[str]()
#: What the last run of this process recorded, a list for each row.
RECORDS: dict[str, list[dict[str, Any]]] = defaultdict(list)


@dataclass
class Injected:
    """What one test injects and sees; whatever is lost, twice or wrong fails it at its end."""

    row: str
    test: str
    injected: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    whole: bool = False  #: the page is written from this run

    def times(self, whole: int, few: int) -> int:
        """How often to do something: `few` times where the page is not written from it."""
        return whole if self.whole else few

    def failure(self, times: int = 1) -> None:
        """So many failures were injected."""
        self.injected += times

    def alerts(self, told: int, found: int) -> None:
        """So many activations were acknowledged, and so many have an incident that ended."""
        self.lost += max(0, told - found)

    def runs(self, *times: int) -> None:
        """How often each play ran that had reason to run once, as the play itself counted."""
        self.twice += sum(max(0, number - 1) for number in times)

    def ended(self, *states: str, broken: bool = False) -> None:
        """How incidents ended; `broken` says that in truth the trouble was still there."""
        self.seen.update(map(str, states))
        if broken:
            self.wrong += sum(str(state) == "fixed" for state in states)

    def saw(self, what: str, times: int = 1) -> None:
        """Anything else that was seen."""
        self.seen[what] += times


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Injected]:
    """The record of the row that the test is marked with."""
    mark = request.node.get_closest_marker("fault")
    assert mark is not None, "mark the test with @pytest.mark.fault(ROW)"
    path = Path(inspect.getfile(request.function)).relative_to(ROOT)
    page = request.config.getoption("--reliability-page")
    record = Injected(row=mark.args[0], test=path.as_posix(), whole=page is not None)
    yield record
    request.node.user_properties.append(("fault", vars(record) | {"seen": dict(record.seen)}))
    if request.node.stash.get(OUTCOME, None) == "passed":
        assert record.injected, "a test of a fault injects one"
    assert (record.lost, record.twice, record.wrong) == (0, 0, 0), record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Let the fixture know how its test ended."""
    report: pytest.TestReport = yield  # type: ignore[misc]
    if call.when == "call":
        item.stash[OUTCOME] = report.outcome
    return report  # type: ignore[return-value]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make reliability` writes the page."""
    parser.addoption("--reliability-page", help="Write the table into this page.")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect, also from other processes."""
    if report.when == "teardown":
        for name, record in report.user_properties:
            if name == "fault":
                RECORDS[record["row"]].append(record)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say the totals, and write the rows that were run when asked to."""
    if not RECORDS or hasattr(config, "workerinput"):
        return
    totals = [sum(map(column, everything())) for column in (_injected, _lost, _twice, _wrong)]
    said = "injected failures: {}; lost: {}, run twice: {}, wrongly fixed: {}".format(*totals)
    terminalreporter.write_line(said)
    if page := config.getoption("--reliability-page"):
        if any(totals[1:]) or terminalreporter.stats.get("failed"):
            terminalreporter.write_line(f"{page} is left as it is: something failed", red=True)
            return
        write(Path(page))


def everything() -> Iterable[dict[str, Any]]:
    """All records."""
    return [record for records in RECORDS.values() for record in records]


def _injected(record: dict[str, Any]) -> int:
    return int(record["injected"])


def _lost(record: dict[str, Any]) -> int:
    return int(record["lost"])


def _twice(record: dict[str, Any]) -> int:
    return int(record["twice"])


def _wrong(record: dict[str, Any]) -> int:
    return int(record["wrong"])


def write(page: Path) -> None:
    """Put the rows that were run into the page's table, and leave everything else."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    page.write_text(before + BEGIN + table(old) + END + after, encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a row of the table."""
    return [cell.strip() for cell in line.strip().split("|")[1:-1]]


def table(old: str = "") -> str:
    """The rows in the order of the matrix, those that were not run as they stood, and sums."""
    stood = {cells(line)[0]: line for line in old.splitlines(keepends=True) if line[:2] == "| "}
    lines = [_line(key) or stood.get(row.fault) or _not_yet(key) for key, row in MATRIX.items()]
    numbers = [list(map(int, cells(line)[3:7])) for line in lines]
    sums = " | ".join(str(sum(column)) for column in zip(*numbers, strict=True))
    return HEAD + "".join(lines) + f"| all | | | {sums} | |\n"


def _not_yet(key: str) -> str:
    row = MATRIX[key]
    return f"| {row.fault} | {row.promised} | {NOT_YET} | 0 | 0 | 0 | 0 | |\n"


def _line(key: str) -> str:
    """The row as this run saw it; empty when it was not run."""
    records, row = RECORDS.get(key, []), MATRIX[key]
    if not records:
        return ""
    seen: Counter[str] = Counter()
    for record in records:
        seen.update(record["seen"])
    said = ", ".join(f"{number} {what}" for what, number in sorted(seen.items()))
    sums = [str(sum(map(column, records))) for column in (_injected, _lost, _twice, _wrong)]
    tests = sorted({record["test"] for record in records})
    links = ", ".join(f"[{Path(test).name}](../{test})" for test in tests)
    return f"| {' | '.join([row.fault, row.promised, said, *sums, links])} |\n"
