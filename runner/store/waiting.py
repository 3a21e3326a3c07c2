"""Incidents that wait for their turn, and those that are being worked on: a row for each workflow.

The row is written in the transaction of what needs the workflow, so that both are there or neither.
It goes when the workflow has ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.store.database import insert
from runner.store.order import Stage, Urgency, place_of, urgency_of
from runner.store.tables import UtcTime, incidents, waiting

#: Made once: it is asked every second.
_ANY_READY = sa.select(
    sa.exists().where(
        waiting.c.worker.is_(None), waiting.c.ready_at <= sa.bindparam("now", type_=UtcTime())
    )
)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One workflow that waits, or that was begun."""

    key: str
    workflow: str
    incident: int
    round: int | None  #: of the incident, for a workflow that begins one
    place: str  #: the host that the alert names; empty when it names none
    urgency: Urgency


@dataclass(frozen=True, kw_only=True)
class Group:
    """What waits at one place."""

    place: str
    urgency: Urgency  #: of the most urgent
    oldest: int


def add(
    tx: sa.Connection,
    *,
    key: str,
    workflow: str,
    incident: int,
    ready_at: datetime,
    stage: Stage,
    round: int | None = None,
) -> None:
    """Let a workflow wait; nothing when it does already."""
    query = sa.select(incidents.c.alert, incidents.c.request, incidents.c.requested_by)
    row = tx.execute(query.where(incidents.c.id == incident)).first()
    labels = row.alert["labels"] if row else {}
    request = (row.request or {}) if row else {}
    hosts = request.get("hosts")
    # Somebody who asked for it is there and looks.
    by_hand = row is not None and (row.requested_by or "proposed_by" in request)
    new = insert(tx, waiting).values(
        key=key,
        workflow=workflow,
        incident=incident,
        round=round,
        place=hosts[0] if hosts else place_of(labels),
        urgency=Urgency.CRITICAL if by_hand else urgency_of(labels),
        stage=stage,
        ready_at=ready_at,
    )
    tx.execute(new.on_conflict_do_nothing(index_elements=["key"]))


def has(tx: sa.Connection, incident: int) -> bool:
    """Whether a workflow of this incident waits or was begun."""
    query = sa.select(waiting.c.key).where(waiting.c.incident == incident).limit(1)
    return tx.execute(query).first() is not None


def any_ready(tx: sa.Connection, now: datetime) -> bool:
    """Whether something waits whose time has come."""
    return bool(tx.execute(_ANY_READY, {"now": now}).scalar())


def begun(tx: sa.Connection, worker: str) -> tuple[Turn, ...]:
    """What this worker has begun and not ended."""
    query = sa.select(waiting).where(waiting.c.worker == worker)
    return tuple(map(_turn, tx.execute(query).mappings()))


def groups(tx: sa.Connection, now: datetime) -> tuple[Group, ...]:
    """The places at which something waits whose time has come, oldest first."""
    oldest = sa.func.min(waiting.c.number)
    query = (
        sa.select(waiting.c.place, sa.func.max(waiting.c.urgency), oldest)
        .where(waiting.c.worker.is_(None), waiting.c.ready_at <= now)
        .group_by(waiting.c.place)
        .order_by(oldest)
    )
    return tuple(
        Group(place=place, urgency=Urgency(urgency), oldest=number)
        for place, urgency, number in tx.execute(query)
    )


def first(tx: sa.Connection, place: str, now: datetime, limit: int) -> tuple[Turn, ...]:
    """What is next at a place: by urgency, then stage, then age."""
    rows = waiting.c
    query = (
        sa.select(waiting)
        .where(rows.worker.is_(None), rows.place == place, rows.ready_at <= now)
        .order_by(rows.urgency.desc(), rows.stage, rows.number)
        .limit(limit)
    )
    return tuple(map(_turn, tx.execute(query).mappings()))


def begin(tx: sa.Connection, key: str, worker: str, now: datetime) -> bool:
    """Take it; False when another worker was first."""
    mine = waiting.update().where(waiting.c.key == key, waiting.c.worker.is_(None))
    return tx.execute(mine.values(worker=worker, begun_at=now)).rowcount == 1


def end(tx: sa.Connection, key: str) -> None:
    """The workflow has ended."""
    tx.execute(waiting.delete().where(waiting.c.key == key))


def forget(tx: sa.Connection, alive: Collection[str], before: datetime) -> int:
    """Remove what was begun before then and is not in the engine any more; how many."""
    query = sa.select(waiting.c.key).where(
        waiting.c.worker.is_not(None), waiting.c.begun_at < before
    )
    gone = [key for key in tx.execute(query).scalars() if key not in alive]
    for key in gone:
        end(tx, key)
    return len(gone)


def count(tx: sa.Connection, now: datetime) -> int:
    """How many incidents wait for their turn."""
    ready = (waiting.c.worker.is_(None)) & (waiting.c.ready_at <= now)
    return int(
        tx.execute(sa.select(sa.func.count()).select_from(waiting).where(ready)).scalar_one()
    )


def oldest(tx: sa.Connection, now: datetime) -> timedelta:
    """How long the one that waits longest has been ready."""
    ready = (waiting.c.worker.is_(None)) & (waiting.c.ready_at <= now)
    since = tx.execute(sa.select(sa.func.min(waiting.c.ready_at)).where(ready)).scalar()
    return max(timedelta(), now - since) if since is not None else timedelta()


def _turn(row: sa.RowMapping) -> Turn:
    return Turn(
        key=row["key"],
        workflow=row["workflow"],
        incident=row["incident"],
        round=row["round"],
        place=row["place"],
        urgency=Urgency(row["urgency"]),
    )
