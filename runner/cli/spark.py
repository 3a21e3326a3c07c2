"""A series as a line of small bars, or of plain characters where there are no bars."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*%#"
GAP = " "  #: nothing is known there


def sparkline(values: Sequence[float], width: int = 24, *, bars: bool = True) -> str:
    """`values` in `width` characters, from their lowest to their highest; gaps stay gaps."""
    ramp = BARS if bars else PLAIN
    width = min(width, len(values))
    parts: list[float | None] = []  # for each character the median of what stands behind it
    for n in range(width):
        part = values[n * len(values) // width : (n + 1) * len(values) // width]
        finite = [value for value in part if math.isfinite(value)]
        parts.append(statistics.median(finite) if finite else None)
    known = [value for value in parts if value is not None]
    if not known:
        return "?" * len(parts)
    low, high = min(known), max(known)
    span = high - low
    steps = len(ramp) - 1
    return "".join(
        GAP if value is None else ramp[round((value - low) / span * steps) if span else 0]
        for value in parts
    )


def can_show_bars(encoding: str | None) -> bool:
    """Whether an output of this encoding has the bars."""
    try:
        BARS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
