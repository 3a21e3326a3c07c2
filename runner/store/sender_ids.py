"""What other senders call a firing: the alerts that came with an id, until it is resolved."""

from __future__ import annotations

import logging
from datetime import datetime

import sqlalchemy as sa

from runner.incident import Alert
from runner.store.database import insert
from runner.store.tables import sender_ids
from runner.text import brief

logger = logging.getLogger(__name__)

#: Alerts that one id may name: a sender may change labels while an alert fires.
MOST = 100


def note(tx: sa.Connection, alert: Alert, now: datetime) -> None:
    """Remember the id of an alert that fires, and of the newest with this id, so many."""
    key = {"source": alert.source, "id": alert.pair, "fingerprint": alert.fingerprint}
    new = insert(tx, sender_ids).values(**key, at=now)
    tx.execute(new.on_conflict_do_update(index_elements=[*key], set_={"at": now}))
    theirs = _of(alert.source, alert.pair)
    others = theirs & (sender_ids.c.fingerprint != alert.fingerprint)
    query = sa.select(sender_ids.c.fingerprint).where(others)
    oldest = query.order_by(sender_ids.c.at.desc(), sender_ids.c.fingerprint).offset(MOST - 1)
    if gone := tx.execute(oldest).scalars().all():
        tx.execute(sender_ids.delete().where(theirs, sender_ids.c.fingerprint.in_(gone)))
        logger.warning(
            "source %s gives one id, %s, to more than %s alerts with different labels; "
            "a resolved with this id no longer ends the oldest of them",
            alert.source,
            brief(alert.pair),
            MOST,
        )


def take(tx: sa.Connection, source: str, id_: str) -> tuple[str, ...]:
    """The fingerprints of what came from this sender with this id, which are then forgotten."""
    theirs = _of(source, id_)
    query = sa.select(sender_ids.c.fingerprint).where(theirs).order_by(sender_ids.c.fingerprint)
    found = tuple(tx.execute(query).scalars())
    tx.execute(sender_ids.delete().where(theirs))
    return found


def _of(source: str, id_: str) -> sa.ColumnElement[bool]:
    return (sender_ids.c.source == source) & (sender_ids.c.id == id_)


def forget(tx: sa.Connection, before: datetime) -> int:
    """Remove what was not told since then."""
    return tx.execute(sender_ids.delete().where(sender_ids.c.at < before)).rowcount
