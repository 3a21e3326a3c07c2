"""A prediction as an alert: from there on it is handled like any other (DESIGN section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runner.config import Nodes
from runner.incident import Alert, AlertStatus
from runner.text import brief

SOURCE = "prediction"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A member of the greylist as its alert tells of it."""

    node: str
    tier: str  #: warning or critical
    since: datetime
    why: str
    doubt: str = ""  #: what a model says against it


def alert_of(member: Held, nodes: Nodes) -> Alert:
    """The firing alert of a member; its activation is when it joined its tier."""
    settings = nodes.greylist
    name = settings.critical_alert if member.tier == "critical" else settings.warning_alert
    labels = {
        "alertname": name,
        "instance": member.node,
        "severity": member.tier,
        "tier": member.tier,
        "group": nodes.group or "",
    }
    return Alert(
        fingerprint="",  # the intake makes it from the labels
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={
            "summary": brief(f"{member.node} is predicted to fail: {member.tier}", 200),
            "description": member.why,
        }
        | ({"doubt": member.doubt} if member.doubt else {}),
        starts_at=to_millisecond(member.since),
        source=SOURCE,
    )


def difference(
    wanted: Iterable[Alert], firing: Sequence[Alert], now: datetime
) -> tuple[Alert, ...]:
    """What to deliver so that what is known to fire becomes what should.

    Told again after a crash or a store that was away: nothing is remembered here.
    """
    known = {_key(alert): alert for alert in firing}
    should = {_key(alert): alert for alert in wanted}
    fresh = [
        alert
        for key, alert in should.items()
        if key not in known or known[key].starts_at < alert.starts_at
    ]
    over = [
        replace(alert, status=AlertStatus.RESOLVED, ends_at=to_millisecond(now))
        for key, alert in known.items()
        if key not in should
    ]
    return (*over, *fresh)  # who got worse is not to be joined to what just ended


def _key(alert: Alert) -> tuple[str, str]:
    return alert.name, alert.labels.get("instance", "")


def to_millisecond(at: datetime) -> datetime:
    """What survives the way through a delivery."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
