"""Trouble that the runner finds by itself: when a watch fires, and when it clears.

Everything here is a pure function of what was seen and when. A source that
cannot be read says nothing: it neither fires nor clears, and its time counts
for neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runner.config import Watch
from runner.incident import Alert, AlertStatus, Labels
from runner.intake.fingerprint import fingerprint
from runner.intake.payload import MAX_LABEL, cut_values
from runner.text import brief, storable

MAX_SERIES = 1_000  #: label sets that one watch may follow


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One label set that is in trouble now, as one evaluation saw it."""

    labels: Labels
    seen: str  #: what was seen, for people: `HTTP 503`, `value 0.97`


class Phase(StrEnum):
    """Where one label set of one watch stands."""

    QUIET = "quiet"  #: nothing seen
    PENDING = "pending"  #: in trouble, not yet for long enough
    FIRING = "firing"  #: the alert has been delivered
    CLEARING = "clearing"  #: firing, but healthy, not yet for long enough


@dataclass(frozen=True, kw_only=True)
class WatchState:
    """What is remembered of one label set between evaluations."""

    phase: Phase = Phase.QUIET
    at: datetime | None = None  #: of the last evaluation
    lasted: timedelta = timedelta()  #: seen so far in PENDING or CLEARING
    starts_at: datetime | None = None  #: when the trouble was first seen
    alert: Alert | None = None  #: what was delivered, while FIRING or CLEARING


@dataclass(frozen=True, kw_only=True)
class WatchStep:
    """The outcome of one evaluation of one label set."""

    state: WatchState
    event: AlertStatus | None = None  #: what to deliver now, if anything


def step(state: WatchState, bad: bool | None, now: datetime, watch: Watch) -> WatchStep:
    """The next state, given that the label set is in trouble, is not, or is unknown (None).

    Trouble counts once it was seen for `for` on end; health counts once it was
    seen for `clear_after` on end. Time that nobody looked at does not count: around
    an unknown evaluation, and beyond the pause that two evaluations may have.
    """
    if bad is None:
        return WatchStep(state=replace(state, at=None))
    longest = 2 * watch.every + watch.timeout
    passed = min(max(now - state.at, timedelta()), longest) if state.at else timedelta()
    state = replace(state, at=now)
    lasted = timedelta()  # unless it is one of the two phases that take their time
    if state.phase in (Phase.PENDING, Phase.CLEARING):
        lasted = state.lasted + passed
    fires = replace(state, phase=Phase.FIRING, lasted=timedelta())
    match state.phase, bad:
        case ((Phase.QUIET | Phase.PENDING), False):
            return WatchStep(state=WatchState())
        case ((Phase.QUIET | Phase.PENDING), True):
            begun = state.starts_at or now
            if lasted >= watch.for_:
                fired = replace(fires, starts_at=begun)
                return WatchStep(state=fired, event=AlertStatus.FIRING)
            pending = replace(state, phase=Phase.PENDING, lasted=lasted, starts_at=begun)
            return WatchStep(state=pending)
        case _, True:
            return WatchStep(state=fires)
    if lasted < watch.clear_after:
        return WatchStep(state=replace(state, phase=Phase.CLEARING, lasted=lasted))
    return WatchStep(state=WatchState(), event=AlertStatus.RESOLVED)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All label sets of one watch after one evaluation, and the alerts to deliver."""

    states: Mapping[str, WatchState] = field(default_factory=dict)  #: by fingerprint
    alerts: tuple[Alert, ...] = ()


def evaluate(
    watch: Watch,
    states: Mapping[str, WatchState],
    sightings: Iterable[Sighting] | None,
    now: datetime,
) -> Evaluation:
    """Step every label set of `watch`: those sighted, and those remembered.

    `sightings` is None when the source could not be read. Quiet label sets are
    forgotten, so memory is bounded by what is in trouble.
    """
    if sightings is None:
        held = {key: step(state, None, now, watch).state for key, state in states.items()}
        return Evaluation(states=held)
    # By fingerprint of the alert; two that differ only in what the watch overrides are one.
    named = [replace(one, labels=_labels(watch, one.labels)) for one in sightings]
    sighted = {fingerprint(one.labels): one for one in named}
    kept: dict[str, WatchState] = {}
    alerts: list[Alert] = []
    for key in sorted({*states, *sighted}):
        before = states.get(key, WatchState())
        done = step(before, key in sighted, now, watch)
        state = done.state
        if done.event is AlertStatus.FIRING:
            seen = storable(brief(sighted[key].seen, 200))
            alert = Alert(
                fingerprint=key,
                status=AlertStatus.FIRING,
                labels=sighted[key].labels,
                annotations={"seen": seen, **watch.annotations},
                starts_at=_to_millisecond(state.starts_at or now),
                source="watch",
            )
            state = replace(state, alert=alert)
            alerts.append(alert)
        elif done.event is AlertStatus.RESOLVED and before.alert is not None:
            ended = _to_millisecond(now)
            alerts.append(replace(before.alert, status=AlertStatus.RESOLVED, ends_at=ended))
        if state.phase is not Phase.QUIET:
            kept[key] = state
    return Evaluation(states=kept, alerts=tuple(alerts))


def remembered(alerts: Iterable[Alert]) -> dict[str, WatchState]:
    """The states to begin with after a restart, from alerts that were firing before it.

    Without them an alert that cleared while we were down would never be resolved.
    """
    return {
        alert.fingerprint: WatchState(phase=Phase.FIRING, starts_at=alert.starts_at, alert=alert)
        for alert in alerts
    }


def _labels(watch: Watch, seen: Labels) -> Labels:
    """The labels of the alert; what the configuration says wins, as in Prometheus rules."""
    labels = {name: value for name, value in seen.items() if name != "__name__"}
    labels |= watch.labels
    labels["alertname"] = watch.name
    whole = {storable(name): storable(value) for name, value in labels.items() if value}
    return cut_values(whole, MAX_LABEL)


def _to_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
