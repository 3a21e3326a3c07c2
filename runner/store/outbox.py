"""Notifications to send: a row per transition and receiver, claimed before it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.incident import Transition
from runner.store import audit_log
from runner.store.clock import Moment
from runner.store.tables import UtcTime, chain, outbox, storms, transitions


@dataclass(frozen=True, kw_only=True)
class Due:
    """One notification to send now."""

    id: int
    receiver: str
    attempts: int  #: tries before this one
    transition: Transition


def _due_at(now: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    unsent = outbox.c.sent_at.is_(None), outbox.c.failed.is_(None)
    return *unsent, outbox.c.digest.is_(None), outbox.c.due_at <= now


#: Made once: it is asked every second.
_HAS_NEWS = sa.select(
    sa.or_(
        sa.exists().where(chain.c.notified < chain.c.last),
        sa.exists(sa.select(storms.c.receiver)),
        sa.exists().where(*_due_at(sa.bindparam("now", type_=UtcTime()))),
    )
)


def fan_out(tx: sa.Connection, receivers: Mapping[str, Sequence[str]], now: datetime) -> int:
    """Add a row for each new transition and each receiver that it concerns: one whose actions
    name it, or that the transition itself says must be told (`tell`).

    `receivers` maps a name to actions. Returns how many rows were added.
    """
    end = tx.execute(sa.select(chain).with_for_update()).first()
    if end is None or end.notified >= end.last:
        return 0
    fresh = audit_log.after(tx, end.notified)
    rows = [
        {"transition": transition.sequence, "receiver": name, "due_at": now}
        for transition in fresh
        for name, actions in receivers.items()
        if transition.action in actions or name in transition.detail.get("tell", ())
    ]
    if rows:
        tx.execute(outbox.insert(), rows)
    if fresh:
        tx.execute(chain.update().values(notified=fresh[-1].sequence))
    return len(rows)


def has_news(tx: sa.Connection, now: datetime) -> bool:
    """Whether there is something to tell, or a storm that may be over."""
    return bool(tx.execute(_HAS_NEWS, {"now": now}).scalar())


def claim(tx: sa.Connection, now: datetime, lease: timedelta, limit: int = 20) -> tuple[Due, ...]:
    """Notifications that are due; pushes their time on, so that nobody else sends them."""
    query = (
        sa.select(outbox, transitions)
        .join(transitions, transitions.c.sequence == outbox.c.transition)
        .where(*_due_at(now))
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(of=outbox, skip_locked=True)
    )
    names = Transition.__dataclass_fields__
    due = tuple(
        Due(
            id=row[outbox.c.id],
            receiver=row[outbox.c.receiver],
            attempts=row[outbox.c.attempts],
            transition=Transition(
                **{name: row[transitions.c[name]] for name in names}
            ).in_todays_words(),
        )
        for row in tx.execute(query).mappings()
    )
    tx.execute(
        outbox.update()
        .where(outbox.c.id.in_([item.id for item in due]))
        .values(due_at=now + lease, attempts=outbox.c.attempts + 1)
    )
    return due


def sent(tx: sa.Connection, notification: int, now: datetime) -> None:
    """It went out."""
    _update(tx, notification, sent_at=now)


def later(tx: sa.Connection, notification: int, due_at: datetime) -> None:
    """It did not go out; try again at `due_at`."""
    _update(tx, notification, due_at=due_at)


def failed(tx: sa.Connection, notification: int, reason: str) -> None:
    """It will not go out."""
    _update(tx, notification, failed=reason)


def _update(tx: sa.Connection, notification: int, **values: object) -> None:
    tx.execute(outbox.update().where(outbox.c.id == notification).values(**values))
