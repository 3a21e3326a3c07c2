"""Backtests: the arithmetic on histories made by hand, and the bounds on simulated fleets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bench.predictions import (
    BEGIN,
    END,
    LEAST_RECALL,
    MOST_FALSE_CRITICALS,
)
from runner.config import Nodes, Signal
from runner.nodes import simulate
from runner.nodes.backtest import History, Report, run
from runner.nodes.signals import etcd
from runner.nodes.trend import Values

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STEP = timedelta(minutes=10)
FILL = Signal(name="fill", promql="x", warning=0.8, critical=0.92)
HOURLY = Nodes.model_validate({"every": "1h", "greylist": {"leave_after": "12h"}})
DAYS = 10
POINTS = DAYS * 144


def of(*levels: tuple[float, float]) -> Values:
    """A series that has each value from its day on."""
    values = np.zeros(POINTS)
    for day, value in levels:
        values[round(day * 144) :] = value
    return values + np.random.default_rng(1).normal(0, 0.001, POINTS)


def backtested(nodes: dict[str, Values], **failures: float) -> Report:
    history = History(
        start=START,
        step=STEP,
        series={name: {"fill": values} for name, values in nodes.items()},
        failures={name: START + day * DAY for name, day in failures.items()},
        sudden=frozenset({"sudden"}),
    )
    return run(history, [FILL], HOURLY)


def test_an_alarm_that_stands_at_the_failure_found_it() -> None:
    found = backtested({"bad": of((0, 0.5), (5, 0.95)), "good": of((0, 0.5))}, bad=8)
    assert (found.failures, found.found, found.found_critical) == (1, 1, 1)
    assert found.recall == found.precision == 1
    assert found.median_lead is not None and 2.8 * DAY < found.median_lead < 3 * DAY
    assert found.false_criticals == 0 and found.missed == ()


def test_an_alarm_that_ended_before_the_failure_did_not_find_it() -> None:
    found = backtested({"bad": of((0, 0.5), (3, 0.85), (5, 0.5))}, bad=9)
    assert (found.found, found.false, found.missed) == (0, 1, ("bad",))
    assert found.precision == 0


def test_failures_without_a_sign_are_counted_and_told_apart() -> None:
    nodes = {"bad": of((0, 0.5), (5, 0.95)), "sudden": of((0, 0.5))}
    found = backtested(nodes, bad=8, sudden=7)
    assert (found.failures, found.sudden) == (2, 1)
    assert (found.recall, found.recall_of_signs) == (0.5, 1.0)


def test_a_healthy_node_that_was_critical_is_a_false_critical() -> None:
    found = backtested({"odd": of((0, 0.5), (4, 0.95), (5, 0.5)), "good": of((0, 0.5))})
    assert (found.false_criticals, found.false, found.moves) == (1, 1, 2)
    assert found.false_criticals_per_1000 == pytest.approx(1000 / 18, rel=0.01)


def test_an_alarm_at_the_end_of_history_is_open() -> None:
    found = backtested({"late": of((0, 0.5), (9, 0.95))})
    assert (found.alarms, found.open, found.right, found.false) == (1, 1, 0, 0)
    assert found.false_criticals == 1, "it was critical and did not fail"


def test_a_node_that_joins_three_times_in_a_week_flaps() -> None:
    ups = [(0, 0.5)] + [p for d in (3.1, 4.6, 6.1) for p in ((d, 0.95), (d + 0.4, 0.5))]
    assert backtested({"restless": of(*ups)}).flapping == ("restless",)
    assert backtested({"calm": of(*ups[:5])}).flapping == ()


def test_nothing_known_is_no_failure_found() -> None:
    """Invariant 10: a gap is neither an alarm nor health."""
    found = backtested({"dark": np.full(POINTS, np.nan)}, dark=9)
    assert (found.alarms, found.found, found.recall) == (0, 0, 0.0)


def test_a_simulation_is_the_same_for_the_same_seed() -> None:
    one, two = (simulate.fleet(seed=3, healthy=2, failing=2, days=6) for _ in range(2))
    for first, second in zip(one.lives, two.lives, strict=True):
        assert (first.fate, first.fails) == (second.fate, second.fails)
        for name in simulate.SIGNALS:
            np.testing.assert_array_equal(first.signals[name], second.signals[name])


def test_simulated_nodes_have_every_signal_and_are_gone_after_they_failed() -> None:
    fleet = simulate.fleet(seed=4, healthy=12, failing=18, days=12)
    assert {life.fate for life in fleet.lives} == set(simulate.FATES)
    for life in fleet.lives:
        assert set(life.signals) == {signal.name for signal in etcd()}
        assert (life.fails is None) == (life.fate in simulate.HEALTHY)
        if life.fails is not None and life.onset is not None:
            assert life.onset < life.fails <= 12 * simulate.DAY
            place = int(life.fails / 600) + 1
            assert np.isnan(life.signals["fill"][place:]).all()


def test_the_rules_hold_on_a_small_fleet() -> None:
    """Of 16 failures with a sign at most one is missed; the page has those of large fleets."""
    history = simulate.history(simulate.fleet(seed=20, healthy=8, failing=18, days=7))
    found = run(history, etcd(), Nodes.model_validate({"every": "1h"}))
    assert found.failures - found.sudden == 16
    assert len(found.missed) <= 1
    assert (found.false_criticals, found.flapping) == (0, ())
    assert found.median_lead is not None and found.median_lead > timedelta(hours=12)


def test_the_page_s_figures_keep_what_it_promises() -> None:
    """`make prediction` writes them; a page whose figures break a bound is not to be shipped."""
    page = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.partition(BEGIN)[2].partition(END)[0].splitlines()
        if line.startswith("|")
    ]
    found = dict(zip(rows[0], next(row for row in rows if row[0] == "together"), strict=True))
    assert float(found["recall with a sign"].rstrip("%")) >= 100 * LEAST_RECALL
    assert float(found["false criticals / 1,000 node-days"]) <= MOST_FALSE_CRITICALS
    assert int(found["flapping"]) == 0, "nobody joins more than twice in a week"
    assert int(found["node-days"].replace(",", "")) > 5_000
