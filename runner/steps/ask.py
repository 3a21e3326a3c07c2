"""At `approve` a person is asked; the incident waits as rows, not as a thread."""

from __future__ import annotations

from datetime import UTC, datetime

from runner import pack
from runner.incident import Level, State
from runner.project import Project
from runner.steps.progress import load, passed
from runner.store import approvals, incidents, radii, records


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
        brief = pack.brief_of(tx, incident, project.catalog.get(plan.entry), project.catalog)
        question = approvals.ask(
            tx,
            incident=incident_id,
            plan=plan.hash,
            requested_by=incident.asked_by or "runner",
            requested_at=now,
            expires_at=now + project.config.approval.expires,
            brief=brief,
        )
        radius = pack.radius_words(radii.of_incident(tx, incident_id))
        touches = f": {radius}" if radius else ""
        reason = f"approval {question.id}: {plan.entry} on {', '.join(plan.hosts)}{touches}"
        detail = {"approval": question.id, "plan": plan.hash}
        incidents.move(tx, incident_id, State.WAITING, reason, detail=detail)
    return False
