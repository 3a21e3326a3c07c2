"""Questions to people and their answers. An answer counts once, in time, for one plan."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runner.errors import NotFound
from runner.incident import CLOSED, Approval, Brief
from runner.store import clock
from runner.store.learning import brief_from_json
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
    shown: Collection[str] = (),
) -> Approval:
    """The question about this plan; asked once, however often the step is repeated.

    Once it is answered the same plan may be asked about anew, because a rule speaks that was
    not among those `shown` before.
    """
    before = newest_about(of_incident(tx, incident), plan)
    if before is not None and before.answer is None:
        return before
    values = {
        "incident": incident,
        "plan": plan,
        "requested_by": requested_by,
        "requested_at": requested_at,
        "expires_at": expires_at,
        "brief": json.loads(json.dumps(asdict(brief), default=_plain)) if brief else None,
        "asked": before.asked + 1 if before is not None else 1,
        "shown": sorted(set(shown)),
    }
    added = tx.execute(approvals.insert().values(values).returning(approvals.c.id))
    return get(tx, added.scalar_one())


def newest_about(questions: Iterable[Approval], plan: str) -> Approval | None:
    """Of the questions of an incident the newest about this plan; None when nobody was asked."""
    return max(
        (question for question in questions if question.plan == plan),
        key=lambda question: question.asked,
        default=None,
    )


def close(tx: sa.Connection, incident: int, why: str) -> None:
    """Close what nobody has answered of an incident: it has ended, so no answer can count."""
    still_open = (approvals.c.incident == incident) & approvals.c.answer.is_(None)
    closed = {"answer": CLOSED, "answered_by": "runner", "answered_at": clock.now(tx)}
    tx.execute(approvals.update().where(still_open).values(closed | {"comment": why}))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _from_row(row: Any) -> Approval:
    shown = None if row["shown"] is None else tuple(row["shown"])
    return Approval(**{**row, "brief": brief_from_json(row["brief"]), "shown": shown})


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
    return tuple(_from_row(row) for row in tx.execute(overdue_query(now)).mappings())


def overdue_query(now: clock.Moment) -> sa.Select[Any]:
    """The rows of questions that nobody answered in time."""
    return sa.select(approvals).where(approvals.c.answer.is_(None), approvals.c.expires_at <= now)
