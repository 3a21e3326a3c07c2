"""From Prometheus to series on one grid. What is missing stays missing (invariant 10)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from runner.config import Nodes, Signal
from runner.errors import RemoteError
from runner.incident import Labels
from runner.nodes.trend import Values


class Series(Protocol):
    """One series of a range query."""

    @property
    def labels(self) -> Labels: ...

    @property
    def points(self) -> Sequence[tuple[datetime, float]]: ...


QueryRange = Callable[[str, datetime, datetime, timedelta], Sequence[Series]]
#: The inventory host that the labels of a series mean; None when they mean none or several.
HostOf = Callable[[Labels], str | None]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What was measured: node → signal → values, and a sentence for each thing that was not."""

    series: Mapping[str, Mapping[str, Values]]
    problems: tuple[str, ...] = ()


def collect(
    query_range: QueryRange,
    signals: Iterable[Signal],
    nodes: Nodes,
    hosts: Collection[str],
    host_of: HostOf,
    end: datetime,
) -> Readings:
    """The window that ends at `end`, for each of `hosts`. Never raises RemoteError.

    A signal whose query failed is missing on every node. One that no node has is left out
    altogether, and said so: it is not collected here, which says nothing of a node.
    """
    grid = Grid.ending(end, nodes.window, nodes.step)
    found: dict[str, dict[str, Values]] = {host: {} for host in hosts}
    problems: list[str] = []
    for signal in signals:
        try:
            answer = query_range(signal.promql, grid.start, grid.end, grid.step)
        except RemoteError as error:
            problems.append(f"{signal.name} cannot be read: {error}.")
            of_hosts = {host: grid.nothing() for host in hosts}
        else:
            of_hosts = by_host(answer, signal, grid, hosts, host_of)
            if not any(np.isfinite(values).any() for values in of_hosts.values()):
                problems.append(f"{signal.name} is not collected: no node has a value of it.")
                continue
        for host, values in of_hosts.items():
            found[host][signal.name] = values
    return Readings(series=found, problems=tuple(problems))


def by_host(
    answer: Iterable[Series],
    signal: Signal,
    grid: Grid,
    hosts: Collection[str],
    host_of: HostOf,
) -> dict[str, Values]:
    """Each host's values; where it has several series, the worst of each moment."""
    worst = np.fmax if signal.direction == "up" else np.fmin
    found = {host: grid.nothing() for host in hosts}
    for series in answer:
        host = host_of(series.labels)
        if host in found:
            found[host] = worst(found[host], grid.laid(series.points))
    return found


@dataclass(frozen=True)
class Grid:
    """Moments at equal steps; `end` is the last of them."""

    start: datetime
    end: datetime
    step: timedelta

    @classmethod
    def ending(cls, end: datetime, window: timedelta, step: timedelta) -> Grid:
        """The grid of `window / step` moments that ends at or just before `end`."""
        seconds = step.total_seconds()
        last = datetime.fromtimestamp(end.timestamp() // seconds * seconds, UTC)
        return cls(last - step * (round(window / step) - 1), last, step)

    @property
    def size(self) -> int:
        return round((self.end - self.start) / self.step) + 1

    def nothing(self) -> Values:
        """Values of which none is known."""
        return np.full(self.size, np.nan)

    def laid(self, points: Iterable[tuple[datetime, float]]) -> Values:
        """Points on the grid, each at its nearest moment; infinite ones are not known."""
        values = self.nothing()
        for at, value in points:
            place = round((at - self.start) / self.step)
            if 0 <= place < values.size and np.isfinite(value):
                values[place] = value
        return values
