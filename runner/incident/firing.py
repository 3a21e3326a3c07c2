"""Our own record of when one alert fires: a pure function of the messages about it.

An activation is one continuous firing. It begins when a message says so and ends when one says
that it resolved, by our clock and in our order. `startsAt` and `endsAt` of the sender tell
which message belongs to which firing; they never decide which of two messages is newer, and a
time that our clock has not reached counts as the time of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runner.incident import Alert, Incident, State

#: How far clocks of different machines may be apart.
CLOCK_SKEW = timedelta(minutes=5)
#: How many `startsAt` of one alert are remembered, of those that fire and of those that ended.
REMEMBERED = 20
#: A pause between two messages says nothing below this: peers and retries come in pairs.
SHORTEST_PAUSE = timedelta(minutes=5)
#: No pause counts as longer, so that a single late message does not make us deaf.
LONGEST_PAUSE = timedelta(days=1)
#: Incidents an hour that one alert may open while no message says that it resolved between.
MOST_PER_HOUR = 6
#: When an alert that opened so many is looked at again.
WAIT = timedelta(minutes=10)
#: An alert that goes on firing is looked at again after 1, 2, 4 … times the setting, at most this.
SELDOM = timedelta(days=1)

#: What a message without a usable `startsAt` is remembered by.
UNDATED = ""


@dataclass(frozen=True, kw_only=True)
class Firing:
    """What we know of one alert, by its fingerprint."""

    fingerprint: str
    #: `startsAt` of each message that said it fires and that none ended → when that began, as
    #: far as the sender's clock can be believed; empty when it does not fire
    told: Mapping[str, datetime] = field(default_factory=dict)
    ended: tuple[str, ...] = ()  #: `startsAt` of what was told as resolved, the newest last
    quiet_at: datetime | None = None  #: when it was last told not to fire
    heard_at: datetime | None = None  #: when it was last told, or listed, as firing
    listed_at: datetime | None = None  #: when Alertmanager last listed it
    pause: timedelta = timedelta()  #: the longest one between two messages of one activation
    gone: bool = False  #: Alertmanager listed it, and lists it no more
    looks: int = 0  #: how often this activation was looked at again
    again_at: datetime | None = None  #: when to look although no message comes

    @property
    def fires(self) -> bool:
        return bool(self.told)


class Admission(StrEnum):
    """What a message that an alert fires leads to."""

    OPEN = "open"  #: a new activation, and so an incident of its own
    AGAIN = "again"  #: the same one, which ended without being fixed: another incident
    WAIT = "wait"  #: it opened too many of late; it is looked at again by itself
    KNOWN = "known"  #: the incident that there is handles it


@dataclass(frozen=True, kw_only=True)
class Handled:
    """The newest incident of an alert, as far as it matters here."""

    incident: Incident
    ended_at: datetime | None = None  #: None while it is open, or waits for the one it joined
    lately: int = 0  #: incidents of the alert in the last hour


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The record after a message, what it leads to, and why."""

    record: Firing
    step: Admission
    reason: str = ""
    late: bool = False  #: another message said before that this firing is over


def mark(alert: Alert) -> str:
    """What messages of the same firing have in common."""
    if alert.pair:
        return f"id {alert.pair}"
    return UNDATED if alert.undated else alert.starts_at.isoformat()


def ahead(alert: Alert, now: datetime) -> timedelta | None:
    """How far `startsAt` is in the future, when two clocks cannot explain it."""
    passed = alert.starts_at - now
    return passed if passed > CLOCK_SKEW else None


def _began(alert: Alert, now: datetime) -> datetime:
    return now if alert.undated or ahead(alert, now) else alert.starts_at


def hear(
    record: Firing, alert: Alert, now: datetime, *, handled: Handled | None, look_again: timedelta
) -> Heard:
    """What follows from a message that the alert fires."""
    late = mark(alert) in record.ended or (
        record.quiet_at is not None and _began(alert, now) < record.quiet_at
    )
    if handled is None or not record.fires:
        return _opened(record, alert, now, "", late=late)
    if handled.ended_at is None:
        # One that is late says nothing new of an alert that fires anyway.
        return Heard(record=record if late else _told(record, alert, now), step=Admission.KNOWN)
    why = _over(record, alert, now, handled)
    if why and handled.lately >= MOST_PER_HOUR:
        waiting = replace(_told(record, alert, now), again_at=record.again_at or now + WAIT)
        return Heard(record=waiting, step=Admission.WAIT)
    if why:
        return _opened(record, alert, now, why, late=late)
    # How long after its end an incident on an alert that fires on stays the last one.
    times: int = 2 ** min(record.looks, 16)
    if now - handled.ended_at >= min(look_again * times, max(SELDOM, look_again)):
        again = replace(_told(record, alert, now), looks=record.looks + 1)
        why = f"incident {handled.incident.id} ended {handled.incident.state}, and it still fires"
        return Heard(record=again, step=Admission.AGAIN, reason=why)
    return Heard(record=_told(record, alert, now), step=Admission.KNOWN)


def _over(record: Firing, alert: Alert, now: datetime, handled: Handled) -> str:
    """Why the activation of an incident that ended is over; nothing when it may go on."""
    number = handled.incident.id
    if handled.incident.state is State.RESOLVED:
        # No message said so: Alertmanager did not have it. Who tells of it again knows better.
        return f"incident {number} took the alert as resolved, and it arrived again"
    if mark(alert) not in record.told:
        what = "the sender's id" if alert.pair else "its startsAt"
        return f"{what} changed after incident {number} ended"
    if record.gone:
        return f"Alertmanager stopped listing it after incident {number} ended"
    if (
        record.heard_at
        and record.pause
        and now - record.heard_at > 2 * max(record.pause, SHORTEST_PAUSE)
    ):
        return f"no delivery for unusually long after incident {number} ended"
    return ""


def _opened(record: Firing, alert: Alert, now: datetime, why: str, *, late: bool) -> Heard:
    fresh = replace(
        _told(record, alert, now),
        told={mark(alert): _began(alert, now)},
        looks=0,
        again_at=None,
    )
    return Heard(record=fresh, step=Admission.OPEN, reason=why, late=late)


def _told(record: Firing, alert: Alert, now: datetime) -> Firing:
    """The record with one more message that it fires."""
    told = {mark(alert): _began(alert, now), **record.told}
    kept = sorted(told, key=lambda each: (told[each], each))[-REMEMBERED:]
    pause = record.pause
    if record.fires and record.heard_at is not None:
        pause = min(max(pause, now - record.heard_at), LONGEST_PAUSE)
    heard_at = max(record.heard_at or now, now)
    return replace(
        record,
        told={each: told[each] for each in kept},
        heard_at=heard_at,
        pause=pause,
        gone=False,
    )


def resolve(record: Firing, alert: Alert, now: datetime) -> Firing:
    """The record after a message that the alert resolved; it may fire on.

    Such a message ends the firing of its own `startsAt`, and every one that began before it
    says that the alert was over: at that moment it did not fire. One that came too late ends
    nothing that began since.
    """
    over = alert.ends_at if alert.ends_at and alert.ends_at <= now + CLOCK_SKEW else None
    if over is None and alert.undated:
        over = now
    ends = {
        each
        for each, began in record.told.items()
        if each == mark(alert) or (over is not None and began <= over)
    }
    ended = [each for each in record.ended if each not in ends and each != mark(alert)]
    remembered = [*ended, *sorted(ends - {mark(alert)}), mark(alert)]
    told = {each: began for each, began in record.told.items() if each not in ends}
    return replace(
        record,
        told=told,
        ended=tuple(each for each in remembered if each != UNDATED)[-REMEMBERED:],
        quiet_at=max(filter(None, (record.quiet_at, over)), default=None),
        again_at=record.again_at if told else None,
    )


def listed(records: Iterable[Firing], now: datetime) -> list[Firing]:
    """These records, which Alertmanager lists as firing: that is as good as a message."""
    return [
        replace(each, listed_at=now, heard_at=max(each.heard_at or now, now), gone=False)
        for each in records
    ]
