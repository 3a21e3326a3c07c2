"""Policy's verdict on the decision, and the end of an incident whose level goes no further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner import policy
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import NotFound
from runner.evidence.health import health
from runner.incident import Incident, Level, Result, Run, State, Verdict
from runner.inventory import locate as locate_host
from runner.project import Project
from runner.steps.progress import end, escalate, load, passed
from runner.store import incidents, records, runs, switches

#: How far back runs count for cooldowns, rates and the breaker.
HISTORY = timedelta(days=7)
#: Rules whose level somebody set on purpose: stopping there is no failure to handle it.
CHOSEN = frozenset({"configuration", "command_line", "hosts", "entry", "pause", "earned"})


def judge(project: Project, incident_id: int) -> bool:
    """Policy's verdict; at `observe` the incident ends here."""
    incident = load(project, incident_id)
    if passed(incident, State.JUDGED):
        return not incident.state.ended
    try:
        entry = project.catalog.get(incident.entry or "")
    except NotFound as error:
        return escalate(project, incident_id, str(error))
    # Where a placed entry acts is only known when its plan is made; its steps are judged then.
    rules = policy.OF_THE_WHOLE if entry.placed else policy.RULES
    verdict = policy.judge(case_of(project, incident, entry), rules)
    with project.database.write() as tx:
        records.put_verdict(tx, incident_id, verdict)
        moved = incidents.move(
            tx, incident_id, State.JUDGED, _because(verdict), level=verdict.level
        )
    if not moved:
        return False
    return verdict.level is not Level.OBSERVE or stop_at(project, incident_id, verdict)


def stop_at(project: Project, incident_id: int, verdict: Verdict) -> bool:
    """End an incident whose level goes no further; False, so that a step can return it.

    A level that somebody chose is a quiet end. When policy or a failed rehearsal holds back
    what would otherwise have run, the alert still fires and nobody acts: a person must know.
    """
    chosen = any(reason.rule in CHOSEN for reason in verdict.limiting)
    cooling = any(reason.rule == "cooldown" for reason in verdict.limiting)
    because = _because(verdict)
    if cooling and not chosen:
        return end(project, incident_id, State.SUPPRESSED, because)
    if not chosen:
        return escalate(project, incident_id, because)
    quiet = State.OBSERVED if verdict.level is Level.OBSERVE else State.DRY_RUN
    return end(project, incident_id, quiet, because)


def _because(verdict: Verdict) -> str:
    if verdict.level is Level.AUTO:
        return "level auto: nothing holds it back"
    return f"level {verdict.level}: " + "; ".join(reason.text for reason in verdict.limiting)


def case_of(project: Project, incident: Incident, entry: Entry) -> policy.Case:
    """What policy must know to judge this entry on the incident's hosts, as things are now."""
    inventory, now = project.inventory(), datetime.now(UTC)
    found = scan(entry, project.config.project.roles)
    with project.database.read() as tx:
        decisions = records.decisions_of(tx, incident.id)
        numbers = frozenset(item.number for item in records.evidence_of(tx, incident.id))
        paused = switches.paused(tx)
        busy = runs.busy_hosts(tx)
        past = runs.since(tx, now - HISTORY)
        verified = records.verified(tx, [run.id for run in past])
    return policy.Case(
        entry=entry,
        hosts=incident.hosts,
        touched=tuple(sorted({*incident.hosts, *found.delegates})),
        alert=incident.alert,
        decisions=decisions,
        evidence=numbers,
        config=project.config,
        ceiling=incident.ceiling,
        paused=paused,
        variables={name: host.variables for name, host in inventory.hosts.items()},
        groups=inventory.groups,
        healthy=health(
            project.prometheus,
            inventory.hosts,
            lambda labels: locate_host(labels, "instance", inventory).hosts,
        ),
        busy=busy,
        history=tuple(_past(run, verified.get(run.id)) for run in past),
        incident=incident.id,
        unknown_radius=found.unknown,
        now=now,
    )


def _past(run: Run, verification: Result | None) -> policy.PastRun:
    return policy.PastRun(
        entry=run.entry,
        hosts=run.hosts,
        incident=run.incident,
        purpose=run.purpose,
        started_at=run.started_at,
        outcome=run.outcome,
        verification=verification,
    )
