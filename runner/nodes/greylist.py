"""Who joins the greylist, stays or leaves: a pure step from what was seen and for how long; and a
member as an alert, which is handled like any other.

A tier counts once it was seen on end for long enough, and is left once it was not seen on end
for long enough. What is unknown counts for neither: the clock stands still (invariant 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runner.config import Greylist, Nodes
from runner.incident import Alert, AlertStatus
from runner.nodes.tier import Tier
from runner.text import brief

NO_TIME = timedelta()


class Event(StrEnum):
    """What changed in one step."""

    JOINED = "joined"
    WORSENED = "worsened"  #: from warning to critical
    EASED = "eased"  #: from critical to warning
    LEFT = "left"


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """Where one node stands. The four times are None while the opposite is seen."""

    tier: Tier = Tier.NONE  #: the tier it is held in: none, warning or critical
    since: datetime | None = None  #: when it joined that tier
    at: datetime | None = None  #: of the last look that saw anything
    above_warning: timedelta | None = None  #: seen on end at warning or worse
    above_critical: timedelta | None = None
    below_warning: timedelta | None = None  #: seen on end better than warning
    below_critical: timedelta | None = None

    @property
    def member(self) -> bool:
        return self.tier is not Tier.NONE

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.member and self.above_warning is None


@dataclass(frozen=True, kw_only=True)
class NodeStep:
    """A node after one look, and what changed."""

    standing: NodeState
    event: Event | None = None


def step(
    standing: NodeState, seen: Tier, now: datetime, settings: Greylist, every: timedelta
) -> NodeStep:
    """The next standing of a node that was seen in the tier `seen`.

    Between two looks at most twice `every` counts: nobody knows what was in a longer pause.
    """
    if seen is Tier.UNKNOWN:
        return NodeStep(standing=replace(standing, at=None))
    passed = min(max(now - standing.at, NO_TIME), 2 * every) if standing.at else NO_TIME
    bad, worst = seen.rank >= Tier.WARNING.rank, seen is Tier.CRITICAL
    counted = replace(
        standing,
        at=now,
        above_warning=_on(standing.above_warning, bad, passed),
        above_critical=_on(standing.above_critical, worst, passed),
        below_warning=_on(standing.below_warning, not bad, passed),
        below_critical=_on(standing.below_critical, not worst, passed),
    )
    tier, event = _moved(counted, settings)
    if event is not None:
        counted = replace(counted, tier=tier, since=now if tier is not Tier.NONE else None)
    return NodeStep(standing=counted, event=event)


def _on(lasted: timedelta | None, seen: bool, passed: timedelta) -> timedelta | None:
    """The time on end; it begins with the first look that saw it."""
    if not seen:
        return None
    return NO_TIME if lasted is None else lasted + passed


def _moved(now: NodeState, settings: Greylist) -> tuple[Tier, Event | None]:
    if now.tier is not Tier.CRITICAL and _lasts(now.above_critical, settings.critical_after):
        return Tier.CRITICAL, Event.WORSENED if now.member else Event.JOINED
    if now.tier is Tier.NONE:
        joins = _lasts(now.above_warning, settings.join_after)
        return (Tier.WARNING, Event.JOINED) if joins else (Tier.NONE, None)
    if _lasts(now.below_warning, settings.leave_after):
        return Tier.NONE, Event.LEFT
    if now.tier is Tier.CRITICAL and _lasts(now.below_critical, settings.leave_after):
        return Tier.WARNING, Event.EASED
    return now.tier, None


def _lasts(lasted: timedelta | None, needed: timedelta) -> bool:
    return lasted is not None and lasted >= needed


def reminder_due(
    *, since: datetime, reminded_at: datetime | None, settled: bool, now: datetime, every: timedelta
) -> bool:
    """Whether people are to be told again of a member; never once it is settled."""
    return bool(every) and not settled and now - (reminded_at or since) >= every


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
