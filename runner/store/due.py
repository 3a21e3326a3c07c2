"""Whether anything is due that is done by the clock: one statement for a look each second.

It is made once, because to make such a statement costs more than to ask it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.incident import Outcome
from runner.store import approvals, clock, firings, incidents, runs, tables


def _at(name: str) -> sa.BindParameter[datetime]:
    return sa.bindparam(name, type_=tables.UtcTime())


_WORKER: sa.BindParameter[str] = sa.bindparam("worker", type_=sa.Text())
_HOUSEKEEPING = sa.select(
    sa.or_(
        sa.exists(approvals.overdue_query(_at("now"))),
        sa.exists(incidents.held_over_query(_at("now"))),
        sa.exists(firings.due_query(_at("now"))),
        sa.exists(incidents.left_joined_query()),
        sa.exists(runs.locked_query().where(tables.runs.c.outcome == Outcome.UNKNOWN)),
        sa.exists(runs.left_behind_query(_WORKER, _at("before"))),
    )
)


def housekeeping(tx: sa.Connection, worker: str, lease: timedelta) -> bool:
    """Whether a question has expired, what was held back or had joined may go on, an alert is to be
    looked at again, or a run may be settled: one of `worker`, or `lease` past its deadline."""
    now = clock.now(tx)
    moments = {"now": now, "before": now - lease, "worker": worker}
    return bool(tx.execute(_HOUSEKEEPING, moments).scalar())
