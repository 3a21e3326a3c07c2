from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from runner.config import Nodes, Signal
from runner.errors import RemoteError, UsageError
from runner.nodes.collect import Grid, collect
from runner.nodes.signals import PIECE, read

NODES = Nodes.model_validate({"window": "60s", "step": "1s", "recent": "5s"})
END = datetime(2026, 11, 21, 12, tzinfo=UTC)
FILL = Signal(name="fill", promql="fill", warning=0.8, critical=0.9)
FREE = Signal(name="free", promql="free", direction="down", warning=0.2, critical=0.1)
HOSTS = ("a", "b")


@dataclass
class Series:
    labels: dict[str, str] = field(default_factory=dict)
    points: list[tuple[datetime, float]] = field(default_factory=list)


def at(seconds: float) -> datetime:
    return END + timedelta(seconds=seconds)


def collected(answers: dict[str, Any], *signals: Signal) -> Any:
    def query_range(promql: str, *_: Any) -> list[Series]:
        if isinstance(answers[promql], Exception):
            raise answers[promql]
        return answers[promql]

    return collect(query_range, signals, NODES, HOSTS, lambda labels: labels.get("node"), END)


def test_points_lie_on_the_grid_and_gaps_stay_gaps() -> None:
    """Invariant 10: what was not scraped is not known."""
    points = [(at(-59), 1.0), (at(-1.2), 2.0), (at(0), float("inf")), (at(-100), 9.0)]
    found = collected({"fill": [Series({"node": "a"}, points)]}, FILL)
    values = found.series["a"]["fill"]
    assert values.size == 60 and values[0] == 1 and values[-2] == 2
    assert np.isfinite(values).sum() == 2
    assert not np.isfinite(found.series["b"]["fill"]).any(), "the other node is unknown"


def test_of_several_series_of_a_host_the_worst_counts() -> None:
    both = [Series({"node": "a"}, [(END, 0.3)]), Series({"node": "a"}, [(END, 0.7)])]
    found = collected({"fill": both, "free": both}, FILL, FREE)
    assert found.series["a"]["fill"][-1] == 0.7
    assert found.series["a"]["free"][-1] == 0.3


def test_a_query_that_fails_makes_its_signal_unknown_everywhere() -> None:
    """Invariant 10: Prometheus being away says nothing good of a node."""
    found = collected({"fill": RemoteError("Prometheus is away")}, FILL)
    assert all(not np.isfinite(found.series[host]["fill"]).any() for host in HOSTS)
    assert found.problems == ("fill cannot be read: Prometheus is away.",)


def test_a_signal_that_no_node_has_is_left_out_and_said_so() -> None:
    strangers = [Series({"node": "elsewhere"}, [(END, 1.0)]), Series({}, [(END, 1.0)])]
    found = collected({"fill": strangers}, FILL)
    assert found.series == {"a": {}, "b": {}}
    assert "not collected" in found.problems[0]


def test_the_grid_ends_at_a_whole_step() -> None:
    grid = Grid.ending(at(7.3), timedelta(seconds=60), timedelta(seconds=5))
    assert (grid.end, grid.size) == (at(5), 12)


def test_a_long_time_is_read_in_pieces_without_a_seam() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def query_range(_: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        asked.append((start, end))
        count = round((end - start) / step) + 1
        return [Series({"node": "a"}, [(start + n * step, 1.0) for n in range(count)])]

    begin = END - timedelta(seconds=2 * PIECE + 10)
    found = read(query_range, [FILL], NODES, HOSTS, lambda labels: labels.get("node"), begin, END)
    assert len(asked) == 3 and all(first <= last for first, last in asked)
    assert np.isfinite(found.values["a"]["fill"]).all()


def test_a_span_that_holds_nothing_is_refused() -> None:
    for begin, answer in ((END, "steps"), (at(-100), "nothing of any node")):
        with pytest.raises(UsageError, match=answer):
            read(lambda *_: [], [FILL], NODES, HOSTS, lambda _: None, begin, END)
