"""A long time out of Prometheus, in pieces that one answer can hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.config import Nodes, Signal
from runner.errors import UsageError
from runner.nodes.collect import Grid, HostOf, QueryRange, by_host
from runner.nodes.trend import Values

PIECE = 2_000  #: points of one query; Prometheus gives at most 11,000
MAX_POINTS = 200_000


@dataclass(frozen=True)
class Span:
    """Series of every node on one grid from `start` on."""

    start: datetime
    values: Mapping[str, Mapping[str, Values]]


def read(
    query_range: QueryRange,
    signals: Iterable[Signal],
    nodes: Nodes,
    hosts: Collection[str],
    host_of: HostOf,
    start: datetime,
    end: datetime,
) -> Span:
    """Everything between two times. Raises UsageError and RemoteError.

    A signal that no node has is left out, as it is when nodes are looked at now.
    """
    points = round((end - start) / nodes.step)
    if not 2 <= points <= MAX_POINTS:
        raise UsageError(f"between --from and --to lie {points} steps; 2 to {MAX_POINTS} can be")
    grid = Grid.ending(end, points * nodes.step, nodes.step)
    found: dict[str, dict[str, Values]] = {host: {} for host in hosts}
    for signal in signals:
        answers = (
            series
            for first, last in _pieces(grid)
            for series in query_range(signal.promql, first, last, grid.step)
        )
        of_hosts = by_host(answers, signal, grid, hosts, host_of)
        if any((values == values).any() for values in of_hosts.values()):
            for host, values in of_hosts.items():
                found[host][signal.name] = values
    if not any(found.values()):
        raise UsageError("Prometheus has nothing of any node between --from and --to")
    return Span(grid.start, found)


def _pieces(grid: Grid) -> Iterator[tuple[datetime, datetime]]:
    length: timedelta = grid.step * (PIECE - 1)
    first = grid.start
    while first <= grid.end:
        yield first, min(first + length, grid.end)
        first += length + grid.step
