"""Who chooses an entry: the person who asked, the rules, the model, or the two of them."""

from __future__ import annotations

from collections.abc import Callable

from runner.catalog.near import near_misses
from runner.decide import rules
from runner.decide.both import Settled, settle
from runner.errors import RemoteError
from runner.incident import Decision, Evidence, Incident, State
from runner.project import Project
from runner.steps import opinion
from runner.steps.progress import load, passed
from runner.store import incidents, records


def decide(project: Project, incident_id: int) -> bool:
    """An entry, by a person's request, by the rules or by the model; none is for a person."""
    incident = load(project, incident_id)
    if passed(incident, State.DECIDED):
        return not incident.state.ended
    found, evidence = _settled(project, incident)
    decision = found.decision
    with project.database.write() as tx:
        for each in found.kept:
            records.put_decision(tx, incident_id, each)
        if evidence:
            records.put_evidence(tx, incident_id, evidence)
        if decision.entry is None:
            incidents.move(tx, incident_id, State.ESCALATED, decision.reason)
            return False
        detail = {"entry": decision.entry, "decider": decision.decider}
        return incidents.move(
            tx,
            incident_id,
            State.DECIDED,
            decision.reason,
            detail=detail,
            entry=decision.entry,
            chosen=dict(decision.values),
        )


def _settled(project: Project, incident: Incident) -> tuple[Settled, tuple[Evidence, ...]]:
    """The decision and every answer to keep; and all evidence, when a model had more gathered."""
    if (asked := _requested(incident)) is not None:
        return Settled(decision=asked, kept=(asked,)), ()
    labels = incident.alert.labels
    eligible = project.catalog.eligible(labels)
    by_rules = rules.decide(
        labels,
        eligible,
        _condition(project),
        hosts=incident.hosts,
        near=near_misses(labels, project.catalog.by_kind("remediation")),
    )
    deciders, settings = project.config.deciders, project.config.model
    if deciders == "rules" or settings is None or not eligible:
        return Settled(decision=by_rules, kept=(by_rules,)), ()
    said = opinion.ask(project, incident, eligible)
    found = settle(by_rules, said, deciders=deciders, on_failure=settings.on_failure)
    return found, said.question.evidence


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
