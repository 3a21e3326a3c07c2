"""What steps share: what an earlier step stored, whether a step is still needed, how it moves or
ends an incident, earlier runs, and waiting for hosts that another run holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa

from runner.errors import Refused
from runner.incident import WAITS, Incident, Plan, Run, State, Verdict
from runner.policy import PastRun
from runner.project import Project
from runner.steps.perform import Job, perform
from runner.store import incidents, records, runs
from runner.store.runs import HostsBusy, NotNow
from runner.text.duration import write

_ORDER = list(State)


class Then(Enum):
    """What follows a step: the next one, or nothing, because the incident ended, is held back or
    waits for an answer. The engine stores the value."""

    GO_ON = True
    STOP = False

    def __bool__(self) -> bool:
        return self.value


def load(project: Project, incident: int) -> Incident:
    """The incident as it stands now."""
    with project.database.read() as tx:
        return incidents.get(tx, incident)


def stored_plan(tx: sa.Connection, incident: int) -> Plan:
    """The plan, for a step that comes after `rehearse`, which stores it."""
    plan = records.plan_of(tx, incident)
    assert plan is not None, "the step `rehearse` stores a plan before"
    return plan


def stored_verdict(tx: sa.Connection, incident: int) -> Verdict:
    """The verdict, for a step that comes after `judge`, which stores it."""
    verdict = records.verdict_of(tx, incident)
    assert verdict is not None, "the step `judge` stores a verdict before"
    return verdict


def passed(incident: Incident, state: State) -> bool:
    """Whether the incident reached `state` already, in an attempt that a crash cut short."""
    return _ORDER.index(incident.state) >= _ORDER.index(state)


def advance(
    project: Project,
    incident: int,
    to: State,
    reason: str,
    *,
    detail: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Then:
    """Move to `to`; the incident goes on unless it ended meanwhile."""
    with project.database.write() as tx:
        moved = incidents.move(tx, incident, to, reason, detail=detail, **columns)
        return Then(moved and not to.ended)


def end(project: Project, incident: int, state: State, reason: str, **detail: Any) -> Then:
    """End the incident; STOP, so that a step can return it."""
    advance(project, incident, state, reason, detail=detail)
    return Then.STOP


def escalate(project: Project, incident: int, reason: str, **detail: Any) -> Then:
    """Hand the incident to a person; STOP, so that a step can return it."""
    return end(project, incident, State.ESCALATED, reason, **detail)


#: How far back runs count for cooldowns, rates and the breaker.
HISTORY = timedelta(days=7)


def past_runs(project: Project, tx: sa.Connection, now: datetime) -> tuple[PastRun, ...]:
    """Runs that policy may look at, with what came of them."""
    budgets = project.config.policy.budgets
    past = runs.since(tx, now - max([HISTORY, *(budget.within for budget in budgets)]))
    verified = records.verified(tx, [run.id for run in past])
    labels = incidents.labels_of(tx, {run.incident for run in past}) if budgets else {}
    return tuple(
        PastRun(
            entry=run.entry,
            hosts=run.hosts,
            part=run.part,
            incident=run.incident,
            purpose=run.purpose,
            started_at=run.started_at,
            outcome=run.outcome,
            verification=verified.get(run.id),
            labels=labels.get(run.incident, {}),
        )
        for run in past
    )


#: Seconds that a run waits before a person is asked.
PATIENCE = 900.0
_POLL = 1.0
#: Seconds between two looks where each of them asks the world, not only the store.
_SLOW_POLL = 10.0
#: Seconds between two words on what is waited for: on a busy host that changes all the time.
_SAY_EVERY = 60.0


def perform_when_free(project: Project, job: Job) -> Run:
    """The run with its outcome, as soon as nothing makes it wait; the incident says what does.

    Raises Refused, naming what it waited for, when that does not pass.
    """
    begun, said_at = time.monotonic(), None
    while True:
        try:
            return perform(project, replace(job, waited=said_at is not None))
        except NotNow as why:
            now = time.monotonic()
            if said_at is None or now - said_at >= _SAY_EVERY:
                said_at = now
                with project.database.write() as tx:
                    incidents.note(tx, job.incident, WAITS, str(why))
            if now - begun >= PATIENCE:
                patience = write(timedelta(seconds=PATIENCE))
                raise Refused(f"gave up after {patience}: {why}") from None
            project.sleep(_POLL if isinstance(why, HostsBusy) else _SLOW_POLL)
