"""A fault on purpose: the playbook of a drill, on a host that allows it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from runner import drill
from runner import plan as plans
from runner.errors import Refused, RunnerError, StoreError
from runner.incident import Incident, Outcome, Purpose, Run, State
from runner.project import Project
from runner.steps.perform import Job, Ready
from runner.steps.progress import Then, advance, end, escalate, load, perform_when_free
from runner.store import runs, switches

_ATTEMPT = 1


def inject(project: Project, incident_id: int) -> Then:
    """Run the drill that a person asked for, once; STOP, because the incident ends here."""
    incident = load(project, incident_id)
    if incident.state.ended:
        return Then.STOP
    try:
        run = _run(project, incident)
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        return end(project, incident_id, State.CANCELLED, f"no fault was injected: {error}")
    if run.outcome is not None and run.outcome.completed:
        return end(project, incident_id, State.DRILLED, f"{run.entry} injected its fault")
    if run.outcome in (Outcome.FAILED, Outcome.UNREACHABLE, Outcome.CANCELLED):
        reason = f"{run.entry} ended {run.outcome}: {run.reason}"
        return end(project, incident_id, State.CANCELLED, reason)
    reason = f"{run.entry} ended {run.outcome}: check whether its fault is still there"
    return escalate(project, incident_id, reason)


def _run(project: Project, incident: Incident) -> Run:
    entry = project.catalog.get(incident.requested_entry or "")
    with project.database.read() as tx:
        before = runs.find(tx, incident.id, Purpose.DRILL, _ATTEMPT)
    hosts = incident.requested_hosts
    reason = f"{entry.id} on {', '.join(hosts)}"
    advance(project, incident.id, State.LOCATED, reason, hosts=list(hosts), entry=entry.id)
    plan = plans.draft(load(project, incident.id), entry, project.catalog, project.inventory())
    job = Job(
        incident=incident.id,
        purpose=Purpose.DRILL,
        attempt=_ATTEMPT,
        entry=entry,
        plan=plan,
        ready=lambda: Ready(allow=_not_paused),
    )
    if before is None:
        # Raise Refused unless the drill may still start; looked at again right before it does.
        drill.check(project.inventory(fresh=True), plan.touched)
        with project.database.read() as tx:
            _not_paused(tx)
        advance(project, incident.id, State.RUNNING, reason)
    return perform_when_free(project, job)


def _not_paused(tx: sa.Connection, now: datetime | None = None) -> None:
    if reason := switches.paused(tx):
        raise Refused(reason)
