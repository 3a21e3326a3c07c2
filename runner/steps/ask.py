"""At `approve` a person is asked; the incident waits as rows, not as a thread."""

from __future__ import annotations

from datetime import UTC, datetime

from runner.incident import Level, State
from runner.project import Project
from runner.steps.progress import load, passed
from runner.store import approvals, incidents, records


def ask(project: Project, incident_id: int) -> bool:
    """Let the plan through at `auto`; otherwise ask and return False: the answer goes on."""
    incident = load(project, incident_id)
    if incident.state is State.WAITING or incident.state.ended:
        return False
    if passed(incident, State.APPROVED):
        return True
    with project.database.write() as tx:
        plan = records.plan_of(tx, incident_id)
        assert plan is not None, "rehearse stores a plan before this step"
        if incident.level is Level.AUTO:
            return incidents.move(tx, incident_id, State.APPROVED, "level auto: no person is asked")
        now = datetime.now(UTC)
        question = approvals.ask(
            tx,
            incident=incident_id,
            plan=plan.hash,
            requested_by=incident.requested_by or "runner",
            requested_at=now,
            expires_at=now + project.config.approval.expires,
        )
        reason = f"approval {question.id}: {plan.entry} on {', '.join(plan.hosts)}"
        detail = {"approval": question.id, "plan": plan.hash}
        incidents.move(tx, incident_id, State.WAITING, reason, detail=detail)
    return False
