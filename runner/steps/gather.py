"""Numbered, sourced evidence: what a decision is made from."""

from __future__ import annotations

from datetime import UTC, datetime

from runner.catalog import connections
from runner.errors import Refused, RunnerError, StoreError
from runner.evidence import gather as pieces
from runner.evidence import probe
from runner.evidence.number import number
from runner.incident import Evidence, Incident, Purpose, State
from runner.plan import draft
from runner.project import Project
from runner.steps.perform import Job
from runner.steps.progress import Then, load, passed, perform_when_free
from runner.store import incidents, learning, records
from runner.store.similar import find_similar
from runner.text import promql


def gather(project: Project, incident_id: int) -> Then:
    """Numbered, sourced evidence; a source that fails is evidence of that."""
    incident = load(project, incident_id)
    if passed(incident, State.GATHERED):
        return Then(not incident.state.ended)
    at, inventory = datetime.now(UTC), project.inventory()
    eligible = project.catalog.eligible(incident.alert.labels)
    found = pieces.alert(incident.alert, at=at)
    brought: list[Evidence] = []
    probes = dict.fromkeys(entry.probe for entry in eligible if entry.probe)
    for attempt, each in enumerate(probes, start=1):
        brought += probed(project, incident, each, at, attempt=attempt)
    found += [piece for piece in brought if piece.kind == "fact"]
    if project.prometheus is not None:
        found += pieces.rule(project.prometheus, incident.alert, at=at)
        for entry in eligible:
            found += pieces.queries(project.prometheus, entry.queries, values_of(incident), at=at)
        for host in incident.hosts:
            found += pieces.vitals(project.prometheus, host, at=at)
    found += pieces.inventory([inventory.hosts[host] for host in incident.hosts], at=at)
    with project.database.read() as tx:
        similar = find_similar(tx, incident)
        words = learning.feedback_of(tx, [past.id for past in similar])
    found += pieces.history(similar, at=at, words=words)
    found += [piece for piece in brought if piece.kind != "fact"]
    for entry in eligible:
        found += pieces.runbook(entry.readme, at=at)
    numbered = number(found, project.mask)
    with project.database.write() as tx:
        records.put_evidence(tx, incident_id, numbered)
        reason = f"{len(numbered)} items of evidence"
        return Then(incidents.move(tx, incident_id, State.GATHERED, reason))


def probed(
    project: Project, incident: Incident, name: str, at: datetime, *, attempt: int
) -> list[Evidence]:
    """What a read-only entry brought back; that it could not run is evidence too.

    `attempt` tells the probes of one incident apart: each of them starts at most once.
    """
    entry = project.catalog.get(name)
    inventory = project.inventory()
    try:
        for host in incident.hosts:
            if why := connections.of_host(inventory.hosts[host].variables):
                raise Refused(f"{host}: {why}")
        plan = draft(incident, entry, project.catalog, inventory)
        job = Job(
            incident=incident.id, purpose=Purpose.PROBE, attempt=attempt, entry=entry, plan=plan
        )
        run = perform_when_free(project, job)
    except StoreError:
        raise  # the step is repeated when the store is back, and finds its run if there is one
    except RunnerError as error:
        return probe.failed(name, entry.title, str(error), at=at)
    return probe.pieces(
        name, entry.title, run.results, run.outcome, run.reason, mask=project.mask, at=at
    )


def values_of(incident: Incident) -> dict[str, str]:
    """What `$name` stands for in an entry's queries: every label, and the located host."""
    host = incident.hosts[0] if incident.hosts else None
    return promql.values(incident.alert.labels, host)
