"""What arrived: the durable inbox. A delivery is acknowledged once its row is committed."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from runner.incident import SOURCES, Alert, Level
from runner.store.order import FairTurns, Urgency, place_of, urgency_of
from runner.store.tables import deliveries

#: Made once: it is asked every second.
_ANY_OPEN = sa.select(sa.exists().where(sa.not_(deliveries.c.done)))


@dataclass(frozen=True, kw_only=True)
class StoredDelivery:
    """A delivery that waits to be admitted."""

    id: int
    source: str
    ceiling: Level
    body: bytes
    alerts: int
    admitted: int  #: alerts already looked at, from the first on
    received_at: datetime
    sender: str | None = None  #: whose credential brought it


def add(
    tx: sa.Connection,
    *,
    body: bytes,
    alerts: Sequence[Alert],
    source: str,
    ceiling: Level,
    at: datetime,
    sender: str | None = None,
) -> int:
    """Store one delivery; returns its id."""
    place = _shared({place_of(alert.labels) for alert in alerts})
    urgency = _shared({urgency_of(alert.labels) for alert in alerts})
    if source not in SOURCES:
        # What resolves an alert of another sender may name neither its host nor its severity, so
        # all messages of one sender stay in order.
        place, urgency = f"source {source}", None
    result = tx.execute(
        deliveries.insert()
        .values(
            received_at=at,
            source=source,
            ceiling=ceiling,
            sender=sender,
            body=body,
            alerts=len(alerts),
            place=place,
            urgency=urgency,
        )
        .returning(deliveries.c.id)
    )
    return int(result.scalar_one())


_V = TypeVar("_V")


def _shared(values: Set[_V]) -> _V | None:
    """The value, when it is the only one."""
    return next(iter(values)) if len(values) == 1 else None


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Open deliveries that must stay in order among themselves."""

    place: str | None
    urgency: int | None
    first: int


def any_open(tx: sa.Connection) -> bool:
    """Whether there is a delivery with alerts that were not looked at."""
    return bool(tx.execute(_ANY_OPEN).scalar())


def next_open(tx: sa.Connection, turns: FairTurns) -> StoredDelivery | None:
    """A delivery with alerts that were not looked at: hosts take turns, and at one host the most
    urgent comes first. Locks it on PostgreSQL.

    Messages of one alert stay in order. They name the same host and the same severity, so only a
    delivery whose alerts all share these may overtake, and only others like it.
    """
    rows = deliveries.c
    query = (
        sa.select(rows.place, rows.urgency, sa.func.min(rows.id))
        .where(sa.not_(rows.done))
        .group_by(rows.place, rows.urgency)
    )
    lines = [
        _Line(place=place, urgency=urgency if place is not None else None, first=first)
        for place, urgency, first in tx.execute(query)
    ]
    while lines:
        chosen = _choose(lines, turns)
        first = sa.select(deliveries).where(rows.id == chosen.first, sa.not_(rows.done))
        row = tx.execute(first.with_for_update(skip_locked=True)).mappings().first()
        if row is not None:
            return StoredDelivery(
                id=row["id"],
                source=row["source"],
                ceiling=Level(row["ceiling"]),
                body=row["body"],
                alerts=row["alerts"],
                admitted=row["admitted"],
                received_at=row["received_at"],
                sender=row["sender"],
            )
        # Another worker is at it: what may not overtake it waits, too.
        lines = [one for one in lines if one is not chosen and not _behind(one, chosen)]
    return None


def _choose(lines: Sequence[_Line], turns: FairTurns) -> _Line:
    free = [one for one in lines if not any(_behind(one, other) for other in lines)]
    best: dict[str, _Line] = {}
    for line in sorted(free, key=lambda one: (-(one.urgency or 0), one.first)):
        best.setdefault(line.place or "", line)
    waiting = {
        place: Urgency(line.urgency or 0)
        for place, line in sorted(best.items(), key=lambda item: item[1].first)
    }
    return best[turns.next(waiting)]


def _behind(one: _Line, other: _Line) -> bool:
    """Whether `one` must wait for `other`, or is the same."""
    if one is other or other.first > one.first:
        return False
    if one.place is None or other.place is None:
        return True
    mixed = one.urgency is None or other.urgency is None
    return one.place == other.place and (mixed or one.urgency == other.urgency)


def advance(tx: sa.Connection, delivery: int, admitted: int, *, done: bool) -> None:
    """Note how many alerts of the delivery were looked at."""
    tx.execute(
        deliveries.update().where(deliveries.c.id == delivery).values(admitted=admitted, done=done)
    )


def is_done(tx: sa.Connection, delivery: int) -> bool:
    """Whether every alert of the delivery was looked at; True when it is gone."""
    query = sa.select(deliveries.c.done).where(deliveries.c.id == delivery)
    return tx.execute(query).scalar() is not False


def waiting(tx: sa.Connection) -> int:
    """How many deliveries wait."""
    query = sa.select(sa.func.count()).select_from(deliveries).where(sa.not_(deliveries.c.done))
    return int(tx.execute(query).scalar_one())
