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
    if state.phase in (Phase.QUIET, Phase.PENDING):
        return _toward_firing(state, passed, now, watch) if bad else WatchStep(state=WatchState())
    if bad:
        return WatchStep(state=replace(state, phase=Phase.FIRING, lasted=timedelta()))
    return _toward_quiet(state, passed, watch)


def _toward_firing(state: WatchState, passed: timedelta, now: datetime, watch: Watch) -> WatchStep:
    lasted = state.lasted + passed if state.phase is Phase.PENDING else timedelta()
    state = replace(state, lasted=lasted, starts_at=state.starts_at or now)
    if lasted < watch.for_:
        return WatchStep(state=replace(state, phase=Phase.PENDING))
    state = replace(state, phase=Phase.FIRING, lasted=timedelta())
    return WatchStep(state=state, event=AlertStatus.FIRING)


def _toward_quiet(state: WatchState, passed: timedelta, watch: Watch) -> WatchStep:
    lasted = state.lasted + passed if state.phase is Phase.CLEARING else timedelta()
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
        done = step(states.get(key, WatchState()), key in sighted, now, watch)
        state = done.state
        if done.event is AlertStatus.FIRING:
            state = replace(state, alert=_firing(watch, key, sighted[key], state.starts_at or now))
        if done.event is not None:
            alerts.extend(_delivered(states.get(key), state, now))
        if state.phase is not Phase.QUIET:
            kept[key] = state
    return Evaluation(states=kept, alerts=tuple(alerts))


def _delivered(before: WatchState | None, after: WatchState, now: datetime) -> list[Alert]:
    """The alert of an event: the new one when it fires, the old one, ended, when it clears."""
    if after.alert is not None:
        return [after.alert]
    if before is None or before.alert is None:
        return []
    ended = replace(before.alert, status=AlertStatus.RESOLVED, ends_at=_to_millisecond(now))
    return [ended]


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


def _firing(watch: Watch, key: str, sighting: Sighting, starts_at: datetime) -> Alert:
    return Alert(
        fingerprint=key,
        status=AlertStatus.FIRING,
        labels=sighting.labels,
        annotations={"seen": storable(brief(sighting.seen, 200)), **watch.annotations},
        starts_at=_to_millisecond(starts_at),
        source="watch",
    )


def _to_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
