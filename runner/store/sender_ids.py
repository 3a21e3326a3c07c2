"""What other senders call a firing: the alerts that came with an id, until it is resolved."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from runner.incident import Alert
from runner.store.database import insert
from runner.store.tables import sender_ids

#: Alerts that one id may name: a sender may change labels while an alert fires.
MOST = 20


def note(tx: sa.Connection, alert: Alert, now: datetime) -> None:
    """Remember the id of an alert that fires."""
    key = {"source": alert.source, "id": alert.pair, "fingerprint": alert.fingerprint}
    new = insert(tx, sender_ids).values(**key, at=now)
    tx.execute(new.on_conflict_do_update(index_elements=[*key], set_={"at": now}))


def take(tx: sa.Connection, source: str, id_: str) -> tuple[str, ...]:
    """The fingerprints of what came from this sender with this id, which are then forgotten."""
    theirs = (sender_ids.c.source == source) & (sender_ids.c.id == id_)
    query = sa.select(sender_ids.c.fingerprint).where(theirs).order_by(sender_ids.c.fingerprint)
    found = tuple(tx.execute(query.limit(MOST)).scalars())
    tx.execute(sender_ids.delete().where(theirs))
    return found


def forget(tx: sa.Connection, before: datetime) -> int:
    """Remove what was not told since then."""
    return tx.execute(sender_ids.delete().where(sender_ids.c.at < before)).rowcount
