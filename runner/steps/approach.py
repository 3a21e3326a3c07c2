"""Before a later step of a plan: is it still safe, and what would it do?"""

from __future__ import annotations

from runner import plan as plans
from runner import policy
from runner.catalog.scan import scan
from runner.errors import RunnerError, StoreError
from runner.incident import Incident, Level, Outcome, Plan, Purpose
from runner.plan.places import in_order
from runner.project import Project
from runner.steps.carry_out import LEFT_OUT, left_out, midway
from runner.steps.places import held_midway
from runner.steps.progress import Then, escalate, load, stored_plan
from runner.steps.rehearse import DryRunJob, check, strangers
from runner.store import audit_log, runs


def approach(project: Project, incident_id: int, step: int) -> Then:
    """Judge this step of the plan and do its dry run. What fails here stops the plan for a person.

    A dry run before the plan began could not have shown it: what the earlier steps changed
    was not there.
    """
    incident = load(project, incident_id)
    if incident.state.ended:
        return Then.STOP
    with project.database.read() as tx:
        plan = stored_plan(tx, incident_id)
        begun = runs.find(tx, incident_id, Purpose.REMEDIATION, 1, step)
        skipped = left_out(tx, incident_id, step)
    if begun is not None or skipped:
        return Then.GO_ON
    try:
        why = _against(project, incident, plan, step)
    except StoreError:
        raise
    except RunnerError as error:
        why = str(error)
    if why:
        return escalate(project, incident_id, midway(plan, step, why))
    return Then.GO_ON


def _against(project: Project, incident: Incident, plan: Plan, step: int) -> str:
    """What stands against the step, as a sentence; empty when nothing does."""
    own = plan.in_order[step - 1]
    entry = project.catalog.get(own.entry)
    verdict = held_midway(project, incident, plan, step)
    run = None
    if entry.dry_run.required and not _too_low(incident, verdict.level):
        run = check(project, incident, DryRunJob(Purpose.DRY_RUN, entry, own, step=step))
        if (
            run.outcome is Outcome.UNREACHABLE
            and in_order(project.catalog.get(plan.entry), project.catalog)[step - 1].may_skip
        ):
            reason = f"{plan.called(step)}skipped, because its host cannot be reached: {run.reason}"
            with project.database.write() as tx:
                detail = {"step": step, "run": run.id}
                audit_log.append(
                    tx, action=LEFT_OUT, reason=reason, incident=incident.id, detail=detail
                )
            return ""
        settings = project.config.policy
        verdict = policy.judge_dry_run(
            verdict,
            run.fidelity,
            run.outcome,
            settings,
            entry,
            said=run.reason,
            strangers=strangers(run, own),
            differs=scan(entry, project.catalog.roles).differs,
        )
        further, changed = plans.beyond(own, run.loaded, project.catalog)
        lacking = [f"{name} was loaded, which the plan does not name" for name in sorted(further)]
        lacking += [f"{name} changed since the plan was made" for name in changed]
        verdict = policy.judge_cover(verdict, lacking)
    return verdict.why if _too_low(incident, verdict.level) else ""


def _too_low(incident: Incident, level: Level) -> bool:
    """Whether the level is not enough to go on: a person's approval is for the whole plan."""
    needed = Level.AUTO if incident.level is Level.AUTO else Level.APPROVE
    return level.rank < needed.rank
