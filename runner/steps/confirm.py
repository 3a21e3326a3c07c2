"""After the run: is it fixed? If not, once more, undo, or a person with the bundle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial

from runner import policy, verify
from runner.catalog.entry import Entry, VerifyCheck
from runner.errors import RemoteError, RunnerError, StoreError
from runner.evidence.lookback import expr_of, lookback
from runner.evidence.prometheus import PrometheusClient
from runner.evidence.samples import AlertingRule
from runner.incident import (
    OWN_SOURCES,
    Decision,
    Incident,
    Level,
    Outcome,
    Plan,
    Purpose,
    Result,
    Run,
    Shown,
    State,
    Verification,
)
from runner.intake.alertmanager import Standing
from runner.plan import draft, watched
from runner.project import Project
from runner.steps.carry_out import STARTS, not_repeated
from runner.steps.gather import values_of
from runner.steps.judge import over_at, situation_of
from runner.steps.limits import Limited, Limits
from runner.steps.perform import Job, Ready
from runner.steps.progress import (
    Then,
    advance,
    end,
    escalate,
    load,
    perform_when_free,
    stored_plan,
)
from runner.steps.sender import still_fires
from runner.store import audit_log, incidents, records, runs

#: Outcomes that a person must look at even when the trouble is gone.
_BROKEN = frozenset({Outcome.FAILED, Outcome.UNREACHABLE, Outcome.CANCELLED})
#: Runs of one attempt whose effect is not verified: nothing can have come of them.
_NOTHING_RAN = frozenset({Outcome.NO_HOSTS, Outcome.ALL_SKIPPED})
#: The act in the audit log that says what the verification of a step saw, before the next begins.
STEP = "step"


class After(StrEnum):
    """What follows the verification of a step. The engine stores the value."""

    NEXT = "next"  #: the plan's next step
    AGAIN = "again"  #: one more attempt at this one
    UNDO = "undo"
    END = "end"


def confirm(project: Project, incident_id: int, step: int = 1) -> After:
    """Verify the newest run of a step."""
    incident = load(project, incident_id)
    if incident.state.ended:
        return After.END
    with project.database.read() as tx:
        plan = stored_plan(tx, incident_id)
        run = _newest(runs.of_incident(tx, incident_id))
        known = records.verifications_of(tx, incident_id).get(run.id)
    if run.step < step:  # this step was left out, and the one before it is verified
        # After a step that was left out: go on, or see whether the whole plan had its effect.
        if step < len(plan.in_order):
            return After.NEXT
        whole = project.catalog.get(plan.entry)
        with project.database.read() as tx:
            found = records.verifications_of(tx, incident.id)[run.id]
        if _applicable(incident, whole):
            found = _observed(project, incident, whole, run, incident.hosts)
            with project.database.write() as tx:
                records.put_verification(tx, incident.id, run.id, found)
        return _next(project, incident, plan, replace(run, step=step), found)
    verification = known or _verified(project, incident, plan, run)
    with project.database.write() as tx:
        records.put_verification(tx, incident_id, run.id, verification)
        if known is None and step < len(plan.in_order):
            reason = f"{plan.called(step)}{verification.reason}"
            detail = {"step": run.step, "run": run.id}
            audit_log.append(tx, action=STEP, reason=reason, incident=incident_id, detail=detail)
    return _next(project, incident, plan, run, verification)


def _newest(found: tuple[Run, ...]) -> Run:
    return [run for run in found if run.purpose is Purpose.REMEDIATION][-1]


def _next(
    project: Project, incident: Incident, plan: Plan, run: Run, verification: Verification
) -> After:
    if verification.result is Result.FIXED:
        if run.outcome in _BROKEN:
            reason = f"the run ended {run.outcome}, though the checks hold: {verification.reason}"
            escalate(project, incident.id, f"{plan.called(run.step)}{reason}")
        elif run.step < len(plan.in_order):
            return After.NEXT
        else:
            end(project, incident.id, State.FIXED, verification.reason, run=run.id)
        return After.END
    if verification.result is Result.NOT_FIXED and _may_repeat(project, incident, run):
        project.sleep(project.config.retry.wait.total_seconds())
        return After.AGAIN
    if not verification.checks and run.outcome not in (*_BROKEN, *_NOTHING_RAN):
        # Nothing speaks against the run, so nothing is taken back without a person.
        escalate(project, incident.id, f"{plan.called(run.step)}{verification.reason}")
        return After.END
    return After.UNDO


def _may_repeat(project: Project, incident: Incident, run: Run) -> bool:
    """Only a run that ended cleanly is repeated: what became of another is not known."""
    with project.database.read() as tx:
        if not_repeated(tx, incident.id):
            return False
    attempts = (run.attempt - 1) // STARTS + 1
    clean = run.outcome is not None and run.outcome.completed
    return clean and attempts < project.config.retry.attempts


def _verified(project: Project, incident: Incident, plan: Plan, run: Run) -> Verification:
    """Whether the step had its effect and, after the last one, the whole plan."""
    if run.outcome in _NOTHING_RAN:
        return Verification(
            result=Result.NOT_FIXED,
            reason=f"nothing was done: {run.reason}",
            checks=(),
            at=datetime.now(UTC),
        )
    own_plan, entry = plan.in_order[run.step - 1], project.catalog.get(run.entry)
    if not plan.steps:
        return _observed(project, incident, entry, run, own_plan.hosts)
    own = tuple(check for check in entry.verify.checks if check.alert is None)
    found = _observed(project, incident, entry, run, own_plan.hosts, checks=own)
    whole = project.catalog.get(plan.entry)
    last = run.step == len(plan.steps)
    if not last or found.result is not Result.FIXED or not _applicable(incident, whole):
        return found
    of_all = _observed(project, incident, whole, run, incident.hosts)
    return replace(of_all, checks=(*found.checks, *of_all.checks))


def _observed(
    project: Project,
    incident: Incident,
    entry: Entry,
    run: Run,
    hosts: tuple[str, ...],
    *,
    checks: tuple[VerifyCheck, ...] | None = None,
) -> Verification:
    """What the checks of `entry` see on `hosts`; `checks` are those of them that count."""
    defaults = project.config.verification
    counting = _applicable(incident, entry) if checks is None else checks
    if run.entry == entry.id:
        promised = _promised(project, incident, entry, run)
        counting = (*counting, *(check for check in promised if check not in counting))
    if not counting:
        # Nothing can ever show whether it helped, so nobody waits for it: a person must look.
        if not entry.verify.checks:
            why = f"{entry.id} has no checks (verify.checks in its entry.yml)"
        elif incident.requested_by is not None:
            why = f"{entry.id} only checks that the alert clears, and a manual run has no alert"
        else:
            why = f"{entry.id} only checks that the alert clears, which does not count here"
        reason = f"Unknown: {why}; a person must check whether it helped."
        return Verification(result=Result.UNKNOWN, reason=reason, checks=(), at=datetime.now(UTC))
    return verify.verify(
        counting,
        _sources(project, incident, run, hosts),
        within=entry.verify.within or defaults.within,
        hold=defaults.hold if entry.verify.hold is None else entry.verify.hold,
        poll=defaults.poll,
        now=_clock(),
        sleep=project.sleep,
        lookback=_lookback(project, incident) if checks is None else timedelta(),
        cancelled=lambda: load(project, incident.id).cancel_requested,
        early=not _may_repeat(project, incident, run),
    )


def _promised(
    project: Project, incident: Incident, entry: Entry, run: Run
) -> tuple[VerifyCheck, ...]:
    """What the dry run showed by the entry's word alone: the run must report exactly that."""
    with project.database.read() as tx:
        found = runs.of_incident(tx, incident.id)
    dry = [each for each in found if each.purpose.check and each.step == run.step]
    stated = {
        task.task.rpartition(" : ")[2]
        for task in (dry[-1].fidelity.tasks if dry else ())
        if task.kind is Shown.STATED
    }
    effects = [effect for effect in entry.dry_run.effects if effect.task in stated]
    return tuple(VerifyCheck(result=effect.after) for effect in effects)


def _clock() -> Callable[[], datetime]:
    """Now, by a clock that nobody can set: a jump of the time is not time that checks held."""
    started, since = datetime.now(UTC), time.monotonic()
    return lambda: started + timedelta(seconds=time.monotonic() - since)


def _applicable(incident: Incident, entry: Entry) -> tuple[VerifyCheck, ...]:
    """The entry's checks. A run by hand has no alert that could clear, and that of a prediction
    only does so after hours of health: the other checks count."""
    if incident.requested_by is None and incident.alert.source != "prediction":
        return entry.verify.checks
    return tuple(check for check in entry.verify.checks if check.alert is None)


def _sources(
    project: Project, incident: Incident, run: Run, where: tuple[str, ...]
) -> verify.Sources:
    prometheus = project.prometheus
    # (inventory name, address) of each host, as the inventory tells.
    inventory = project.inventory()
    known = [inventory.hosts[host] for host in where if host in inventory.hosts]
    hosts = tuple((host.name, str(host.variables.get("ansible_host", host.name))) for host in known)
    return verify.Sources(
        alert_cleared=lambda: cleared(project, incident),
        query=prometheus.query if prometheus is not None else None,
        http=partial(verify.http_status, settings=project.config.checks),
        values=values_of(incident),
        hosts=hosts,
        addresses=frozenset(text for pair in hosts for text in pair),
        results=run.results,
    )


def cleared(project: Project, incident: Incident) -> Result:
    """Whether the alert is gone, asked of who decides it; a message alone is no proof."""
    with project.database.read() as tx:
        firing = incidents.still_firing(tx, incident.id)
    if incident.alert.source in OWN_SOURCES:
        return Result.NOT_FIXED if firing else Result.FIXED
    if incident.alert.other_sender:
        try:
            fires = still_fires(project, incident)
        except RunnerError:
            return Result.UNKNOWN
        return {True: Result.NOT_FIXED, False: Result.FIXED, None: Result.UNKNOWN}[fires]
    labels = incident.alert.labels
    try:
        if project.alertmanagers is not None:
            alert = project.alertmanagers.state_of(
                incident.alert.fingerprint, labels, since=incident.created_at
            )
            if alert.standing is Standing.ABSENT:
                return Result.FIXED
            return Result.NOT_FIXED if alert.firing else Result.UNKNOWN
        if project.prometheus is None or _rule(project.prometheus, incident) is None:
            return Result.UNKNOWN
        active = project.prometheus.alerts()
    except RemoteError:
        return Result.UNKNOWN
    same = [each for each in active if each.labels.items() <= labels.items()]
    return Result.NOT_FIXED if same else Result.FIXED


def _lookback(project: Project, incident: Incident) -> timedelta:
    """How long the past may still keep the alert firing, read from its rule."""
    told = lookback(expr_of(incident.alert.generator_url) or "")
    if project.prometheus is None or incident.requested_by is not None:
        return told
    try:
        rule = _rule(project.prometheus, incident)
    except RemoteError:
        return told
    return rule.lookback if rule is not None else told


def _rule(prometheus: PrometheusClient, incident: Incident) -> AlertingRule | None:
    told = expr_of(incident.alert.generator_url)
    return prometheus.rule_of(incident.alert.name, incident.alert.labels, told)


def undo(project: Project, incident_id: int) -> Then:
    """Run the entry's declared undo, if it has one, then hand the incident to a person."""
    incident = load(project, incident_id)
    if incident.state.ended:
        return Then.STOP
    with project.database.read() as tx:
        plan = stored_plan(tx, incident_id)
        run = _newest(runs.of_incident(tx, incident_id))
        verification = records.verifications_of(tx, incident_id)[run.id]
    reason = f"{plan.called(run.step)}{verification.reason}"
    entry = project.catalog.get(incident.entry or "")
    if entry.undo is None:
        return escalate(project, incident_id, reason)
    said = _undo(project, incident, project.catalog.get(entry.undo))
    return escalate(project, incident_id, f"{reason} {said}")


def _undo(project: Project, incident: Incident, entry: Entry) -> str:
    """What came of the undo, as a sentence. It passes policy like any other entry."""
    declared = Decision(
        decider="runner", entry=entry.id, reason=f"{incident.entry} declares it as its undo"
    )
    verdict = policy.judge(replace(situation_of(project, incident, entry), decisions=(declared,)))
    needed = Level.AUTO if incident.level is Level.AUTO else Level.APPROVE
    if verdict.level.rank < needed.rank:
        return f"The undo {entry.id} was not run: {verdict.why}"
    try:
        plan = draft(incident, entry, project.catalog, project.inventory())
        uncovered = watched(plan, None, project.catalog).uncovered
    except StoreError:
        raise
    except RunnerError as error:
        return f"The undo {entry.id} could not run: {error}"
    if uncovered:
        return f"The undo {entry.id} was not run: {uncovered[0]}"
    advance(project, incident.id, State.UNDOING, f"undoing with {entry.id}")

    def ready() -> Ready:
        now = replace(situation_of(project, incident, entry), decisions=(declared,))
        limits = Limits(
            project,
            incident,
            entry=entry,
            situation=now,
            # The approval of what it undoes covers it, whatever the rule.
            shown=() if incident.level is Level.AUTO else None,
            waits=lambda against: over_at(against.reasons) is None,
        )
        return Ready(radius=limits.radius, allow=limits.require)

    try:
        job = Job(
            incident=incident.id,
            purpose=Purpose.UNDO,
            attempt=1,
            entry=entry,
            plan=plan,
            ready=ready,
        )
        run = perform_when_free(project, job)
    except Limited as limited:
        return f"The undo {entry.id} was not run: {limited}"
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        return f"The undo {entry.id} could not run: {error}"
    return f"The undo {entry.id} ended {run.outcome}: {run.reason}"
