"""At `approve` a person is asked; the incident waits as rows, not as a thread."""

from __future__ import annotations

import sqlalchemy as sa

from runner.incident import Incident, Level, State, Verdict
from runner.incident_report import approval_request
from runner.project import Project
from runner.steps.progress import Then, load, passed, stored_plan, stored_verdict
from runner.store import approvals, clock, incidents, records


def ask(project: Project, incident_id: int) -> Then:
    """Let the plan through at `auto`; otherwise ask and stop: the answer goes on."""
    incident = load(project, incident_id)
    if incident.state is State.WAITING or incident.state.ended:
        return Then.STOP
    if passed(incident, State.APPROVED):
        return Then.GO_ON
    with project.database.write() as tx:
        if incident.level is Level.AUTO:
            reason = "level auto: no person is asked"
            return Then(incidents.move(tx, incident_id, State.APPROVED, reason))
        verdict = stored_verdict(tx, incident_id)
        plan = stored_plan(tx, incident_id)
        given = approvals.newest_about(approvals.of_incident(tx, incident_id), plan.hash)
        # A yes from before the incident was held back, about this plan, unless a rule speaks now
        # that the person did not see.
        if given and given.answer == "approved" and _shown(verdict) <= set(given.shown or ()):
            reason = f"approval {given.id} still counts: same plan, no new reason against it"
            return Then(incidents.move(tx, incident_id, State.APPROVED, reason))
        question(project, tx, incident, verdict)
    return Then.STOP


def question(
    project: Project, tx: sa.Connection, incident: Incident, verdict: Verdict, *, why: str = ""
) -> None:
    """Ask whether the plan may run; `why` says what has come up since it was let through."""
    plan = stored_plan(tx, incident.id)
    now = clock.now(tx)
    asked = approvals.ask(
        tx,
        incident=incident.id,
        plan=plan.hash,
        requested_by=", ".join(incident.asked_by) or "runner",
        requested_at=now,
        expires_at=now + project.config.approval.expires,
        brief=approval_request.brief_of(
            tx, incident, project.catalog.get(plan.entry), project.catalog
        ),
        shown=_shown(verdict),
    )
    radius = approval_request.radius_words(records.radius_of(tx, incident.id))
    touches = f": {radius}" if radius else ""
    reason = f"approval {asked.id}: {plan.entry} on {', '.join(plan.hosts)}{touches}"
    incidents.move(
        tx,
        incident.id,
        State.WAITING,
        f"{reason}. {why}" if why else reason,
        detail={"approval": asked.id, "plan": plan.hash},
        level=verdict.level,
    )


def _shown(verdict: Verdict) -> set[str]:
    """The rules that a person sees hold the level down, and overrides with a yes."""
    return {reason.rule for reason in verdict.reasons if reason.level is not Level.AUTO}
