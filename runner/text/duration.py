"""Durations and rates as Prometheus users write them: `30s`, `1h30m`, `3/1h`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {
    "y": 365 * 86400.0,
    "w": 7 * 86400.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_DURATION = re.compile(
    r"(?:(\d{1,4})y)?(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,8})h)?"
    r"(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,12})ms)?",
    re.ASCII,
)
_RATE = re.compile(r"(\d{1,6})/(\S+)", re.ASCII)


def parse(text: object) -> timedelta:
    """The duration written as `text`, units descending, each once.

    Raises ValueError with a sentence. The bare number 0 is allowed, as in Prometheus.
    """
    if isinstance(text, timedelta):
        return text
    written = str(text).strip()
    if written == "0":
        return timedelta()
    match = _DURATION.fullmatch(written) if written else None
    if match is None:
        raise ValueError(f"{written!r} is not a duration; write 30s, 5m, 1h30m or 7d")
    values = zip(match.groups(), _UNITS.values(), strict=True)
    return timedelta(seconds=sum(int(value) * unit for value, unit in values if value))


def write(duration: timedelta) -> str:
    """The shortest writing of `duration`, to the millisecond: `1h30m`, `250ms`, `0s`."""
    left = round(duration.total_seconds() * 1000)
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):  # days read better than 1w2d
            continue
        count, left = divmod(left, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


@dataclass(frozen=True)
class Rate:
    """At most `count` in any window of length `per`."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count}/{write(self.per)}"


def parse_rate(text: object) -> Rate:
    """The rate written as `3/1h`. Raises ValueError with a sentence."""
    if isinstance(text, Rate):
        return text
    match = _RATE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)!r} is not a rate; write 3/1h for three an hour")
    per = parse(match[2])
    if not per:
        raise ValueError(f"{str(text)!r} has an empty window; write 3/1h for three an hour")
    return Rate(int(match[1]), per)


Duration = Annotated[timedelta, BeforeValidator(parse), PlainSerializer(write)]
RateField = Annotated[Rate, BeforeValidator(parse_rate), PlainSerializer(str)]
