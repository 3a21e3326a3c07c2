"""What is held back for one message while more happens than a message each can tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from runner.incident import State, todays_word
from runner.store.order import Urgency, place_of, urgency_of
from runner.store.tables import deliveries, incidents, outbox, storms, transitions, waiting

#: Stands in the outbox for the digest that a notification waits for.
HELD = 0


@dataclass(frozen=True, kw_only=True)
class Storm:
    """One receiver's."""

    receiver: str
    began_at: datetime
    told_at: datetime  #: of the last message about it


@dataclass(frozen=True, kw_only=True)
class News:
    """One notification about an incident, by what makes it urgent."""

    id: int  #: in the outbox
    at: datetime
    incident: int
    action: str
    reason: str
    alertname: str
    urgency: Urgency
    hosts: tuple[str, ...]  #: located ones
    place: str  #: located, or as the alert names it


def active(tx: sa.Connection) -> dict[str, Storm]:
    """Receiver → its storm."""
    return {row.receiver: Storm(**row._mapping) for row in tx.execute(sa.select(storms))}


def begin(tx: sa.Connection, receiver: str, now: datetime) -> None:
    """From now on it gets digests."""
    tx.execute(storms.insert().values(receiver=receiver, began_at=now, told_at=now))


def told(tx: sa.Connection, receiver: str, now: datetime) -> None:
    """It was told, and the storm goes on."""
    tx.execute(storms.update().where(storms.c.receiver == receiver).values(told_at=now))


def end(tx: sa.Connection, receiver: str) -> None:
    """It gets a message for each again; what is still held back goes out so, too."""
    tx.execute(storms.delete().where(storms.c.receiver == receiver))
    held = (outbox.c.receiver == receiver) & _unsent() & (outbox.c.digest == HELD)
    tx.execute(outbox.update().where(held).values(digest=None))


def fresh(tx: sa.Connection, receiver: str) -> tuple[News, ...]:
    """Notifications about incidents that nobody has tried to send yet, oldest first."""
    return _news(tx, receiver, outbox.c.digest.is_(None) & (outbox.c.attempts == 0))


def held(tx: sa.Connection, receiver: str) -> tuple[News, ...]:
    """Notifications that wait for the digest, oldest first."""
    return _news(tx, receiver, outbox.c.digest == HELD)


def last_held(tx: sa.Connection, receiver: str) -> datetime | None:
    """When the newest of those happened that wait for the digest."""
    query = (
        sa.select(sa.func.max(transitions.c.at))
        .select_from(outbox.join(transitions, transitions.c.sequence == outbox.c.transition))
        .where(outbox.c.receiver == receiver, _unsent(), outbox.c.digest == HELD)
    )
    return tx.execute(query).scalar()


def hold(tx: sa.Connection, notifications: Collection[int]) -> None:
    """Let them wait for the digest."""
    tx.execute(outbox.update().where(outbox.c.id.in_(list(notifications))).values(digest=HELD))


def digested(tx: sa.Connection, receiver: str, digest: int, now: datetime) -> None:
    """Everything that was held back is told by the message of this transition."""
    of_one = (outbox.c.receiver == receiver) & _unsent() & (outbox.c.digest == HELD)
    tx.execute(outbox.update().where(of_one).values(digest=digest, sent_at=now))


def alone(tx: sa.Connection, receiver: str, since: datetime) -> int:
    """How many incidents' notifications went or go to it by themselves since then."""
    query = (
        sa.select(sa.func.count())
        .select_from(outbox.join(transitions, transitions.c.sequence == outbox.c.transition))
        .where(outbox.c.receiver == receiver, outbox.c.digest.is_(None))
        .where(transitions.c.incident.is_not(None))
        .where(sa.or_(outbox.c.sent_at >= since, _unsent()))
    )
    return int(tx.execute(query).scalar_one())


def hosts_told(tx: sa.Connection, receiver: str, since: datetime) -> frozenset[str]:
    """Hosts of which it was told by themselves since then, questions apart."""
    query = (
        sa.select(incidents.c.hosts)
        .select_from(_joined())
        .where(outbox.c.receiver == receiver, outbox.c.digest.is_(None))
        .where(transitions.c.action != State.WAITING)
        .where(sa.or_(outbox.c.sent_at >= since, _unsent() & (outbox.c.attempts > 0)))
    )
    return frozenset(host for hosts in tx.execute(query).scalars() for host in hosts)


def coming(tx: sa.Connection, now: datetime) -> int:
    """Alerts that were not looked at yet, and incidents that wait for their turn."""
    left = sa.func.sum(deliveries.c.alerts - deliveries.c.admitted)
    alerts = tx.execute(sa.select(left).where(sa.not_(deliveries.c.done))).scalar() or 0
    ready = waiting.c.worker.is_(None) & (waiting.c.ready_at <= now)
    turns = tx.execute(sa.select(sa.func.count()).select_from(waiting).where(ready)).scalar_one()
    return int(alerts) + int(turns)


def _unsent() -> sa.ColumnElement[bool]:
    return outbox.c.sent_at.is_(None) & outbox.c.failed.is_(None)


def _joined() -> sa.Join:
    return outbox.join(transitions, transitions.c.sequence == outbox.c.transition).join(
        incidents, incidents.c.id == transitions.c.incident
    )


def _news(tx: sa.Connection, receiver: str, where: sa.ColumnElement[bool]) -> tuple[News, ...]:
    columns = (
        outbox.c.id,
        transitions.c.at,
        transitions.c.action,
        transitions.c.reason,
        incidents.c.id.label("incident"),
        incidents.c.alertname,
        incidents.c.alert,
        incidents.c.hosts,
    )
    query = (
        sa.select(*columns)
        .select_from(_joined())
        .where(outbox.c.receiver == receiver, _unsent(), where)
        .order_by(outbox.c.id)
    )
    return tuple(
        News(
            id=row["id"],
            at=row["at"],
            incident=row["incident"],
            action=todays_word(row["action"]),
            reason=row["reason"],
            alertname=row["alertname"],
            urgency=urgency_of(row["alert"]["labels"]),
            hosts=tuple(row["hosts"]),
            place=", ".join(row["hosts"]) or place_of(row["alert"]["labels"]),
        )
        for row in tx.execute(query).mappings()
    )
