"""A real project on real SQLite, with incidents in it, and the web on top."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from runner import config
from runner.incident import (
    Alert,
    AlertStatus,
    Check,
    Decision,
    Evidence,
    Level,
    Outcome,
    Plan,
    Purpose,
    Reason,
    Result,
    Run,
    State,
    Verdict,
    Verification,
)
from runner.project import Project
from runner.steps.ask import ask
from runner.store import approvals, audit_log, incidents, records, runs, workers
from runner.web.app import create_app
from runner.web.guard import Metrics
from runner.web.serve import Server
from tests import fresh_store

REPOSITORY = Path(__file__).parent.parent
PLAN = "5" * 64
DIFF = "--- before: /etc/app.conf\n+++ after: /etc/app.conf\n@@ -1 +1 @@\n-workers 2\n+workers 4\n"

USERS = [
    {"name": "vera", "bearer_token": "token-of-vera"},
    {"name": "anna", "username": "anna", "password": "word-of-anna", "role": "approver"},
    {"name": "adam", "bearer_token": "token-of-adam", "role": "admin"},
]
GUARDED = {"auth": {"bearer_token": "token-of-alertmanager"}, "users": USERS}

VERA = {"Authorization": "Bearer token-of-vera"}
ANNA = {"Authorization": "Basic " + base64.b64encode(b"anna:word-of-anna").decode()}
ADAM = {"Authorization": "Bearer token-of-adam"}
ALERTMANAGER = {"Authorization": "Bearer token-of-alertmanager"}


class Counted:
    """Metrics that remember what they were told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.failed_logins = 0
        self.reasons: list[str] = []

    def exposition(self) -> bytes:
        return b"# HELP runner_up Whether it is up.\nrunner_up 1\n"

    def answered(self, status: int, seconds: float, alerts: Sequence[Alert]) -> None:
        self.statuses.append(status)

    def login_failed(self) -> None:
        self.failed_logins += 1

    def closed(self, why: str) -> None:
        self.reasons.append(why)


def project(folder: Path, listen: dict[str, Any] | None = None, **settings: Any) -> Project:
    """A project whose store lies in `folder` and whose catalog is the repository's."""
    content = {
        "listen": {"port": 0} | ({"allow_anonymous": True} if listen is None else listen),
        "store": {"url": fresh_store.place(folder / "runner.db")},
        "project": {
            "playbooks": str(REPOSITORY / "playbooks"),
            "roles": [],
            "inventory": [str(REPOSITORY / "inventories" / "example")],
            "state": str(folder),
        },
    }
    return Project(config.build(content | settings, root=folder))


@contextmanager
def site(
    opened: Project, headers: dict[str, str] | None = None, metrics: Metrics | None = None
) -> Iterator[httpx.Client]:
    """The real server on this project, and a client that is no browser."""
    app = create_app(opened, metrics or Counted())
    server = Server(app, opened.config.listen)
    server.start()
    try:
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
            client.app = app  # type: ignore[attr-defined]
            yield client
    finally:
        server.stop()
        opened.close()


def body(count: int = 1, **labels: str) -> bytes:
    """An Alertmanager message with `count` alerts."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "ServiceDown", "instance": f"web-{n}:9100", **labels},
            "annotations": {"summary": "It is down."},
            "startsAt": "2026-03-04T12:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.com/graph",
            "fingerprint": f"{n:016x}",
        }
        for n in range(count)
    ]
    message = {
        "version": "4",
        "groupKey": "{}:{}",
        "status": "firing",
        "receiver": "runner",
        "groupLabels": {},
        "alerts": alerts,
    }
    return json.dumps(message).encode()


def alert(fingerprint: str = "a1b2c3d4e5f60718", **changes: Any) -> Alert:
    """A firing alert."""
    given: dict[str, Any] = {
        "fingerprint": fingerprint,
        "status": AlertStatus.FIRING,
        "labels": {"alertname": "ServiceDown", "instance": "web-1:9100", "severity": "critical"},
        "annotations": {
            "summary": "web-1 does not answer on port 8080.",
            "runbook_url": "https://runbooks.example.com/ServiceDown",
        },
        "starts_at": datetime.now(UTC) - timedelta(minutes=4),
        "generator_url": "http://prometheus.example.com/graph?g0.expr=up",
    }
    return Alert(**given | changes)


def incident(opened: Project, about: Alert | None = None, reason: str = "firing") -> int:
    """An incident that was just admitted."""
    with opened.database.write() as tx:
        made = incidents.open_incident(
            tx, about or alert(), environment="production", ceiling=Level.AUTO, reason=reason
        )
    assert made is not None
    return made


def waiting(
    opened: Project, about: Alert | None = None, by: str = "runner", text: str = "restarted 3 times"
) -> tuple[int, int]:
    """(incident, approval) of an incident that a person is asked about."""
    made = incident(opened, about)
    now = datetime.now(UTC)
    with opened.database.write() as tx:
        _decided(tx, made, text)
        _run(tx, made, Purpose.DRY_RUN, now, Outcome.CHANGED)
        incidents.move(tx, made, State.PLANNED, "one task would change web-1")
        question = approvals.ask(
            tx,
            incident=made,
            plan=PLAN,
            requested_by=by,
            requested_at=now,
            expires_at=now + timedelta(minutes=30),
        )
        incidents.move(tx, made, State.WAITING, "a person has been asked")
    return made, question.id


def asked(opened: Project, made: int) -> int:
    """The question about an incident that was just admitted, asked by the step itself."""
    with opened.database.write() as tx:
        _decided(tx, made, "restarted 3 times")
        incidents.move(tx, made, State.PLANNED, "one task would change web-1")
    assert not ask(opened, made)
    with opened.database.read() as tx:
        (question,) = approvals.of_incident(tx, made)
    return question.id


def fixed(opened: Project, about: Alert | None = None) -> int:
    """An incident that went all the way."""
    made, question = waiting(opened, about)
    now = datetime.now(UTC)
    with opened.database.write() as tx:
        approvals.answer(tx, question, answer="approved", by="user:anna", at=now)
        incidents.move(tx, made, State.APPROVED, "approved by user:anna", actor="user:anna")
        incidents.move(tx, made, State.RUNNING, "the alert still fires, web-1 is locked")
        run = _run(tx, made, Purpose.REMEDIATION, now, Outcome.CHANGED)
        incidents.move(tx, made, State.VERIFYING, "the run changed 1 task")
        checks = (
            Check(kind="alert", target="cleared", result=Result.FIXED, seen="not firing for 30s"),
            Check(
                kind="promql",
                target='up{instance="web-1:9100"} == 1',
                result=Result.FIXED,
                seen="1 sample",
            ),
        )
        seen = Verification(
            result=Result.FIXED, reason="every check held for 30s", checks=checks, at=now
        )
        records.put_verification(tx, made, run, seen)
        incidents.move(tx, made, State.FIXED, "every check held for 30s")
    return made


def _decided(tx: Any, made: int, text: str) -> None:
    now = datetime.now(UTC)
    incidents.move(tx, made, State.LOCATED, "instance web-1:9100 is web-1", hosts=["web-1"])
    records.put_evidence(
        tx,
        made,
        [
            Evidence(
                number=1,
                kind="metric",
                source='up{instance="web-1:9100"}',
                title="up over 30m",
                text="1 1 1 1 0 0 0",
                at=now,
            ),
            Evidence(
                number=2,
                kind="log",
                source="collect_diagnostics",
                title="Last log lines",
                text=f"systemd[1]: app.service: Failed\n{text}",
                at=now,
            ),
        ],
    )
    incidents.move(tx, made, State.GATHERED, "2 pieces of evidence")
    records.put_decision(
        tx,
        made,
        Decision(
            decider="rules",
            entry="restart_service",
            reason="The service is down and has logged why.",
            cited=(1, 2),
            confidence=0.9,
            alternatives=(("clean_disk", "no disk is full"),),
        ),
    )
    incidents.move(tx, made, State.DECIDED, "rules chose restart_service", entry="restart_service")
    records.put_verdict(
        tx,
        made,
        Verdict(
            level=Level.APPROVE,
            reasons=(
                Reason(rule="configuration", level=Level.AUTO, text="level: auto"),
                Reason(rule="earned", level=Level.APPROVE, text="fixed 2 of 2 times; 5 are needed"),
            ),
        ),
    )
    incidents.move(
        tx, made, State.JUDGED, "approve: earned", level=Level.APPROVE, part="unit app.service"
    )
    records.put_plan(
        tx,
        made,
        Plan(
            entry="restart_service",
            hosts=("web-1",),
            delegates=(),
            variables={"service_restart_unit": "app"},
            content="c" * 64,
            diff="d" * 64,
            hash=PLAN,
        ),
    )


def started(tx: Any, made: int, purpose: Purpose, now: datetime) -> Run:
    """A run that goes on."""
    workers.join(tx, "lab", "lab")
    run = Run(
        id=f"{made:08x}{purpose}"[:32],
        incident=made,
        purpose=purpose,
        attempt=1,
        entry="restart_service",
        hosts=("web-1",),
        part="unit app.service",
        plan=PLAN,
        started_at=now,
        deadline=now + timedelta(minutes=5),
    )
    assert runs.intend(tx, run, worker="lab", lock=())
    return run


def _run(tx: Any, made: int, purpose: Purpose, now: datetime, outcome: Outcome) -> str:
    run = started(tx, made, purpose, now)
    tasks = [
        {"task": "service_restart : Preflight | Stat the unit", "kind": "read", "hosts": 1},
        {"task": "service_restart : Remediate | Restart the unit", "kind": "shown", "hosts": 1},
    ]
    runs.conclude(
        tx,
        run.id,
        outcome=outcome,
        # The start is the database's clock at the intent, not `now`.
        ended_at=runs.get(tx, run.id).started_at + timedelta(seconds=4),
        diff=DIFF,
        reason="1 of 2 tasks changed something",
        fidelity=tasks,
        stats={"web-1": {"ok": 2, "changed": 1}},
    )
    return run.id


def last_action(opened: Project) -> str:
    """The action of the newest transition."""
    with opened.database.read() as tx:
        return list(audit_log.walk(tx))[-1].action
