"""Check mode before anything is changed: the plan, its diff, its fidelity, its hash."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from runner import plan as plans
from runner import policy
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import Refused, RunnerError, StoreError
from runner.incident import Incident, Level, Outcome, Plan, Purpose, Run, State
from runner.incident_report.approval_request import share_words
from runner.project import Project
from runner.steps.considered import require_look
from runner.steps.judge import stop_at
from runner.steps.perform import Job, Ready, settle_own
from runner.steps.places import judged, options
from runner.steps.progress import (
    Then,
    escalate,
    load,
    passed,
    perform_when_free,
    stored_verdict,
)
from runner.store import incidents, records, runs

#: A dry run that a crash cut short may be repeated so often: check mode changes nothing.
ATTEMPTS = 3
#: Attempts of one time that an incident comes here: more than there are hosts to try.
ROUND = 10_000


def rehearse(project: Project, incident_id: int) -> Then:
    """Run the chosen entry in check mode and let policy judge what it showed."""
    incident = load(project, incident_id)
    if passed(incident, State.PLANNED):
        return Then(not incident.state.ended)
    entry = project.catalog.get(incident.entry or "")
    try:
        shown = _shown(project, incident, entry)
    except StoreError:
        raise
    except RunnerError as error:
        return escalate(project, incident_id, f"no plan can be made: {error}")
    return _conclude(project, incident, shown)


@dataclass(frozen=True)
class _Shown:
    """A plan, its dry run, and what was passed over for it, a sentence each."""

    draft: Plan
    run: Run | None
    passed_over: tuple[str, ...] = ()


def _shown(project: Project, incident: Incident, entry: Entry) -> _Shown:
    """The plan on the first hosts on which the dry run of its first step passes."""
    inventory = project.inventory()
    with project.database.read() as tx:
        before = records.plan_of(tx, incident.id)
    # The key of an earlier round, so that the same plan has the same hash: a yes still counts.
    key = (before.key if before else "") or secrets.token_hex(16)
    passed_over: list[str] = []
    ways = options(project, incident, entry)
    for way in ways:
        draft = plans.draft(incident, entry, project.catalog, inventory, way.places, key=key)
        first = project.catalog.get(draft.in_order[0].entry)
        if not first.dry_run.required:
            return _Shown(draft, None)
        job = DryRunJob(Purpose.DRY_RUN, first, draft.in_order[0], option=way.number)
        run = check(project, incident, job)
        shown = _Shown(draft, run, tuple(passed_over))
        if (run.outcome and run.outcome.completed) or way is ways[-1]:
            break
        where = ", ".join(draft.in_order[0].hosts)
        passed_over.append(f"{where} is skipped: its dry run ended {run.outcome}: {run.reason}")
    return shown


@dataclass(frozen=True)
class DryRunJob:
    """One dry run of a step. `option` tells apart the hosts that were tried for it."""

    purpose: Purpose
    entry: Entry
    plan: Plan
    step: int = 1
    option: int = 0


def check(project: Project, incident: Incident, wanted: DryRunJob) -> Run:
    """the dry run's run; repeated when a crash left its end unknown.

    Raises Refused when the hosts stay busy.
    """
    run: Run | None = None
    settle_own(project, incident.id)
    # How often the incident came here before: what check mode showed then may no longer be what
    # it shows now. A recheck always comes after a question.
    with project.database.read() as tx:
        rounds = incidents.round_of(tx, incident.id) - (wanted.purpose is Purpose.RECHECK)

    def allow(tx: sa.Connection, now: datetime) -> None:
        require_look(project, tx, incident, wanted.plan.hosts, now)

    for attempt in range(1, ATTEMPTS + 1):
        job = Job(
            incident=incident.id,
            purpose=wanted.purpose,
            attempt=rounds * ROUND + wanted.option * ATTEMPTS + attempt,
            step=wanted.step,
            entry=wanted.entry,
            plan=wanted.plan,
            ready=(lambda: Ready(allow=allow)) if wanted.purpose is Purpose.DRY_RUN else None,
        )
        run = perform_when_free(project, job)
        if run.hosts != wanted.plan.touched:
            raise Refused("the inventory changed during the dry run")
        if run.outcome is Outcome.CANCELLED and not load(project, incident.id).cancel_requested:
            continue
        if run.outcome is not Outcome.UNKNOWN:
            return run
        # The processes of a dry run are gone or past their deadline: nothing holds the hosts.
        with project.database.write() as tx:
            runs.release(tx, run.id)
    if run is None:
        raise Refused("the dry run was never started")
    return run


def strangers(run: Run, plan: Plan) -> set[str]:
    """Hosts that the dry run touched though the plan does not name them."""
    return set(run.seen) - set(plan.touched)


def _conclude(project: Project, incident: Incident, shown: _Shown) -> Then:
    run = shown.run
    seen = plans.watched(shown.draft, run, project.catalog)
    plan = plans.hashed(seen, run.diff_hash if run else "")
    with project.database.read() as tx:
        before = stored_verdict(tx, incident.id)
    if plan.places:
        before, radius = judged(project, incident, plan, before)
    verdict = policy.judge_dry_run(
        before,
        run.fidelity if run else None,
        run.outcome if run else None,
        project.config.policy,
        project.catalog.get(plan.in_order[0].entry),
        said=run.reason if run else "",
        strangers=strangers(run, plan.in_order[0]) if run else (),
        differs=scan(project.catalog.get(plan.in_order[0].entry), project.catalog.roles).differs,
    )
    verdict = policy.judge_cover(verdict, plan.uncovered)
    with project.database.write() as tx:
        if plan.places:
            records.put_radius(tx, incident.id, radius)
        records.put_plan(tx, incident.id, plan)
        records.put_verdict(tx, incident.id, verdict)
        moved = incidents.move(
            tx,
            incident.id,
            State.PLANNED,
            _said(plan, shown),
            detail={
                "plan": plan.hash,
                "outcome": run.outcome if run else None,
                "passed_over": list(shown.passed_over),
            },
            level=verdict.level,
        )
        if moved and verdict.level.rank < Level.APPROVE.rank:
            return stop_at(project, tx, incident.id, verdict)
    return Then(moved)


def _said(plan: Plan, shown: _Shown) -> str:
    over = "".join(f"; {text}" for text in shown.passed_over)
    if (last := len(plan.steps)) > 1:
        later = "step 2" if last == 2 else f"steps 2 to {last}"
        over += f"; dry run of {later} right before the run"
    if (run := shown.run) is None:
        return f"no dry run; the entry's README says why{over}"
    if run.outcome is None or not run.outcome.completed:
        return f"{plan.called(1)}dry run {run.outcome}: {run.reason}{over}"
    share = f" ({share_words(run.fidelity)})" if run.fidelity.changes else ""
    return f"{plan.called(1)}dry run: {run.reason}{share}{over}"
