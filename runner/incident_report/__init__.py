"""Everything that is known of one incident, in one object: what people and programs are shown."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.incident import (
    Approval,
    BlastRadius,
    Decision,
    Evidence,
    Incident,
    Plan,
    Run,
    Transition,
    Verdict,
    Verification,
)
from runner.incident.model_call import ModelCall
from runner.store import approvals, audit_log, incidents, model_calls, records, runs
from runner.text import duration


@dataclass(frozen=True, kw_only=True)
class Considered:
    """An entry that a person may propose for the alert, as it stood when it was decided."""

    entry: str
    place: int  #: from 1, the likeliest; as likely entries have the same one
    why: str  #: why rules do not choose it


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An incident with its evidence, decisions, verdict, plan, runs and transitions."""

    incident: Incident
    evidence: tuple[Evidence, ...]
    decisions: tuple[Decision, ...]
    verdict: Verdict | None
    plan: Plan | None
    radius: BlastRadius | None
    approvals: tuple[Approval, ...]
    runs: tuple[Run, ...]
    verifications: dict[str, Verification]  #: by run id
    transitions: tuple[Transition, ...]
    calls: tuple[ModelCall, ...] = ()  #: of the model
    considered: tuple[Considered, ...] = ()  #: entries that a person may propose, likeliest first


def load(tx: sa.Connection, incident: int) -> Bundle:
    """The bundle of an incident; NotFound when there is none."""
    transitions = audit_log.of_incident(tx, incident)
    said = [row.detail["considered"] for row in transitions if "considered" in row.detail]
    return Bundle(
        incident=incidents.get(tx, incident),
        evidence=records.evidence_of(tx, incident),
        decisions=records.decisions_of(tx, incident),
        verdict=records.verdict_of(tx, incident),
        plan=records.plan_of(tx, incident),
        radius=records.radius_of(tx, incident),
        approvals=approvals.of_incident(tx, incident),
        runs=runs.of_incident(tx, incident),
        verifications=records.verifications_of(tx, incident),
        transitions=transitions,
        calls=model_calls.of_incident(tx, incident),
        considered=tuple(Considered(**each) for each in said[-1]) if said else (),
    )


def to_json(value: Any) -> Any:
    """Any noun as JSON: times in ISO 8601, durations as Prometheus writes them."""
    if is_dataclass(value) and not isinstance(value, type):
        # What is left out of its repr is for the runner alone.
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration.write(value)
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
