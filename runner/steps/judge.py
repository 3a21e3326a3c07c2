"""Policy's verdict on the decision, and the end of an incident whose level goes no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from runner import policy
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import NotFound
from runner.evidence.health import health
from runner.incident import (
    SUSPECTED,
    Incident,
    Level,
    Reason,
    State,
    Verdict,
)
from runner.inventory import Inventory
from runner.inventory.location import locate as locate_host
from runner.plan import delegates_of
from runner.plan.reach import also_of
from runner.project import Project
from runner.steps import considered, decide, learn
from runner.steps.other_hosts import other_hosts
from runner.steps.part import part_of
from runner.steps.progress import Then, escalate, load, passed, past_runs
from runner.store import audit_log, clock, incidents, records, runs, switches

#: Rules whose level somebody set on purpose: stopping there is no failure to handle it.
CHOSEN = frozenset({"configuration", "command_line", "sender", "hosts", "entry", "pause", "earned"})


def judge(project: Project, incident_id: int) -> Then:
    """Policy's verdict; at `observe` the incident ends here, or is held back for a time."""
    incident = load(project, incident_id)
    if passed(incident, State.JUDGED):
        return Then(not incident.state.ended)
    if incident.held_until is not None:
        return Then.STOP
    try:
        entry = project.catalog.get(incident.entry or "")
    except NotFound as error:
        return escalate(project, incident_id, str(error))
    # What the record grants by now is told before anything is judged by it.
    learn.note(project, learn.key_of(incident, entry.id), datetime.now(UTC))
    situation = situation_of(project, incident, entry)
    verdict, radius = policy.judge(situation, policy.moment_of(entry)), policy.measure(situation)
    with project.database.write() as tx:
        records.put_verdict(tx, incident_id, verdict)
        records.put_radius(tx, incident_id, radius)
        moved = incidents.move(
            tx,
            incident_id,
            State.JUDGED,
            _because(verdict),
            detail={"part": situation.part} if situation.part else None,
            level=verdict.level,
            part=situation.part,
        )
        if not moved:
            return Then.STOP
        if texts := _suspected(verdict):
            audit_log.append(tx, incident=incident_id, action=SUSPECTED, reason=" ".join(texts))
        if verdict.level is Level.OBSERVE:
            return stop_at(project, tx, incident_id, verdict)
    return Then.GO_ON


def stop_at(project: Project, tx: sa.Connection, incident_id: int, verdict: Verdict) -> Then:
    """End an incident whose level goes no further, or hold it back where only time is missing;
    STOP, so that a step can return it.

    In the transaction that says how far it may go: in one of its own, a crash between the two
    would let the incident go on. A level that somebody chose is a quiet end. When policy or a
    failed dry run holds back what would otherwise have run, the alert still fires and nobody
    acts: a person must know.
    """
    chosen = any(reason.rule in CHOSEN for reason in verdict.limiting)
    because = _because(verdict)
    if texts := _suspected(verdict):
        # What an attacker wrote must not be what keeps people from being told (invariant 8).
        incidents.move(tx, incident_id, State.ESCALATED, f"{because}; {' '.join(texts)}")
    elif chosen:
        state = State.OBSERVED if verdict.level is Level.OBSERVE else State.DRY_RUN
        incidents.move(tx, incident_id, state, because)
    elif until := over_at(verdict.limiting):
        longest = project.config.policy.max_hold
        incidents.hold(tx, incident_id, because, until=until, longest=longest)
    else:
        incidents.move(tx, incident_id, State.ESCALATED, because)
    return Then.STOP


def over_at(reasons: Sequence[Reason]) -> datetime | None:
    """When the last of these reasons stops speaking; None when one of them has no known end."""
    times = [reason.until for reason in reasons if reason.until is not None]
    return max(times) if times and len(times) == len(reasons) else None


def _suspected(verdict: Verdict) -> list[str]:
    return [reason.text for reason in verdict.reasons if reason.rule == "injection"]


def _because(verdict: Verdict) -> str:
    if verdict.level is Level.AUTO:
        return "level auto: no limit applies"
    return f"level {verdict.level}: {verdict.why}"


def situation_of(project: Project, incident: Incident, entry: Entry) -> policy.Situation:
    """What policy must know to judge this entry on the incident's hosts, as things are now."""
    inventory = project.inventory()
    found = scan(entry, project.catalog.roles)
    with project.database.read() as tx:
        decisions = records.decisions_of(tx, incident.id)
        evidence = records.evidence_of(tx, incident.id)
        now = clock.now(tx)
    # Only what a model read can have steered it.
    by_model = any(decision.decider == "model" for decision in decisions)
    suspicions = decide.suspicions(project, incident, evidence) if by_model else ()
    why = considered.only_considered(incident, entry)
    further = (*delegates_of(found, inventory), *also_of(entry, inventory))
    touched = tuple(sorted({*incident.hosts, *further}))
    situation = policy.Situation(
        entry=entry,
        hosts=incident.hosts,
        touched=touched,
        part=part_of(project, incident, entry, incident.hosts, touched),
        alert=incident.alert,
        decisions=decisions,
        evidence=frozenset(item.number for item in evidence),
        config=project.config,
        ceiling=incident.ceiling,
        variables={name: host.variables for name, host in inventory.hosts.items()},
        groups=inventory.groups,
        doubts={host: text for host in inventory.hosts if (text := inventory.doubt(host))},
        healthy=healthy(project, inventory),
        incident=incident.id,
        suspicions=tuple(map(str, suspicions)),
        other_hosts=tuple(other_hosts(incident, entry, inventory, project.config.locate)),
        unknown_radius=found.unknown,
        considered=why,
        proposed=incident.proposed_by is not None,
        really_done=considered.may_really_do(project, entry) if why is not None else (),
        now=now,
    )
    with project.database.read() as tx:
        return by_the_store(project, tx, situation, incident, entry, now)


def healthy(project: Project, inventory: Inventory) -> Mapping[str, bool | None] | None:
    """Host → whether Prometheus finds all its targets up; None without a Prometheus."""
    return health(
        project.prometheus,
        inventory.hosts,
        lambda labels: locate_host(labels, "instance", inventory).hosts,
    )


def by_the_store(
    project: Project,
    tx: sa.Connection,
    situation: policy.Situation,
    incident: Incident,
    entry: Entry,
    now: datetime,
) -> policy.Situation:
    """`situation` with what the store knows at this moment: pause, other runs, history, and what
    `entry` has earned; in the transaction that takes the hosts, this is what limits are asked of.
    """
    return replace(
        situation,
        paused=switches.paused(tx),
        busy=runs.acting_hosts(tx),
        history=past_runs(project, tx, now),
        earned=learn.earned(project, tx, incident, entry, situation, now),
        looks=_looks(project, tx, situation, now),
        now=now,
    )


def _looks(
    project: Project, tx: sa.Connection, situation: policy.Situation, now: datetime
) -> Mapping[str, tuple[datetime, ...]]:
    if situation.considered is None:
        return {}
    return considered.looks(project, tx, situation.hosts, now)


def placed_plans(tx: sa.Connection, besides: int) -> dict[int, tuple[str, ...]]:
    """Incident → hosts of each plan on chosen hosts that is being carried out now, without
    that of `besides`."""
    others = records.acting(tx, besides)
    return {number: plan.touched for number, plan in others.items() if plan.places}
