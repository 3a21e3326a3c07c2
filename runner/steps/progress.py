"""How a step finds out whether it is still needed, and how it ends an incident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.incident import Incident, State
from runner.project import Project
from runner.store import incidents

_ORDER = list(State)


def load(project: Project, incident: int) -> Incident:
    """The incident as it stands now."""
    with project.database.read() as tx:
        return incidents.get(tx, incident)


def passed(incident: Incident, state: State) -> bool:
    """Whether the incident reached `state` already, in an attempt that a crash cut short."""
    return _ORDER.index(incident.state) >= _ORDER.index(state)


def advance(
    project: Project,
    incident: int,
    to: State,
    reason: str,
    *,
    detail: Mapping[str, Any] | None = None,
    **columns: Any,
) -> bool:
    """Move to `to`; whether the incident goes on, which it does unless it ended meanwhile."""
    with project.database.write() as tx:
        moved = incidents.move(tx, incident, to, reason, detail=detail, **columns)
        return moved and not to.ended


def end(project: Project, incident: int, state: State, reason: str, **detail: Any) -> bool:
    """End the incident; False, so that a step can return it."""
    advance(project, incident, state, reason, detail=detail)
    return False


def escalate(project: Project, incident: int, reason: str, **detail: Any) -> bool:
    """Hand the incident to a person; False, so that a step can return it."""
    return end(project, incident, State.ESCALATED, reason, **detail)
