"""Check mode before anything is changed: the plan, its diff, its fidelity, its hash."""

from __future__ import annotations

from runner import plan as plans
from runner import policy
from runner.catalog.entry import Entry
from runner.errors import Refused, RunnerError
from runner.incident import Incident, Level, Outcome, Plan, Purpose, Run, State
from runner.project import Project
from runner.steps.judge import stop_at
from runner.steps.perform import Job, perform
from runner.steps.progress import escalate, load, passed
from runner.steps.waiting import for_hosts
from runner.store import incidents, records, runs

#: A rehearsal that a crash cut short may be repeated so often: check mode changes nothing.
ATTEMPTS = 3


def rehearse(project: Project, incident_id: int) -> bool:
    """Run the chosen entry in check mode and let policy judge what it showed."""
    incident = load(project, incident_id)
    if passed(incident, State.REHEARSED):
        return not incident.state.ended
    entry = project.catalog.get(incident.entry or "")
    try:
        draft = plans.draft(incident, entry, project.catalog, project.inventory())
    except RunnerError as error:
        return escalate(project, incident_id, f"no plan can be made: {error}")
    run = None
    if entry.rehearsal == "required":
        run = check(project, incident, entry, draft, Purpose.REHEARSAL)
    return _conclude(project, incident, entry, draft, run)


def check(project: Project, incident: Incident, entry: Entry, plan: Plan, purpose: Purpose) -> Run:
    """The rehearsal's run; repeated when a crash left its end unknown.

    Raises Refused when the hosts stay busy.
    """
    run: Run | None = None
    for attempt in range(1, ATTEMPTS + 1):
        job = Job(incident=incident.id, purpose=purpose, attempt=attempt, entry=entry, plan=plan)
        run = for_hosts(project, lambda job=job: perform(project, job))  # type: ignore[misc]
        if run.outcome is Outcome.CANCELLED and not load(project, incident.id).cancel_requested:
            continue
        if run.outcome is not Outcome.UNKNOWN:
            return run
        # The processes of a rehearsal are gone or past their deadline: nothing holds the hosts.
        with project.database.write() as tx:
            runs.release(tx, run.id)
    if run is None:
        raise Refused("the rehearsal was never started")
    return run


def _conclude(
    project: Project, incident: Incident, entry: Entry, draft: Plan, run: Run | None
) -> bool:
    plan = plans.hashed(draft, run.diff_hash if run else "")
    with project.database.write() as tx:
        before = records.verdict_of(tx, incident.id)
        assert before is not None, "judge stores a verdict before this step"
        verdict = policy.judge_rehearsal(
            before,
            run.fidelity if run else None,
            run.outcome if run else None,
            project.config.policy,
            entry,
            strangers=set(run.seen) - set(draft.touched) if run else (),
        )
        records.put_plan(tx, incident.id, plan)
        records.put_verdict(tx, incident.id, verdict)
        moved = incidents.move(
            tx,
            incident.id,
            State.REHEARSED,
            _said(run),
            detail={"plan": plan.hash, "outcome": run.outcome if run else None},
            level=verdict.level,
        )
    if not moved:
        return False
    if verdict.level.rank < Level.APPROVE.rank:
        return stop_at(project, incident.id, verdict)
    return True


def _said(run: Run | None) -> str:
    if run is None:
        return "no rehearsal: the entry's README says why"
    return f"check mode ended {run.outcome}, fidelity {run.fidelity.share:.0%}: {run.reason}"
