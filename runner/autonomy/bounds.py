"""Wilson score bounds: what a share seen in few trials may really be."""

from __future__ import annotations

import math
from statistics import NormalDist


def lower(successes: int, total: int, confidence: float) -> float:
    """A share that the true one is above with `confidence`; 0 without any trial."""
    return _bounds(successes, total, NormalDist().inv_cdf(confidence))[0]


def interval(successes: int, total: int, confidence: float) -> tuple[float, float]:
    """Two shares that the true one lies between with `confidence`; (0, 1) without any trial."""
    return _bounds(successes, total, NormalDist().inv_cdf((1 + confidence) / 2))


def _bounds(successes: int, total: int, z: float) -> tuple[float, float]:
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is not a share")
    if not total:
        return 0.0, 1.0
    share, extra = successes / total, z * z / total
    middle = share + extra / 2
    spread = z * math.sqrt(share * (1 - share) / total + extra / (4 * total))
    low, high = (middle - spread) / (1 + extra), (middle + spread) / (1 + extra)
    return max(0.0, min(low, share)), min(1.0, max(high, share))
