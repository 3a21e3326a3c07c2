"""Whether anything is due that is done by the clock: one statement for a look each second.

It is made once, because to make such a statement costs more than to ask it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.incident import Outcome
from runner.store import approvals, clock, firings, incidents, runs, tables


def _at(name: str) -> sa.BindParameter[datetime]:
    return sa.bindparam(name, type_=tables.UtcTime())


def _any(*queries: sa.Select[Any]) -> sa.Select[tuple[bool]]:
    return sa.select(sa.or_(*(sa.exists(query) for query in queries)))


_WORKER: sa.BindParameter[str] = sa.bindparam("worker", type_=sa.Text())
_HOUSEKEEPING = _any(
    approvals.overdue_query(_at("now")),
    incidents.held_over_query(_at("now")),
    firings.due_query(_at("now")),
    incidents.left_joined_query(),
    runs.locked_query().where(tables.runs.c.outcome == Outcome.UNKNOWN),
    runs.left_behind_query(_WORKER, _at("before")),
)


def housekeeping(tx: sa.Connection, worker: str, lease: timedelta) -> bool:
    """Whether a question has expired, what was held back or had joined may go on, an alert is to be
    looked at again, or a run may be settled: one of `worker`, or `lease` past its deadline."""
    now = clock.now(tx)
    moments = {"now": now, "before": now - lease, "worker": worker}
    return bool(tx.execute(_HOUSEKEEPING, moments).scalar())
