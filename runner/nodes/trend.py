"""Robust statistics of one series: its level, its trend, its shift, its distance to its peers.

A series is an array of values at equal steps, the oldest first, NaN where nothing is known.
Here, more is always worse: whoever calls turns a signal that gets worse downward around.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BUCKETS = 72  #: medians that a trend is fitted to: hours, in a window of three days
LEAST_BUCKETS = 9  #: with fewer there is no trend to speak of
LEAST_PEERS = 2  #: others that a node can be compared with
_WITHIN_95 = 1.959963984540054  #: standard deviations of a normal distribution on either side
_NORMAL = 1.4826  #: a median absolute deviation times this is a standard deviation


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A Theil-Sen slope per step with its 95 % interval, and what it leaves unexplained."""

    slope: float
    low: float
    high: float
    rise: float  #: over the whole series
    residual: float  #: spread around the line

    @property
    def steady(self) -> bool:
        """Whether it clearly rises: the interval is above zero, the noise well below the rise."""
        return self.low > 0 and self.rise > 2 * self.residual


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Steps until a bound is reached: as expected, and by either end of the interval."""

    expected: float
    soonest: float
    latest: float  #: infinite when the slow end of the interval does not get there


def known(values: Values) -> Values:
    """The values that are there."""
    found: Values = values[np.isfinite(values)]
    return found


def median(values: Values) -> float:
    """The median of values that are all known; much less work than numpy's own for few values."""
    ordered, half = np.sort(values), values.size // 2
    if values.size % 2:
        return float(ordered[half])
    return float(ordered[half - 1] + ordered[half]) / 2


def level(values: Values, recent: int) -> float | None:
    """The median of the last `recent` points; None when fewer than half of them are known."""
    last = known(values[-recent:])
    return median(last) if last.size and 2 * last.size >= recent else None


def past(values: Values, recent: int) -> Values | None:
    """The known values before the last `recent` points; None when they are too few."""
    earlier = known(values[:-recent])
    return earlier if earlier.size >= 2 * recent else None


def spread(values: Values) -> float:
    """The standard deviation that the median absolute deviation stands for."""
    return _NORMAL * median(np.abs(values - median(values)))


def apart(now: float, others: Sequence[float], floor: float) -> float | None:
    """How far a level lies above the median of its peers, in their spreads; None without peers.

    A spread smaller than `floor` counts as `floor`.
    """
    if len(others) < LEAST_PEERS:
        return None
    peers = np.asarray(others, dtype=np.float64)
    return (now - median(peers)) / max(spread(peers), floor)


def trend(values: Values) -> Trend | None:
    """The Theil-Sen line through medians of `values`; None when too little is known."""
    width = max(1, values.size // BUCKETS)
    # The median of each `width` values, counted from the newest; NaN where none is known.
    rest = values.size % width
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a bucket with nothing in it
        y: Values = np.nanmedian(values[rest:].reshape(-1, width), axis=1)
    x = np.arange(y.size, dtype=np.float64) * width
    there = np.isfinite(y)
    x, y = x[there], y[there]
    if y.size < LEAST_BUCKETS or x[-1] - x[0] < values.size / 3:
        return None
    slope, low, high = theil_sen(x, y)
    left = y - (median(y) + slope * (x - median(x)))
    return Trend(
        slope=slope,
        low=low,
        high=high,
        rise=slope * float(x[-1] - x[0]),
        residual=spread(left),
    )


def theil_sen(x: Values, y: Values) -> tuple[float, float, float]:
    """The median of the slopes between all pairs of points, and its 95 % interval.

    `x` rises. The interval is that of Sen (1968), with his correction for equal values of `y`.
    """
    first, second = np.triu_indices(y.size, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    ties = np.unique(y, return_counts=True)[1]
    sizes = np.concatenate(([y.size], ties)).astype(np.float64)
    terms = sizes * (sizes - 1) * (2 * sizes + 5)
    half = _WITHIN_95 * np.sqrt((terms[0] - terms[1:].sum()) / 18)
    low = max(round((slopes.size - half) / 2) - 1, 0)
    high = min(round((slopes.size + half) / 2), slopes.size - 1)
    return median(slopes), float(slopes[low]), float(slopes[high])


def reach(now: float, line: Trend, bound: float) -> Reach:
    """When the level gets to `bound` along a line that rises; at once when it is there."""
    gap = max(0.0, bound - now)
    slow = gap / line.low if line.low > 0 else np.inf
    return Reach(expected=gap / line.slope, soonest=gap / line.high, latest=float(slow))
