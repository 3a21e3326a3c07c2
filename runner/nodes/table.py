"""History as a CSV table: time, node, signal, value; the signal `failed` marks a failure."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from runner.errors import UsageError
from runner.nodes.backtest import History

COLUMNS = ("time", "node", "signal", "value")
FAILED = "failed"  #: the signal of a row that says: the node failed then, value 1
MAX_ROWS = 20_000_000
MAX_CELLS = 50_000_000  #: of all series on their grid, which bounds memory

Row = tuple[datetime, str, str, float]


def read(lines: Iterable[str], step: timedelta, signals: Collection[str]) -> History:
    """The history in a table with a heading. Raises UsageError with line and sentence.

    Times are ISO 8601, or seconds since 1970; without a zone they are UTC. Signals that are not
    in `signals` are refused, because a misspelt one would be taken for one that is missing.
    """
    failures: dict[str, datetime] = {}
    rows: list[Row] = []
    for number, (at, node, signal, value) in _rows(lines):
        if signal == FAILED:
            if value > 0:
                failures[node] = min(at, failures.get(node, at))
        elif signal in signals:
            rows.append((at, node, signal, value))
        else:
            raise UsageError(f"line {number}: there is no signal {signal[:80]!r} in nodes.signals")
    if not rows:
        raise UsageError("the table has no values; its columns are time, node, signal, value")
    start, end = min(row[0] for row in rows), max(row[0] for row in rows)
    size = round((end - start) / step) + 1
    names = {(node, signal) for _, node, signal, _ in rows}
    if size * len(names) > MAX_CELLS:
        raise UsageError("the table spans too long a time for its step; cut it, or raise the step")
    nodes = sorted({node for node, _ in names})
    known = sorted({signal for _, signal in names})
    series = {node: {signal: np.full(size, np.nan) for signal in known} for node in nodes}
    for at, node, signal, value in rows:
        if math.isfinite(value):
            series[node][signal][round((at - start) / step)] = value
    return History(start=start, step=step, series=series, failures=failures)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    table = csv.reader(lines)
    try:
        heading = [name.strip().lower() for name in next(table, [])]
        if sorted(heading) != sorted(COLUMNS):
            raise UsageError(f"line 1: the heading must name {', '.join(COLUMNS)}")
        places = [heading.index(name) for name in COLUMNS]
        for number, row in enumerate(table, start=2):
            if number > MAX_ROWS:
                raise UsageError(f"the table has more than {MAX_ROWS} lines")
            if not row:
                continue
            if len(row) != len(COLUMNS):
                raise UsageError(
                    f"line {number}: it has {len(row)} columns instead of {len(COLUMNS)}"
                )
            at, node, signal, value = (row[place].strip() for place in places)
            if not node:
                raise UsageError(f"line {number}: the node is empty")
            try:
                found = moment(at), node, signal, float(value) if value else math.nan
            except (ValueError, OverflowError, OSError):
                raise UsageError(
                    f"line {number}: {at[:40]!r} must be a time and {value[:40]!r} a number"
                ) from None
            yield number, found
    except csv.Error as error:
        raise UsageError(f"line {table.line_num}: this is not CSV ({error})") from None
    except UnicodeDecodeError:
        raise UsageError("the table is not UTF-8 text") from None


def moment(text: str) -> datetime:
    """A time in ISO 8601, or in seconds since 1970. Raises ValueError."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
