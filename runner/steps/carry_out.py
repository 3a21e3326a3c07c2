"""The run itself: a last look at the world, then Ansible, once per attempt."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from runner import approve, policy
from runner import plan as plans
from runner.catalog.entry import Entry
from runner.config import Approval as Settings
from runner.errors import Refused, RemoteError, RunnerError, StoreError
from runner.execute.diff import differing
from runner.incident import (
    OWN_SOURCES,
    Approval,
    BlastRadius,
    Incident,
    Level,
    Outcome,
    Plan,
    Purpose,
    Run,
    State,
)
from runner.intake.alertmanager import Standing
from runner.plan import MOST_NAMED
from runner.policy import together
from runner.project import Project
from runner.steps.perform import Job, perform
from runner.steps.places import case_at
from runner.steps.progress import end, escalate, load
from runner.steps.rehearse import Check, check
from runner.steps.waiting import for_hosts
from runner.store import approvals, firings, incidents, radii, records, runs, switches, trail
from runner.text import visible

#: An attempt that never started, because the runner went away, may be made again so often.
STARTS = 3
#: The act in the trail that says that a step is not needed, because its host is gone.
LEFT_OUT = "left_out"


class Stale(Exception):
    """What the pre-flight saw: why the run must not start, and how the incident ends."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


def carry_out(project: Project, incident_id: int, attempt: int, step: int = 1) -> bool:
    """Run one step of the approved plan; True when it was started, whatever came of it, and
    when `approach` left it out."""
    incident = load(project, incident_id)
    if incident.state.ended:
        return False
    with project.database.read() as tx:
        plan = records.plan_of(tx, incident_id)
        if left_out(tx, incident_id, step):
            return True
    assert plan is not None, "rehearse stores a plan before this step"
    try:
        for start in range(STARTS):
            run = _once(project, incident, plan, (attempt - 1) * STARTS + start + 1, step)
            if run.outcome is not Outcome.CANCELLED or run.stats:
                break
            if load(project, incident_id).cancel_requested:
                return end(project, incident_id, State.CANCELLED, f"cancelled: {run.reason}")
    except Stale as stale:
        return _not_started(project, incident_id, plan, step, stale)
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        if step > 1:
            return escalate(project, incident_id, midway(plan, step, str(error)))
        return escalate(project, incident_id, f"nothing was run: {error}")
    return _ended(project, incident_id, plan, run)


def midway(plan: Plan, step: int, why: str) -> str:
    """Why a later step was not started, for the person who takes over."""
    done = "step 1" if step == 2 else f"steps 1 to {step - 1}"
    return f"{plan.called(step)}it was not started: {why}; what {done} did stays"


def _not_started(project: Project, incident_id: int, plan: Plan, step: int, stale: Stale) -> bool:
    """The end of an incident whose run did not start; a plan that has begun is a person's."""
    if step == 1:
        return end(project, incident_id, stale.state, str(stale))
    cancelled = load(project, incident_id).cancel_requested
    state = State.CANCELLED if cancelled else State.ESCALATED
    return end(project, incident_id, state, midway(plan, step, str(stale)))


def left_out(tx: sa.Connection, incident_id: int, step: int) -> bool:
    """Whether `approach` left this step out, because its host is gone."""
    return any(
        transition.action == LEFT_OUT and transition.detail.get("step") == step
        for transition in trail.of_incident(tx, incident_id)
    )


def _ended(project: Project, incident_id: int, plan: Plan, run: Run) -> bool:
    reason = f"{plan.called(run.step)}{run.entry} ended {run.outcome}: {run.reason}"
    detail = {"run": run.id, "outcome": run.outcome}
    with project.database.write() as tx:
        expected = {State.APPROVED, State.RUNNING}
        incidents.move(tx, incident_id, State.VERIFYING, reason, expected=expected, detail=detail)
        return not incidents.get(tx, incident_id).state.ended


def _once(project: Project, incident: Incident, plan: Plan, attempt: int, step: int) -> Run:
    part = plan.parts[step - 1]
    with project.database.read() as tx:
        before = runs.find(tx, incident.id, Purpose.REMEDIATION, attempt, step)
        asked = bool(approvals.of_incident(tx, incident.id))
    job = Job(
        incident=incident.id,
        purpose=Purpose.REMEDIATION,
        attempt=attempt,
        step=step,
        entry=project.catalog.get(part.entry),
        plan=part,
    )
    if before is not None:  # a crash cut this step short: what became of the run counts
        return perform(project, job)
    if asked and attempt == 1 and step == 1:
        # First the files: check mode really runs some tasks, and must not run what nobody saw.
        _same_plan(project, incident, plan)
        _recheck(project, incident, job.entry, plan)
    return for_hosts(project, lambda: _start(project, job, plan))


def _start(project: Project, job: Job, plan: Plan) -> Run:
    """The pre-flight and the run, together: between the two nothing else happens."""
    radius = preflight(project, job.incident, plan, job.step)
    on = f"{job.entry.id} on {', '.join(job.plan.hosts)}, attempt {job.attempt}"
    reason = f"{plan.called(job.step)}attempt {job.attempt}" if plan.steps else on
    with project.database.write() as tx:
        expected = {State.APPROVED, State.VERIFYING}
        incidents.move(tx, job.incident, State.RUNNING, reason, expected=expected)
        if plan.places and job.step == 1:
            _alone(project, tx, job.incident, plan)
    return perform(project, replace(job, radius=radius))


def _alone(project: Project, tx: sa.Connection, incident: int, plan: Plan) -> None:
    """Raise Stale, which undoes the transaction, while another plan changes the same group.

    The move before this is what makes two of them wait for each other: it holds the trail.
    """
    groups = project.inventory().groups
    for other, found in records.acting(tx, incident).items():
        shared = together(groups, plan.touched, found.touched) if found.places else ""
        if shared:
            text = f"incident {other} is changing {shared} now; one change at a time"
            raise Stale(State.ESCALATED, text)


def _recheck(project: Project, incident: Incident, entry: Entry, plan: Plan) -> None:
    """Check mode once more: what a person approved must still be what would happen."""
    if entry.rehearsal == "none":
        return
    run = check(project, incident, Check(Purpose.RECHECK, entry, plan.parts[0]))
    if not (run.outcome and run.outcome.completed):
        raise Stale(State.ESCALATED, f"check mode now ends {run.outcome}: {run.reason}")
    if run.diff_hash != plan.diff:
        with project.database.read() as tx:
            before = runs.of_incident(tx, incident.id)
        raise Stale(State.CANCELLED, _no_longer(before, run))


def _no_longer(before: tuple[Run, ...], now: Run) -> str:
    """Names where on the hosts something changed since the person saw the diff."""
    shown = next((r.diff for r in reversed(before) if r.purpose is Purpose.REHEARSAL), "")
    places = "; ".join(visible(place) for place in differing(shown, now.diff)[:MOST_NAMED])
    text = "what check mode would change is no longer what was approved"
    return f"{text}: {places}" if places else text


def preflight(project: Project, incident_id: int, plan: Plan, step: int = 1) -> BlastRadius:
    """The blast radius as it is now. Raises Stale unless all that let the plan through holds."""
    incident = load(project, incident_id)
    if incident.cancel_requested:
        raise Stale(State.CANCELLED, "a person cancelled it before it ran")
    with project.database.read() as tx:
        if reason := switches.paused(tx):
            raise Stale(State.CANCELLED, reason)
        firing = incidents.still_firing(tx, incident_id)
        questions = approvals.of_incident(tx, incident_id)
    if incident.level is None or incident.level.rank < Level.APPROVE.rank:
        raise Stale(State.ESCALATED, f"level {incident.level or 'unknown'} lets nothing run")
    if incident.level is not Level.AUTO:
        _let_through(questions, plan, project.config.approval)
    _same_plan(project, incident, plan)
    if incident.requested_by is None and not _begun(plan, step):
        _still_firing(project, incident, firing)
    return _still_room(project, incident, plan, step)


def _begun(plan: Plan, step: int) -> bool:
    """Whether an earlier step already acted on the target: its alert may clear by that alone,
    and to stop halfway would leave a node that is neither in nor out."""
    return any(plan.places.get("target") in part.touched for part in plan.parts[: step - 1])


def _let_through(questions: tuple[Approval, ...], plan: Plan, settings: Settings) -> None:
    """A state that says approved is not enough: the answer itself must be there, and count."""
    try:
        approve.require_given(questions, plan=plan.hash, settings=settings)
    except Refused as error:
        raise Stale(State.ESCALATED, str(error)) from None


def _still_room(project: Project, incident: Incident, plan: Plan, step: int) -> BlastRadius:
    """Hosts fail while a person thinks: capacity and domains are judged again (invariant 11).

    Other runs in flight do not count here: `intend` waits for them, under its own lock.
    """
    case = replace(case_at(project, incident, plan, step), busy=frozenset())
    verdict = policy.judge(case, policy.RADIUS)
    if verdict.level.rank < Level.APPROVE.rank:
        because = " ".join(reason.text for reason in verdict.limiting)
        raise Stale(State.ESCALATED, f"it may no longer start: {because}")
    radius = policy.measure(case)
    if not plan.places:  # of a plan in steps, what is kept is about all of them
        _keep(project, incident, radius)
    return radius


def _keep(project: Project, incident: Incident, radius: BlastRadius) -> None:
    with project.database.read() as tx:
        known = radii.of_incident(tx, incident.id)
    if radius != known:
        with project.database.write() as tx:
            radii.put(tx, incident.id, radius)


def _same_plan(project: Project, incident: Incident, plan: Plan) -> None:
    entry = project.catalog.get(plan.entry)
    now = plans.draft(incident, entry, project.catalog, project.inventory(), plan.places)
    now = plans.hashed(now, plan.diff)
    if now.hash != plan.hash:
        raise Stale(
            State.CANCELLED, f"the plan changed since it was made: {plans.difference(plan, now)}"
        )


def _still_firing(project: Project, incident: Incident, firing: bool) -> None:
    if not firing:
        raise Stale(State.RESOLVED, "the alert resolved by itself before anything ran")
    if incident.alert.source in OWN_SOURCES or project.alertmanagers is None:
        return  # the message is the newest word there is
    try:
        alert = project.alertmanagers.state_of(
            incident.alert.fingerprint, incident.alert.labels, since=incident.created_at
        )
    except RemoteError as error:
        raise Stale(
            State.ESCALATED, f"nobody can say whether it still fires, so nothing was run: {error}"
        ) from None
    if alert.standing is Standing.ABSENT:
        raise Stale(State.RESOLVED, "Alertmanager no longer has the alert")
    if not alert.firing:
        raise Stale(State.CANCELLED, f"the alert is {alert.standing}: {alert.reason}")
    if alert.starts_at is None or alert.starts_at <= incident.created_at:
        return
    with project.database.read() as tx:
        record = firings.find(tx, [incident.alert.fingerprint]).get(incident.alert.fingerprint)
    # Told of the same activation, it is no other one: a sender's clock may be ahead.
    if record is None or alert.starts_at.isoformat() not in record.told:
        raise Stale(State.CANCELLED, "the alert fires anew since then; that is another incident")
