"""What arrived: the durable inbox. A delivery is acknowledged once its row is committed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from runner.incident import Level
from runner.store.tables import deliveries


@dataclass(frozen=True, kw_only=True)
class Stored:
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
    alerts: int,
    source: str,
    ceiling: Level,
    at: datetime,
    sender: str | None = None,
) -> int:
    """Store one delivery; returns its id."""
    result = tx.execute(
        deliveries.insert()
        .values(
            received_at=at,
            source=source,
            ceiling=ceiling,
            sender=sender,
            body=body,
            alerts=alerts,
        )
        .returning(deliveries.c.id)
    )
    return int(result.scalar_one())


def next_open(tx: sa.Connection) -> Stored | None:
    """The oldest delivery with alerts that were not looked at; locks it on PostgreSQL."""
    query = (
        sa.select(deliveries)
        .where(sa.not_(deliveries.c.done))
        .order_by(deliveries.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(query).mappings().first()
    return _stored(row) if row else None


def _stored(row: sa.RowMapping) -> Stored:
    return Stored(
        id=row["id"],
        source=row["source"],
        ceiling=Level(row["ceiling"]),
        body=row["body"],
        alerts=row["alerts"],
        admitted=row["admitted"],
        received_at=row["received_at"],
        sender=row["sender"],
    )


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
