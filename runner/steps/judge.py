"""Policy's verdict on the decision, and the end of an incident whose level goes no further."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from runner import policy
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import NotFound
from runner.evidence.health import health
from runner.incident import SUSPECTED, Decision, Evidence, Incident, Level, State, Verdict
from runner.inventory import locate as locate_host
from runner.plan import delegates_of
from runner.project import Project
from runner.steps import learn, opinion
from runner.steps.other_hosts import other_hosts
from runner.steps.past import past_runs
from runner.steps.progress import escalate, load, passed
from runner.store import incidents, radii, records, runs, switches, trail

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
    # What the record grants by now is told before anything is judged by it.
    learn.note(project, learn.key_of(incident, entry.id), datetime.now(UTC))
    case = case_of(project, incident, entry)
    verdict, radius = policy.judge(case, policy.rules_for(entry)), policy.measure(case)
    with project.database.write() as tx:
        records.put_verdict(tx, incident_id, verdict)
        radii.put(tx, incident_id, radius)
        moved = incidents.move(
            tx, incident_id, State.JUDGED, _because(verdict), level=verdict.level
        )
        if not moved:
            return False
        if texts := _suspected(verdict):
            trail.append(tx, incident=incident_id, action=SUSPECTED, reason=" ".join(texts))
        return verdict.level is not Level.OBSERVE or stop_at(tx, incident_id, verdict)


def stop_at(tx: sa.Connection, incident_id: int, verdict: Verdict) -> bool:
    """End an incident whose level goes no further; False, so that a step can return it.

    In the transaction that says how far it may go: in one of its own, a crash between the two
    would let the incident go on. A level that somebody chose is a quiet end. When policy or a
    failed rehearsal holds back what would otherwise have run, the alert still fires and nobody
    acts: a person must know.
    """
    state, reason = _last(verdict)
    incidents.move(tx, incident_id, state, reason)
    return False


def _last(verdict: Verdict) -> tuple[State, str]:
    chosen = any(reason.rule in CHOSEN for reason in verdict.limiting)
    cooling = any(reason.rule == "cooldown" for reason in verdict.limiting)
    because = _because(verdict)
    if texts := _suspected(verdict):
        # What an attacker wrote must not be what keeps people from being told (invariant 8).
        return State.ESCALATED, f"{because}; {' '.join(texts)}"
    if cooling and not chosen:
        return State.SUPPRESSED, because
    if not chosen:
        return State.ESCALATED, because
    return State.OBSERVED if verdict.level is Level.OBSERVE else State.DRY_RUN, because


def _suspected(verdict: Verdict) -> list[str]:
    return [reason.text for reason in verdict.reasons if reason.rule == "injection"]


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
        evidence = records.evidence_of(tx, incident.id)
        paused = switches.paused(tx)
        busy = runs.acting_hosts(tx)
        history = past_runs(project, tx, now)
        earned = learn.earned(project, tx, incident, entry, now)
    return policy.Case(
        entry=entry,
        hosts=incident.hosts,
        touched=tuple(sorted({*incident.hosts, *delegates_of(found, inventory)})),
        alert=incident.alert,
        decisions=decisions,
        evidence=frozenset(item.number for item in evidence),
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
        history=history,
        incident=incident.id,
        earned=earned,
        suspicions=_suspicions(project, incident, decisions, evidence),
        other_hosts=tuple(other_hosts(incident, entry, inventory)),
        unknown_radius=found.unknown,
        now=now,
    )


def _suspicions(
    project: Project,
    incident: Incident,
    decisions: tuple[Decision, ...],
    evidence: tuple[Evidence, ...],
) -> tuple[str, ...]:
    """Only what a model read can have steered it."""
    if all(decision.decider != "model" for decision in decisions):
        return ()
    return tuple(map(str, opinion.suspicions(project, incident, evidence)))
