"""What grows has an end: old rows go, the audit chain keeps its proof (invariant 14)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from runner.config import Retention
from runner.incident import ENDED
from runner.store import nodes, tables, trail

_OF_INCIDENT = (
    tables.evidence,
    tables.decisions,
    tables.verdicts,
    tables.plans,
    tables.verifications,
    tables.approvals,
)


def sweep(
    tx: sa.Connection, retention: Retention, now: datetime, limit: int = 500
) -> dict[str, int]:
    """Remove what is older than it may be, at most `limit` incidents; returns counts by table."""
    gone = {
        "incidents": _incidents(tx, now - retention.incidents, limit),
        "deliveries": _deliveries(tx, now - retention.deliveries),
        "notifications": _notifications(tx, now - retention.incidents),
        "transitions": trail.cut(tx, now - retention.audit),
        "predictions": nodes.forget(tx, now - retention.predictions),
    }
    return {table: count for table, count in gone.items() if count}


def _incidents(tx: sa.Connection, before: datetime, limit: int) -> int:
    rows = tables.incidents
    old = sa.select(rows.c.id).where(
        rows.c.updated_at < before, rows.c.state.in_([str(state) for state in ENDED])
    )
    ids = list(tx.execute(old.order_by(rows.c.id).limit(limit)).scalars())
    if not ids:
        return 0
    # A run whose end is unknown keeps its hosts, and so its incident, until a person closes it.
    held = sa.select(tables.runs.c.incident).where(
        tables.runs.c.id.in_(sa.select(tables.host_locks.c.run))
    )
    ids = [row for row in ids if row not in set(tx.execute(held).scalars())]
    for table in (*_OF_INCIDENT, tables.runs):
        tx.execute(table.delete().where(table.c.incident.in_(ids)))
    tx.execute(rows.delete().where(rows.c.id.in_(ids)))
    return len(ids)


def _deliveries(tx: sa.Connection, before: datetime) -> int:
    rows = tables.deliveries
    done = tx.execute(rows.delete().where(rows.c.done, rows.c.received_at < before))
    return int(done.rowcount)


def _notifications(tx: sa.Connection, before: datetime) -> int:
    rows = tables.outbox
    ended = sa.or_(rows.c.sent_at.is_not(None), rows.c.failed.is_not(None))
    return int(tx.execute(rows.delete().where(ended, rows.c.due_at < before)).rowcount)
