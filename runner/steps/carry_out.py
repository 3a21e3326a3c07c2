"""The run itself: a last look at the world, then Ansible, once per attempt."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import sqlalchemy as sa

from runner import plan as plans
from runner.catalog.entry import Entry
from runner.errors import Refused, RemoteError, RunnerError, StoreError
from runner.execute.diff import differing
from runner.incident import (
    OWN_SOURCES,
    Incident,
    Level,
    Outcome,
    Plan,
    Purpose,
    Run,
    State,
    Verdict,
)
from runner.intake.alertmanager import Standing
from runner.inventory import Inventory
from runner.plan import MOST_NAMED
from runner.policy import Against, Late, approve
from runner.project import Project
from runner.steps.ask import question
from runner.steps.judge import over_at
from runner.steps.limits import Limited, Limits
from runner.steps.perform import Job, Ready, perform
from runner.steps.places import situation_at
from runner.steps.progress import (
    Then,
    end,
    escalate,
    load,
    perform_when_free,
    stored_plan,
    stored_verdict,
)
from runner.steps.rehearse import DryRunJob, check
from runner.steps.sender import still_fires
from runner.store import approvals, audit_log, firings, incidents, records, runs
from runner.text import visible

#: An attempt that never started, because the runner went away, may be made again so often.
STARTS = 3
#: The act in the audit log that says that a step is not needed, because its host is gone.
LEFT_OUT = "left_out"
#: The act that says that what was not fixed may not be tried once more.
NOT_REPEATED = "not_repeated"


class Stale(Exception):
    """What the pre-flight saw: why the run must not start, and how the incident ends."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


def carry_out(project: Project, incident_id: int, attempt: int, step: int = 1) -> Then:
    """Run one step of the approved plan; goes on when it was started, whatever came of it, when
    `approach` left it out, and when it is not repeated."""
    incident = load(project, incident_id)
    if incident.state.ended or incident.state in (State.HELD, State.WAITING):
        return Then.STOP
    with project.database.read() as tx:
        plan = stored_plan(tx, incident_id)
        if left_out(tx, incident_id, step) or not_repeated(tx, incident_id):
            return Then.GO_ON
    try:
        run = _started(project, incident, plan, attempt, step)
    except Stale as stale:
        # The end of an incident whose run did not start; a plan that has begun is a person's.
        if step == 1:
            return end(project, incident_id, stale.state, str(stale))
        cancelled = load(project, incident_id).cancel_requested
        state = State.CANCELLED if cancelled else State.ESCALATED
        return end(project, incident_id, state, midway(plan, step, str(stale)))
    except Limited as limited:
        if attempt > 1:
            # Keep that the limits allow no further attempt: what was not fixed is undone now.
            reason = f"{plan.called(step)}it is not repeated: {limited.against.text}"
            with project.database.write() as tx:
                incidents.note(tx, incident.id, NOT_REPEATED, reason)
            return Then.GO_ON
        return _held_back(project, incident, plan, step, limited.against)
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        if step > 1:
            return escalate(project, incident_id, midway(plan, step, str(error)))
        return escalate(project, incident_id, f"nothing ran: {error}")
    reason = f"{plan.called(run.step)}{run.entry} ended {run.outcome}: {run.reason}"
    detail = {"run": run.id, "outcome": run.outcome}
    with project.database.write() as tx:
        expected = {State.APPROVED, State.RUNNING}
        incidents.move(tx, incident_id, State.VERIFYING, reason, expected=expected, detail=detail)
        return Then(not incidents.get(tx, incident_id).state.ended)


def _started(project: Project, incident: Incident, plan: Plan, attempt: int, step: int) -> Run:
    """The run of this attempt; started again when the runner went away before it began."""
    own = plan.in_order[step - 1]
    first = (attempt - 1) * STARTS + 1
    for start in range(first, first + STARTS):
        with project.database.read() as tx:
            before = runs.find(tx, incident.id, Purpose.REMEDIATION, start, step)
            asked = bool(approvals.of_incident(tx, incident.id))
        job = Job(
            incident=incident.id,
            purpose=Purpose.REMEDIATION,
            attempt=start,
            step=step,
            entry=project.catalog.get(own.entry),
            plan=own,
            ready=partial(preflight, project, incident.id, plan, start, step),
        )
        if before is not None:  # a crash cut this step short: what became of the run counts
            run = perform(project, job)
        else:
            if asked and start == 1 and step == 1:
                _recheck(project, incident, job.entry, plan)
            run = perform_when_free(project, job)
        if run.outcome is not Outcome.CANCELLED or run.stats:
            break
        if load(project, incident.id).cancel_requested:
            raise Stale(State.CANCELLED, f"cancelled: {run.reason}")
    return run


def _held_back(
    project: Project, incident: Incident, plan: Plan, step: int, against: Against
) -> Then:
    """What follows when a limit says no at the start of a run; STOP, as nothing was started."""
    if step > 1:
        return escalate(project, incident.id, midway(plan, step, against.text))
    if against.late is Late.CANCEL:
        return end(project, incident.id, State.CANCELLED, against.text)
    if against.late is Late.WAIT and (until := over_at(against.reasons)):
        longest = project.config.policy.max_hold
        with project.database.write() as tx:
            incidents.hold(tx, incident.id, against.text, until=until, longest=longest)
        return Then.STOP
    no_longer = f"it may no longer start: {against.text}"
    if against.late is not Late.ASK:
        return escalate(project, incident.id, no_longer)
    with project.database.write() as tx:
        before = stored_verdict(tx, incident.id)
        level = Level.lowest(before.level, *(reason.level for reason in against.reasons))
        if level.rank < Level.APPROVE.rank:  # no answer would let it run
            incidents.move(tx, incident.id, State.ESCALATED, no_longer)
            return Then.STOP
        # The person is shown what has come up since the verdict.
        known = [reason for reason in before.reasons if reason not in against.reasons]
        verdict = Verdict(level=level, reasons=(*known, *against.reasons))
        records.put_verdict(tx, incident.id, verdict)
        question(project, tx, incident, verdict, why=against.text)
    return Then.STOP


def not_repeated(tx: sa.Connection, incident_id: int) -> bool:
    """Whether the limits allowed no further attempt."""
    return any(row.action == NOT_REPEATED for row in audit_log.of_incident(tx, incident_id))


def midway(plan: Plan, step: int, why: str) -> str:
    """Why a later step was not started, for the person who takes over."""
    done = "step 1" if step == 2 else f"steps 1 to {step - 1}"
    return f"{plan.called(step)}it was not started: {why}; what {done} did stays"


def left_out(tx: sa.Connection, incident_id: int, step: int) -> bool:
    """Whether `approach` left this step out, because its host is gone."""
    return any(
        transition.action == LEFT_OUT and transition.detail.get("step") == step
        for transition in audit_log.of_incident(tx, incident_id)
    )


def _recheck(project: Project, incident: Incident, entry: Entry, plan: Plan) -> None:
    """Check mode once more: what a person approved must still be what would happen."""
    # First the files: check mode really runs some tasks, and must not run what nobody saw.
    _same_plan(project, incident, plan)
    if not entry.dry_run.required:
        return
    run = check(project, incident, DryRunJob(Purpose.RECHECK, entry, plan.in_order[0]))
    if not (run.outcome and run.outcome.completed):
        raise Stale(State.ESCALATED, f"the second dry run ended {run.outcome}: {run.reason}")
    if run.diff_hash != plan.diff:
        with project.database.read() as tx:
            before = runs.of_incident(tx, incident.id)
        # Names where on the hosts something changed since the person saw the diff.
        shown = next((r.diff for r in reversed(before) if r.purpose is Purpose.DRY_RUN), "")
        places = "; ".join(visible(place) for place in differing(shown, run.diff)[:MOST_NAMED])
        text = "the dry run now shows other changes than those approved"
        raise Stale(State.CANCELLED, f"{text}: {places}" if places else text)


def preflight(
    project: Project, incident_id: int, plan: Plan, attempt: int = 1, step: int = 1
) -> Ready:
    """The last look at the world, and what is asked of the store in the transaction that takes
    the hosts. Raises Stale unless all that let the plan through holds."""
    incident = load(project, incident_id)
    if incident.cancel_requested:
        raise Stale(State.CANCELLED, "a person cancelled it before it ran")
    with project.database.read() as tx:
        firing = incidents.still_firing(tx, incident_id)
        questions = approvals.of_incident(tx, incident_id)
        radius = records.radius_of(tx, incident_id)
    if incident.level is None or incident.level.rank < Level.APPROVE.rank:
        raise Stale(State.ESCALATED, f"level {incident.level or 'unknown'} allows no run")
    if incident.level is not Level.AUTO:
        # A state that says approved is not enough: the answer itself must be there, and count.
        try:
            approve.require_given(questions, plan=plan.hash, settings=project.config.approval)
        except Refused as error:
            raise Stale(State.ESCALATED, str(error)) from None
    inventory = _same_plan(project, incident, plan)
    # Once an earlier step acted on the target, its alert may clear by that alone, and to stop
    # halfway would leave a node that is neither in nor out.
    begun = any(plan.places.get("target") in done.touched for done in plan.in_order[: step - 1])
    if incident.requested_by is None and not begun:
        _still_firing(project, incident, firing)
    asked = approvals.newest_about(questions, plan.hash)
    limits = Limits(
        project,
        incident,
        entry=project.catalog.get(plan.entry),
        situation=situation_at(project, incident, plan, step),
        # At `auto` nobody saw a rule; None, all of them, where a release kept no list.
        shown=asked.shown if asked and incident.level is not Level.AUTO else (),
        waits=partial(_waits, attempt, step),
        placed=bool(plan.places),
    )
    # Of a plan in steps, what is kept is about all of them.
    if not plan.places and limits.radius != radius:
        with project.database.write() as tx:
            records.put_radius(tx, incident.id, limits.radius)

    def allow(tx: sa.Connection, now: datetime) -> None:
        limits.require(tx, now)
        _running(tx, incident, plan, attempt, step)

    return Ready(radius=limits.radius, inventory=inventory, allow=allow)


def _waits(attempt: int, step: int, against: Against) -> bool:
    """Whether the run stays for what passes with time. An incident before its first run is
    held back instead where it is known for how long; what was not fixed is undone at once."""
    if attempt > STARTS:
        return False
    return step > 1 or over_at(against.reasons) is None


def _running(tx: sa.Connection, incident: Incident, plan: Plan, attempt: int, step: int) -> None:
    """Say that the run starts, together with its intent. Raises Stale for what has ended."""
    own = plan.in_order[step - 1]
    of = f"{incident.part} of " if incident.part else ""
    on = f"{own.entry} on {of}{', '.join(own.hosts)}, attempt {attempt}"
    reason = f"{plan.called(step)}attempt {attempt}" if plan.steps else on
    expected = {State.APPROVED, State.VERIFYING}
    if incidents.move(tx, incident.id, State.RUNNING, reason, expected=expected):
        return
    if incidents.get(tx, incident.id).state is not State.RUNNING:  # of an earlier start
        raise Stale(State.CANCELLED, "it ended before it ran")


def _same_plan(project: Project, incident: Incident, plan: Plan) -> Inventory:
    """The inventory by which the plan is what it was. Raises Stale when it is not."""
    entry = project.catalog.get(plan.entry)
    inventory = project.inventory(fresh=True)
    now = plans.draft(incident, entry, project.catalog, inventory, plan.places, like=plan)
    now = plans.hashed(now, plan.diff)
    if now.hash != plan.hash:
        raise Stale(
            State.CANCELLED, f"the plan changed since it was made: {plans.difference(plan, now)}"
        )
    return inventory


def _sender_confirms(project: Project, incident: Incident) -> None:
    """What `confirm:` of another sender says, in place of Alertmanager."""
    try:
        fires = still_fires(project, incident)
    except RunnerError as error:
        text = f"cannot tell whether the alert still fires, so nothing ran: {error}"
        raise Stale(State.ESCALATED, text) from None
    if fires is False:
        text = f"confirm of source {incident.alert.other_sender} says that it no longer fires"
        raise Stale(State.RESOLVED, text)


def _still_firing(project: Project, incident: Incident, firing: bool) -> None:
    if not firing:
        raise Stale(State.RESOLVED, "the alert resolved by itself before anything ran")
    if incident.alert.other_sender:
        _sender_confirms(project, incident)
        return
    if incident.alert.source in OWN_SOURCES or project.alertmanagers is None:
        return  # the message is the newest word there is
    try:
        alert = project.alertmanagers.state_of(
            incident.alert.fingerprint, incident.alert.labels, since=incident.created_at
        )
    except RemoteError as error:
        raise Stale(
            State.ESCALATED, f"cannot tell whether the alert still fires, so nothing ran: {error}"
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
        raise Stale(State.CANCELLED, "the alert has fired anew since; that is another incident")
