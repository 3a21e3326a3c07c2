"""Firings of an alert, read from Prometheus' own history; also of a real one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.config import Prometheus
from runner.evidence.prometheus import PrometheusClient
from runner.evidence.samples import Series
from runner.evidence.spells import PIECE, STEP, of_alert
from tests.real_alertmanager import RealPrometheus, require, start_prometheus

__all__ = ["start_prometheus"]  # a fixture

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=10)


class Past:
    """A Prometheus whose alert fired in these minutes and which was up in those."""

    def __init__(self, firing: list[range], up: list[range]) -> None:
        self.minutes = {"ALERTS": firing, "group": up}
        self.asked: list[tuple[str, datetime, datetime]] = []

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]:
        self.asked.append((promql, start, end))
        assert (end - start) / step < 11_000
        points = [
            (at, 1.0)
            for minutes in self.minutes[promql.partition("{")[0].partition("(")[0]]
            for minute in minutes
            if start <= (at := START + minute * STEP) <= end
        ]
        labels = {"__name__": "ALERTS", "alertname": "Down", "alertstate": "firing", "a": "b"}
        return (Series(labels=labels, points=tuple(points)),) if points else ()


def told(past: Past) -> list[tuple[int, float, bool]]:
    """(minute, minutes, open) of each firing."""
    found = of_alert(past, "Down", START, END)
    assert all(dict(spell.labels) == {"alertname": "Down", "a": "b"} for spell in found)
    return [((s.began - START) // STEP, s.lasted / STEP, s.open) for s in found]


ALWAYS = [range(0, 10 * 24 * 60 + 1)]


def test_each_row_of_points_is_one_firing() -> None:
    past = Past([range(10, 15), range(20, 21), range(500, 600)], ALWAYS)
    assert told(past) == [(10, 4.5, False), (20, 0.5, False), (500, 99.5, False)]


def test_a_firing_over_the_border_of_two_answers_is_one() -> None:
    border = PIECE // STEP
    past = Past([range(border - 30, border + 30)], ALWAYS)
    assert told(past) == [(border - 30, 59.5, False)]
    assert len(past.asked) == 4


def test_an_end_in_a_gap_of_prometheus_is_open() -> None:
    """Invariant 10: where Prometheus was away nobody saw that it cleared."""
    past = Past([range(10, 15), range(90, 101)], [range(0, 16), range(80, 101)])
    assert told(past) == [(10, 4.5, False), (90, 10.5, True)]


def test_what_fires_at_the_edges_is_cut_off() -> None:
    last = (END - START) // STEP
    past = Past([range(0, 5), range(last - 3, last + 1)], ALWAYS)
    assert told(past) == [(last - 3, 3.5, True)]


def test_a_name_cannot_leave_its_quotes() -> None:
    """Invariant 5: an alert's name is a value of a matcher, nothing else."""
    past = Past([], [])
    assert of_alert(past, 'x"} or up{a="', START, END) == ()
    assert past.asked[0][0] == 'ALERTS{alertname="x\\"} or up{a=\\"",alertstate="firing"}'


def backfilled(folder: Path, series: Mapping[str, list[int]]) -> None:
    """A Prometheus store with a point at each of these seconds since the epoch."""
    lines = []
    for name, times in series.items():
        metric = name.partition("{")[0]
        lines += [f"# TYPE {metric} gauge", *(f"{name} 1 {at}" for at in times)]
    folder.mkdir()
    text = folder / "metrics"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    make = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*make, str(text), str(folder / "data")], check=True, capture_output=True, timeout=120
    )


@pytest.mark.real
def test_it_reads_the_history_of_a_real_prometheus(
    tmp_path: Path, start_prometheus: Callable[..., RealPrometheus]
) -> None:
    require("promtool")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    start = now - timedelta(hours=6)
    begin = int(start.timestamp())
    # As Prometheus writes it, but for the marker of a series that ended, which this format
    # cannot say: the last point is seen for five more minutes.
    up = list(range(begin, begin + 5 * 3600, 15))
    firing = list(range(begin + 3600, begin + 3600 + 600, 15))
    backfilled(tmp_path / "prometheus0", {
        'up{job="x"}': up,
        'ALERTS{alertname="Down",alertstate="firing",instance="web1:9100"}': firing,
    })  # fmt: skip
    client = PrometheusClient(Prometheus(url=start_prometheus().url))
    (found,) = of_alert(client, "Down", start, now)
    client.close()
    assert found.labels == {"alertname": "Down", "instance": "web1:9100"}
    assert abs(found.began - (start + timedelta(hours=1))) <= STEP
    assert timedelta(minutes=9) < found.lasted < timedelta(minutes=17)
    assert not found.open
