"""Who chooses an entry: the person who asked, or the rules."""

from __future__ import annotations

from collections.abc import Callable

from runner.decide import rules
from runner.errors import RemoteError
from runner.incident import Decision, Incident, State
from runner.project import Project
from runner.steps.progress import load, passed
from runner.store import incidents, records


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
