"""Questions to people and their answers. An answer counts once, in time, for one plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runner.errors import NotFound
from runner.incident import Approval, Brief
from runner.store.history import brief_from_json
from runner.store.tables import approvals


def ask(
    tx: sa.Connection,
    *,
    incident: int,
    plan: str,
    requested_by: str,
    requested_at: datetime,
    expires_at: datetime,
    brief: Brief | None = None,
) -> Approval:
    """The question about this plan; asked once, however often the step is repeated."""
    same = sa.select(approvals).where(approvals.c.incident == incident, approvals.c.plan == plan)
    row = tx.execute(same).mappings().first()
    if row is None:
        values = {
            "incident": incident,
            "plan": plan,
            "requested_by": requested_by,
            "requested_at": requested_at,
            "expires_at": expires_at,
            "brief": json.loads(json.dumps(asdict(brief), default=_plain)) if brief else None,
        }
        tx.execute(approvals.insert().values(values))
        row = tx.execute(same).mappings().one()
    return _from_row(row)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _from_row(row: Any) -> Approval:
    return Approval(**{**row, "brief": brief_from_json(row["brief"])})


def answer(
    tx: sa.Connection, approval: int, *, answer: str, by: str, at: datetime, comment: str = ""
) -> bool:
    """Write the answer if there is none yet; False when somebody was first."""
    result = tx.execute(
        approvals.update()
        .where(approvals.c.id == approval, approvals.c.answer.is_(None))
        .values(answer=answer, answered_by=by, answered_at=at, comment=comment)
    )
    return result.rowcount == 1


def get(tx: sa.Connection, approval: int) -> Approval:
    """The approval; NotFound when there is none."""
    row = tx.execute(sa.select(approvals).where(approvals.c.id == approval)).mappings().first()
    if row is None:
        raise NotFound(f"there is no approval {approval}; see `runner approval list`")
    return _from_row(row)


def of_incident(tx: sa.Connection, incident: int) -> tuple[Approval, ...]:
    """The approvals of an incident, oldest first."""
    query = sa.select(approvals).where(approvals.c.incident == incident).order_by(approvals.c.id)
    return tuple(_from_row(row) for row in tx.execute(query).mappings())


def open_approvals(tx: sa.Connection) -> tuple[Approval, ...]:
    """Questions without an answer, oldest first."""
    query = sa.select(approvals).where(approvals.c.answer.is_(None)).order_by(approvals.c.id)
    return tuple(_from_row(row) for row in tx.execute(query).mappings())


def overdue(tx: sa.Connection, now: datetime) -> tuple[Approval, ...]:
    """Questions that nobody answered in time."""
    query = sa.select(approvals).where(approvals.c.answer.is_(None), approvals.c.expires_at <= now)
    return tuple(_from_row(row) for row in tx.execute(query).mappings())
