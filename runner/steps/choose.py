"""From a stored alert to a judged decision: admit, locate, gather, decide, judge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from runner import policy, promql
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.decide import rules
from runner.errors import NotFound, RemoteError, RunnerError, StoreError
from runner.evidence import gather as pieces
from runner.evidence.health import health
from runner.evidence.number import number
from runner.incident import (
    Decision,
    Evidence,
    Incident,
    Level,
    Purpose,
    Result,
    Run,
    State,
    Verdict,
)
from runner.intake.alertmanager import Standing
from runner.inventory import Inventory
from runner.inventory import locate as locate_host
from runner.plan import draft
from runner.project import Project
from runner.steps.perform import Job, perform
from runner.steps.progress import advance, end, escalate, load, passed
from runner.steps.waiting import for_hosts
from runner.store import incidents, records, runs, switches
from runner.text import visible

#: How far back runs count for cooldowns, rates and the breaker.
HISTORY = timedelta(days=7)
#: Rules whose level somebody set on purpose: stopping there is no failure to handle it.
CHOSEN = frozenset({"configuration", "command_line", "hosts", "entry", "pause", "earned"})


#: How Alertmanager may hold an alert so that it is not ours to handle.
QUIET = frozenset({Standing.SILENCED, Standing.INHIBITED})


def admit(project: Project, incident_id: int) -> bool:
    """Is it ours to handle now? Not what resolved meanwhile, nor what somebody wants quiet."""
    incident = load(project, incident_id)
    if incident.state is not State.ADMITTED or incident.requested_by:
        return not incident.state.ended
    with project.database.read() as tx:
        firing = incidents.still_firing(tx, incident_id)
    if not firing:
        reason = "the alert resolved by itself before anything ran"
        return end(project, incident_id, State.RESOLVED, reason)
    if incident.alert.source == "watch" or project.alertmanagers is None:
        return True
    try:
        alert = project.alertmanagers.state_of(incident.alert.fingerprint, incident.alert.labels)
    except RemoteError:
        return True  # the pre-flight asks again, and then silence is a no
    if alert.standing in QUIET:
        return end(project, incident_id, State.SUPPRESSED, f"{alert.standing}: {alert.reason}")
    return True


def locate(project: Project, incident_id: int) -> bool:
    """Labels to exact inventory hosts; none or several is for a person."""
    incident = load(project, incident_id)
    if passed(incident, State.LOCATED):
        return not incident.state.ended
    inventory = project.inventory()
    if incident.requested_hosts:
        return _locate_requested(project, incident, inventory)
    labels = _target_labels(project, incident)
    place = locate_host(incident.alert.labels, labels, inventory)
    if not place.hosts:
        return escalate(project, incident_id, f"not located: {place.reason}")
    if not _join(project, incident, place.hosts):
        return False
    return advance(project, incident_id, State.LOCATED, place.reason, hosts=list(place.hosts))


def _locate_requested(project: Project, incident: Incident, inventory: Inventory) -> bool:
    unknown = [host for host in incident.requested_hosts if not inventory.exact(host)]
    if unknown:
        return escalate(project, incident.id, f"not in the inventory: {', '.join(unknown)}")
    hosts = sorted(incident.requested_hosts)
    reason = f"asked for {', '.join(hosts)}"
    return advance(project, incident.id, State.LOCATED, reason, hosts=hosts)


def _target_labels(project: Project, incident: Incident) -> list[str]:
    """The labels that eligible entries name their host by, then the usual one."""
    eligible = project.catalog.eligible(incident.alert.labels)
    return list(dict.fromkeys([*(entry.target.label for entry in eligible), "instance"]))


def _join(project: Project, incident: Incident, hosts: tuple[str, ...]) -> bool:
    """False when another incident handles this one too: same host and service, or its cause."""
    correlation = project.config.correlation
    needs = _needed_hosts(project.inventory(), hosts, correlation.topology)
    since = incident.created_at - correlation.window
    with project.database.write() as tx:
        for other in incidents.open_on(tx, [*hosts, *needs], incident.id):
            if other.created_at < since or other.requested_by or incident.requested_by:
                continue
            if reason := _related(incident, other, hosts, needs, correlation.same_host):
                incidents.move(tx, incident.id, State.SUPPRESSED, reason, joined=other.id)
                return False
    return True


def _needed_hosts(inventory: Inventory, hosts: tuple[str, ...], variable: str) -> list[str]:
    """Hosts that `hosts` depend on, as their inventory variable says."""
    needed: list[str] = []
    for host in hosts:
        value = inventory.hosts[host].variables.get(variable, [])
        needed += [value] if isinstance(value, str) else [str(name) for name in value or ()]
    return [name for name in needed if name in inventory.hosts and name not in hosts]


def _related(
    incident: Incident, other: Incident, hosts: tuple[str, ...], needs: list[str], same_host: bool
) -> str | None:
    shared = sorted(set(hosts) & set(other.hosts))
    service = incident.alert.labels.get("service")
    if same_host and shared and service == other.alert.labels.get("service"):
        what = f" and service {visible(service)}" if service else ""
        return f"joined incident {other.id}: same host {shared[0]}{what}"
    cause = sorted(set(needs) & set(other.hosts))
    if cause:
        return f"joined incident {other.id}: {hosts[0]} depends on {cause[0]}"
    return None


def gather(project: Project, incident_id: int) -> bool:
    """Numbered, sourced evidence; a source that fails is evidence of that."""
    incident = load(project, incident_id)
    if passed(incident, State.GATHERED):
        return not incident.state.ended
    found = number(_pieces(project, incident), project.mask)
    with project.database.write() as tx:
        records.put_evidence(tx, incident_id, found)
        reason = f"{len(found)} items of evidence"
        return incidents.move(tx, incident_id, State.GATHERED, reason)


def _pieces(project: Project, incident: Incident) -> list[Evidence]:
    at, inventory = datetime.now(UTC), project.inventory()
    eligible = project.catalog.eligible(incident.alert.labels)
    found = pieces.alert(incident.alert, at=at)
    if project.prometheus is not None:
        found += pieces.rule(project.prometheus, incident.alert, at=at)
        for entry in eligible:
            found += pieces.queries(project.prometheus, entry.queries, values_of(incident), at=at)
        for host in incident.hosts:
            found += pieces.vitals(project.prometheus, host, at=at)
    found += pieces.inventory([inventory.hosts[host] for host in incident.hosts], at=at)
    found += pieces.history(_similar(project, incident), at=at)
    for probe in dict.fromkeys(entry.probe for entry in eligible if entry.probe):
        found += _probed(project, incident, probe, at)
    for entry in eligible:
        found += pieces.runbook(entry.readme, at=at)
    return found


def _probed(project: Project, incident: Incident, probe: str, at: datetime) -> list[Evidence]:
    """What a read-only entry brought back; that it could not run is evidence too."""
    entry = project.catalog.get(probe)
    try:
        plan = draft(incident, entry, project.catalog, project.inventory())
        job = Job(incident=incident.id, purpose=Purpose.PROBE, attempt=1, entry=entry, plan=plan)
        run = for_hosts(project, lambda: perform(project, job))
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        return pieces.logs(probe, entry.title, f"it could not run: {error}", at=at)
    lines = [f"{name}:\n{value}" for name, value in run.results.items()]
    return pieces.logs(probe, entry.title, "\n".join(lines) or None, at=at)


def _similar(project: Project, incident: Incident) -> tuple[Incident, ...]:
    """Earlier incidents of the same alert that have ended, newest first."""
    with project.database.read() as tx:
        return incidents.similar(tx, incident)


def decide(project: Project, incident_id: int) -> bool:
    """An entry, by a person's request or by the rules; none and a tie are for a person."""
    incident = load(project, incident_id)
    if passed(incident, State.DECIDED):
        return not incident.state.ended
    decision = _requested(incident) or rules.decide(
        incident.alert.labels,
        project.catalog.eligible(incident.alert.labels),
        _condition(project),
        hosts=incident.hosts,
    )
    with project.database.write() as tx:
        records.put_decision(tx, incident_id, decision)
        if decision.entry is None:
            incidents.move(tx, incident_id, State.ESCALATED, decision.reason)
            return False
        detail = {"entry": decision.entry, "decider": decision.decider}
        return incidents.move(
            tx, incident_id, State.DECIDED, decision.reason, detail=detail, entry=decision.entry
        )


def _requested(incident: Incident) -> Decision | None:
    if incident.requested_entry is None or incident.requested_by is None:
        return None
    return Decision(
        decider=incident.requested_by,
        entry=incident.requested_entry,
        reason=f"{incident.requested_by} asked for {incident.requested_entry}",
        values=incident.requested_values,
    )


def _condition(project: Project) -> Callable[[str], bool | None]:
    """Whether a filled query gives a sample; None when nobody can tell."""

    def ask(query: str) -> bool | None:
        if project.prometheus is None:
            return None
        try:
            return bool(project.prometheus.query(query))
        except RemoteError:
            return None

    return ask


def values_of(incident: Incident) -> dict[str, str]:
    """What `$name` stands for in an entry's queries: every label, and the located host."""
    host = incident.hosts[0] if incident.hosts else None
    return promql.values(incident.alert.labels, host)


def judge(project: Project, incident_id: int) -> bool:
    """Policy's verdict; at `observe` the incident ends here."""
    incident = load(project, incident_id)
    if passed(incident, State.JUDGED):
        return not incident.state.ended
    try:
        entry = project.catalog.get(incident.entry or "")
    except NotFound as error:
        return escalate(project, incident_id, str(error))
    verdict = policy.judge(case_of(project, incident, entry))
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
