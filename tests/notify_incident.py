"""An incident with everything on it, for the tests of what people are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from runner.incident import (
    Alert,
    AlertStatus,
    Brief,
    Check,
    Decision,
    Evidence,
    Level,
    Outcome,
    Purpose,
    Reason,
    Result,
    Run,
    State,
    Verdict,
    Verification,
)
from runner.store import approvals, incidents, records, runs, workers
from runner.store.database import Database
from tests import fresh_store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "ServiceDown", "instance": "web1:9100", "severity": "critical"}


def database(folder: Path) -> Database:
    """A new store in `folder`."""
    return Database(fresh_store.place(folder / "runner.db"))


def opened(
    tx: sa.Connection,
    labels: Mapping[str, str] = LABELS,
    annotations: Mapping[str, str] | None = None,
    fingerprint: str = "f1",
) -> int:
    """An incident that was just admitted."""
    alert = Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        labels=labels,
        annotations=annotations or {},
        starts_at=NOW,
    )
    made = incidents.open_incident(
        tx, alert, environment="lab", ceiling=Level.AUTO, reason="first seen"
    )
    assert made is not None
    return made


def ask(tx: sa.Connection, incident: int, brief: Brief | None = None) -> int:
    """Bring the incident to `waiting`; returns the approval's id."""
    reason = Reason(rule="cooldown", level=Level.APPROVE, text="web1 was restarted 3m ago")
    records.put_verdict(tx, incident, Verdict(level=Level.APPROVE, reasons=(reason,)))
    dry_run(tx, incident, diff="-state: stopped\n+state: started")
    approval = approvals.ask(
        tx,
        incident=incident,
        plan="abcdef0123456789" * 4,
        requested_by="runner",
        requested_at=NOW,
        expires_at=NOW + timedelta(minutes=30),
        brief=brief,
    )
    incidents.move(
        tx, incident, State.WAITING, "a person has to agree",
        hosts=["web1"], entry="service_restart", level=Level.APPROVE,
    )  # fmt: skip
    return approval.id


def dry_run(tx: sa.Connection, incident: int, *, diff: str) -> None:
    """A dry run that ended with this diff."""
    _run(tx, incident, Purpose.DRY_RUN, outcome=Outcome.CHANGED, diff=diff)


def escalate(tx: sa.Connection, incident: int, evidence: str = "exit code 137") -> None:
    """A run that did not help, and the whole bundle."""
    item = Evidence(
        number=1, kind="log", source="journal of web1", title="Last lines", text=evidence, at=NOW
    )
    records.put_evidence(tx, incident, [item])
    decision = Decision(
        decider="rules",
        entry="service_restart",
        reason="the unit is down",
        cited=(1,),
        alternatives=(("disk_space", "the disk is not full"),),
    )
    records.put_decision(tx, incident, decision)
    run = _run(tx, incident, Purpose.REMEDIATION, outcome=Outcome.CHANGED)
    check = Check(kind="promql", target="up == 1", result=Result.NOT_FIXED, seen="0")
    verification = Verification(
        result=Result.NOT_FIXED, reason="still down after 5m", checks=(check,), at=NOW
    )
    records.put_verification(tx, incident, run, verification)
    incidents.move(
        tx, incident, State.ESCALATED, "the run did not fix it",
        hosts=["web1"], entry="service_restart",
    )  # fmt: skip


def _run(
    tx: sa.Connection, incident: int, purpose: Purpose, *, outcome: Outcome, diff: str = ""
) -> str:
    workers.join(tx, "worker", "here")
    run = Run(
        id=f"{purpose}{incident}",
        incident=incident,
        purpose=purpose,
        attempt=1,
        entry="service_restart",
        hosts=("web1",),
        plan=None,
        started_at=NOW,
        deadline=NOW + timedelta(minutes=5),
    )
    runs.intend(tx, run, worker="worker", lock=run.hosts)
    runs.conclude(tx, run.id, outcome=outcome, diff=diff, ended_at=NOW)
    return run.id
