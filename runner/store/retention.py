"""What grows has an end: old rows go, the audit chain keeps its proof (invariant 14)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from runner.config import Retention
from runner.incident import ENDED
from runner.store import audit_log, dead_letters, firings, nodes, sender_ids, tables

_OF_INCIDENT = (
    tables.evidence,
    tables.decisions,
    tables.verdicts,
    tables.plans,
    tables.blast_radii,
    tables.verifications,
    tables.approvals,
    tables.model_calls,
    tables.feedback,
    tables.memory,
)


def sweep(
    tx: sa.Connection, retention: Retention, now: datetime, limit: int = 500
) -> dict[str, int]:
    """Remove what is older than it may be, at most `limit` incidents; returns counts by table."""
    deliveries, calls, outbox = tables.deliveries, tables.model_calls, tables.outbox
    old = now - retention.incidents
    # The texts of a model call go first; an answer that is gone cannot count again either.
    texts = calls.update().where(
        calls.c.at < now - retention.prompts, (calls.c.prompt != "") | (calls.c.answer != "")
    )
    ended = outbox.c.sent_at.is_not(None) | outbox.c.failed.is_not(None)
    gone = {
        "incidents": _incidents(tx, old, limit),
        "deliveries": _changed(
            tx,
            deliveries.delete().where(
                deliveries.c.done, deliveries.c.received_at < now - retention.deliveries
            ),
        ),
        "dead_letters": dead_letters.forget(tx, now - retention.deliveries),
        "firings": firings.forget(tx, old),
        "sender_ids": sender_ids.forget(tx, old),
        "prompts": _changed(tx, texts.values(prompt="", answer="")),
        # Calls that belong to no incident.
        "questions": _changed(
            tx, calls.delete().where(calls.c.incident.is_(None), calls.c.at < old)
        ),
        "notifications": _changed(tx, outbox.delete().where(ended, outbox.c.due_at < old)),
        "records": _records(tx, now - retention.audit),
        "transitions": audit_log.cut(tx, now - retention.audit),
        "predictions": nodes.forget(tx, now - retention.predictions),
    }
    return {table: count for table, count in gone.items() if count}


def _changed(tx: sa.Connection, statement: sa.Update | sa.Delete) -> int:
    return int(tx.execute(statement).rowcount)


def unsettled(tx: sa.Connection) -> frozenset[str]:
    """Runs of which it may have to be found out yet what became of them."""
    rows = tables.runs
    locked = sa.select(tables.host_locks.c.run)
    found = sa.select(rows.c.id).where(rows.c.outcome.is_(None) | rows.c.id.in_(locked))
    return frozenset(tx.execute(found).scalars())


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


def _records(tx: sa.Connection, before: datetime) -> int:
    """What was noted of records that no incident is left of."""
    gone = 0
    for table in (tables.autonomy_noted, tables.clearings):
        rows = tables.incidents
        left = sa.exists().where(
            rows.c.entry == table.c.entry,
            rows.c.alertname == table.c.alertname,
            rows.c.environment == table.c.environment,
        )
        gone += tx.execute(table.delete().where(table.c.at < before, ~left)).rowcount
    return gone
