"""Switches that people throw at run time; every throw is a row of the audit log."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from runner.store import audit_log
from runner.store.database import insert
from runner.store.tables import switches

PAUSE = "pause"


def pause(tx: sa.Connection, *, actor: str, reason: str) -> None:
    """Make every incident `observe` until `resume`."""
    now = datetime.now(UTC)
    said = {"reason": reason, "actor": actor, "at": now}
    new = insert(tx, switches).values(name=PAUSE, **said)
    tx.execute(new.on_conflict_do_update(index_elements=["name"], set_=said))
    audit_log.append(tx, action="pause", reason=reason, actor=actor, at=now)


def resume(tx: sa.Connection, *, actor: str, reason: str) -> bool:
    """End the pause; False when there was none."""
    gone = tx.execute(switches.delete().where(switches.c.name == PAUSE)).rowcount
    if gone:
        audit_log.append(tx, action="resume", reason=reason, actor=actor)
    return bool(gone)


def paused(tx: sa.Connection) -> str | None:
    """Why and by whom everything is paused, as a sentence; None when it is not."""
    row = tx.execute(sa.select(switches).where(switches.c.name == PAUSE)).first()
    if row is None:
        return None
    return f"paused by {row.actor} at {row.at:%Y-%m-%d %H:%M} UTC: {row.reason}"
