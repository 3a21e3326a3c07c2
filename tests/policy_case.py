"""Cases for the tests of policy: a harmless one, and ways to change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.catalog.entry import Entry
from runner.config import Config
from runner.incident import Alert, AlertStatus, Decision, Level, Outcome, Purpose, Reason, Result
from runner.policy import PastRun, Rule, Situation

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday


def entry(**changes: Any) -> Entry:
    """An entry that allows auto."""
    given = {
        "id": "service_restart",
        "folder": Path("playbooks/service_restart"),
        "title": "Restart a service",
        "description": "Restarts one unit.",
        "role": "service_restart",
        "level": "auto",
        "risk": "low",
    }
    return Entry.model_validate(given | changes)


def config(**policy: Any) -> Config:
    """A configuration that allows auto, with changes to its policy."""
    return Config.model_validate({"level": "auto", "policy": policy})


def alert(age: timedelta = timedelta(minutes=2)) -> Alert:
    return Alert(
        fingerprint="f" * 16,
        status=AlertStatus.FIRING,
        labels={"alertname": "ServiceDown", "instance": "web1:9100"},
        annotations={},
        starts_at=NOW - age,
    )


def decision(**changes: Any) -> Decision:
    given: dict[str, Any] = {"decider": "rules", "entry": "service_restart", "reason": "It fits."}
    return Decision(**(given | changes))


def case(**changes: Any) -> Situation:
    """One host, web1 of three web servers: every rule lets it through."""
    hosts = ("web1", "web2", "web3")
    given: dict[str, Any] = {
        "entry": entry(),
        "hosts": ("web1",),
        "touched": ("web1",),
        "alert": alert(),
        "decisions": (decision(),),
        "config": config(),
        "ceiling": Level.AUTO,
        "variables": {host: {} for host in hosts},
        "groups": {"all": hosts, "web": hosts},
        "now": NOW,
    }
    return Situation(**(given | changes))


def run(minutes_ago: float = 60, **changes: Any) -> PastRun:
    """An earlier run on web1 that fixed it."""
    given: dict[str, Any] = {
        "entry": "service_restart",
        "hosts": ("web1",),
        "incident": 7,
        "purpose": Purpose.REMEDIATION,
        "started_at": NOW - timedelta(minutes=minutes_ago),
        "outcome": Outcome.CHANGED,
        "verification": Result.FIXED,
    }
    return PastRun(**(given | changes))


def failures(count: int, **changes: Any) -> tuple[PastRun, ...]:
    """Runs that failed, a minute apart, the last 20 minutes ago."""
    one = run(outcome=Outcome.FAILED, verification=None, **changes)
    times = [NOW - timedelta(minutes=20 + number) for number in range(count)]
    return tuple(replace(one, started_at=time) for time in times)


def only(rule: Rule, given: Situation) -> Reason:
    """The single reason of `rule`."""
    (reason,) = rule(given)
    return reason
