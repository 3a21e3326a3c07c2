"""How long an alert fired each time, from Prometheus' own history of it (`ALERTS`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from runner.autonomy.record import Spell
from runner.evidence.samples import Series
from runner.text.promql import fill

STEP = timedelta(minutes=1)
#: Prometheus answers with at most 11,000 points a series.
PIECE = timedelta(days=7)
#: Labels that Prometheus adds to the alert's own.
_ADDED = frozenset({"__name__", "alertstate"})


class RangeQuery(Protocol):
    """What is needed of Prometheus."""

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]: ...


def of_alert(
    prometheus: RangeQuery, alertname: str, start: datetime, end: datetime
) -> tuple[Spell, ...]:
    """Every firing of an alert between `start` and `end`.

    Raises RemoteError. One that ended where Prometheus itself has a gap is open: nobody saw
    its end. One that was there at `start` began before, so it is left out.
    """
    promql = fill('ALERTS{alertname="$name",alertstate="firing"}', {"name": alertname})
    firing = _whole(prometheus, promql, start, end)
    if not firing:
        return ()
    awake = [at for times in _whole(prometheus, "group(up)", start, end).values() for at in times]
    seen = frozenset(_tick(at) for at in awake)
    found = []
    for labels, times in firing.items():
        for began, ended in _unbroken(sorted(times)):
            if began - start < STEP:
                continue
            # The end lies between the last point and the next one, which must have been seen.
            unseen = _tick(ended) + 1 not in seen
            lasted = ended - began + STEP / 2
            found.append(Spell(labels=dict(labels), began=began, lasted=lasted, open=unseen))
    return tuple(found)


def _whole(
    prometheus: RangeQuery, promql: str, start: datetime, end: datetime
) -> dict[tuple[tuple[str, str], ...], list[datetime]]:
    """Labels → times with a value, pieced together; every time is on one grid."""
    found: dict[tuple[tuple[str, str], ...], list[datetime]] = {}
    while start < end:
        until = min(start + PIECE - STEP, end)
        for series in prometheus.query_range(promql, start, until, STEP):
            labels = tuple(sorted((k, v) for k, v in series.labels.items() if k not in _ADDED))
            found.setdefault(labels, []).extend(at for at, _ in series.points)
        start = until + STEP
    return found


def _tick(at: datetime) -> int:
    return round(at.timestamp() / STEP.total_seconds())


def _unbroken(times: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """(first, last) of each row of times without a gap."""
    first = last = None
    for at in times:
        if first is None or last is None:
            first = at
        elif at - last > 1.5 * STEP:
            yield first, last
            first = at
        last = at
    if first is not None and last is not None:
        yield first, last
