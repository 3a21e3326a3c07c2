"""Robust statistics against plain facts, and against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.nodes import trend

NAN = float("nan")


def series(*values: float) -> trend.Values:
    return np.asarray(values, dtype=float)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_median_is_numpy_s(values: list[float]) -> None:
    assert trend.median(series(*values)) == pytest.approx(float(np.median(values)))


def test_a_level_is_the_median_of_what_is_recent() -> None:
    assert trend.level(series(9, 9, 9, 1, 100, 2), recent=3) == 2


def test_a_level_with_less_than_half_of_its_points_is_not_known() -> None:
    """Invariant 10: a lone point after a gap is no level."""
    assert trend.level(series(1, 1, 1, NAN, NAN, NAN, 5), recent=4) is None
    assert trend.level(series(1, 1, 1, NAN, NAN, 4, 5), recent=4) == 4.5
    assert trend.level(series(), recent=4) is None


def test_a_trend_is_found_through_spikes_and_gaps() -> None:
    rng = np.random.default_rng(1)
    values = 10 + 0.01 * np.arange(432) + rng.normal(0, 0.1, 432)
    values[rng.random(432) < 0.1] += 50
    values[100:160] = NAN
    found = trend.trend(values)
    assert found is not None and found.steady
    assert found.low < 0.01 < found.high
    assert found.slope == pytest.approx(0.01, rel=0.1)


def test_noise_is_no_steady_trend() -> None:
    for seed in range(20):
        found = trend.trend(np.random.default_rng(seed).normal(5, 1, 432))
        assert found is not None and not found.steady


def test_the_time_of_day_is_no_steady_trend() -> None:
    hours = np.arange(432) / 6
    for phase in range(0, 24, 3):
        found = trend.trend(np.sin(2 * np.pi * (hours + phase) / 24))
        assert found is not None and not found.steady


def test_there_is_no_trend_in_too_little() -> None:
    values = np.full(432, NAN)
    values[-40:] = np.arange(40)
    assert trend.trend(values) is None


def test_a_bound_is_reached_sooner_on_the_steep_end_of_the_interval() -> None:
    line = trend.Trend(slope=2.0, low=1.0, high=4.0, rise=10, residual=0)
    found = trend.reach(10.0, line, 50.0)
    assert (found.expected, found.soonest, found.latest) == (20.0, 10.0, 40.0)
    assert trend.reach(60.0, line, 50.0).expected == 0


def test_a_node_is_compared_with_its_peers_in_their_spreads() -> None:
    assert trend.apart(10.0, [1.0, 2.0, 3.0], floor=0.1) == pytest.approx(8 / 1.4826)
    assert trend.apart(10.0, [2.0, 2.0, 2.0], floor=0.5) == 16
    assert trend.apart(10.0, [2.0], floor=0.5) is None


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ((1, 1, 2, 2, 3, 5, 4, 7, 6, 9), (0.5, 4 / 11, 7 / 12)),
        ((3, 3, 3, 3, 4, 4, 4, 5, 5, 3), (0.125, 0.0, 2 / 11)),  # many of them equal
    ],
)
def test_slope_and_interval_are_those_of_scipy(y: tuple[int, ...], expected: object) -> None:
    """Figures of `scipy.stats.theilslopes(y, x, alpha=0.95)`, version 1.16."""
    x = series(0, 1, 2, 3, 5, 8, 9, 12, 13, 14)
    assert trend.theil_sen(x, series(*y)) == pytest.approx(expected)
