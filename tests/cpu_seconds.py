"""The processor seconds that each file of tests took, with the processes it started.

A plugin, named in tests/conftest.py. What a test only waits for costs nothing here, so the
figures are the same on a busy machine; what it left running is counted where it is waited for.
`--cpu-page FILE` writes all of them there as JSON.
"""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: So many files are named at the end of a run; all others are one line.
NAMED = 20
#: Shorter runs say nothing.
LEAST = 20.0
BEGAN = pytest.StashKey[float]()
#: File → seconds, of this run.
SPENT: Counter[str] = Counter()


def spent() -> float:
    """Seconds that this process and the children it has waited for have computed."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write all figures."""
    parser.addoption("--cpu-page", help="Write the processor seconds of each file here, as JSON.")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """From here on it is this test's, with the fixtures that it is the first to ask for."""
    item.stash[BEGAN] = spent()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """What it took, in the report of its end; that is how it comes from another process."""
    report: pytest.TestReport = yield  # type: ignore[misc]
    if call.when == "teardown":
        took = spent() - item.stash.get(BEGAN, spent())
        report.user_properties.append(("cpu_seconds", took))
    return report  # type: ignore[return-value]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up, also what other processes report."""
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == "cpu_seconds":
                SPENT[report.nodeid.partition("::")[0]] += value


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The dearest files first."""
    if hasattr(config, "workerinput"):
        return
    if page := config.getoption("--cpu-page"):
        figures = {file: round(took, 1) for file, took in SPENT.most_common()}
        Path(page).write_text(json.dumps(figures, indent=1) + "\n")
    total = sum(SPENT.values())
    if total < LEAST:
        return
    terminalreporter.section("processor seconds")
    named = SPENT.most_common(NAMED)
    for file, took in named:
        terminalreporter.write_line(f"{took:8.1f}  {file}")
    rest = len(SPENT) - len(named)
    if rest:
        terminalreporter.write_line(f"{total - sum(t for _, t in named):8.1f}  {rest} other files")
    terminalreporter.write_line(f"{total:8.1f}  in all")
