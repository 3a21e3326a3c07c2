"""What earlier runs of an entry came to: the record that a person is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runner.incident import Brief, Outcome, PastResult, Purpose, Record, Result
from runner.store.tables import incidents, runs, verifications

#: How many runs count, and how many of them are named one by one.
MOST, NAMED = 1000, 5


def record_of(tx: sa.Connection, *, entry: str, alert: str, environment: str) -> Record:
    """The newest runs of `entry` for alerts of this name in this environment, that have ended."""
    query = (
        sa.select(
            runs.c.incident, runs.c.started_at, runs.c.hosts, runs.c.outcome, verifications.c.result
        )
        .join(incidents, incidents.c.id == runs.c.incident)
        .outerjoin(verifications, verifications.c.run == runs.c.id)
        .where(
            runs.c.entry == entry,
            runs.c.purpose == Purpose.REMEDIATION,
            runs.c.outcome.is_not(None),
            incidents.c.alertname == alert,
            incidents.c.environment == environment,
        )
        .order_by(runs.c.started_at.desc())
        .limit(MOST)
    )
    return _counted([_past(row) for row in tx.execute(query)])


def _past(row: Any) -> PastResult:
    return PastResult(
        incident=row.incident,
        at=row.started_at,
        hosts=tuple(row.hosts),
        outcome=Outcome(row.outcome) if row.outcome else None,
        result=Result(row.result) if row.result else None,
    )


def _counted(past: list[PastResult]) -> Record:
    results = [each.result or Result.UNKNOWN for each in past]
    return Record(
        fixed=results.count(Result.FIXED),
        not_fixed=results.count(Result.NOT_FIXED),
        unknown=results.count(Result.UNKNOWN),
        last=tuple(past[:NAMED]),
    )


def brief_from_json(content: Mapping[str, Any] | None) -> Brief | None:
    """The brief as it was stored with its question."""
    if content is None:
        return None
    record = content["record"]
    last = tuple(_past_from_json(each) for each in record["last"])
    return Brief(
        **{
            **content,
            "approvers": tuple(content["approvers"]),
            "record": Record(**{**record, "last": last}),
        }
    )


def _past_from_json(content: Mapping[str, Any]) -> PastResult:
    return PastResult(
        incident=content["incident"],
        at=datetime.fromisoformat(content["at"]),
        hosts=tuple(content["hosts"]),
        outcome=Outcome(content["outcome"]) if content["outcome"] else None,
        result=Result(content["result"]) if content["result"] else None,
    )
