"""Earlier runs, as far back as any rule of policy looks."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.incident import Labels, Result, Run
from runner.policy import PastRun
from runner.project import Project
from runner.store import incidents, records, runs

#: How far back runs count for cooldowns, rates and the breaker.
HISTORY = timedelta(days=7)


def past_runs(project: Project, tx: sa.Connection, now: datetime) -> tuple[PastRun, ...]:
    """Runs that policy may look at, with what came of them."""
    budgets = project.config.policy.budgets
    past = runs.since(tx, now - max([HISTORY, *(budget.within for budget in budgets)]))
    verified = records.verified(tx, [run.id for run in past])
    labels = incidents.labels_of(tx, {run.incident for run in past}) if budgets else {}
    return tuple(_past(run, verified.get(run.id), labels.get(run.incident, {})) for run in past)


def _past(run: Run, verification: Result | None, labels: Labels) -> PastRun:
    return PastRun(
        entry=run.entry,
        hosts=run.hosts,
        incident=run.incident,
        purpose=run.purpose,
        started_at=run.started_at,
        outcome=run.outcome,
        verification=verification,
        labels=labels,
    )
