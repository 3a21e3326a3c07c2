"""From series to a tier: none, warning, critical or unknown, with reasons. Pure.

The rules are monotone: what is worse is never judged better. A signal that should be there and
is not makes a node unknown, never none (invariant 10).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from runner.config import Nodes, Signal
from runner.nodes import trend
from runner.nodes.tier import Tier
from runner.nodes.trend import Values
from runner.text.duration import write

ODD = 5.0  #: spreads by which a level must leave its own past and its peers to be odd
ODD_SHARE = 0.6  #: of the way to the warning bound that an odd level must have gone
#: Of a bound, or of the way between the two if that is less: so far below it a tier is left.
EASE = 0.15
FLOOR = 0.01  #: of the way between the bounds: no spread counts as less
NEAR_RISE = 0.05  #: of the way to the critical bound that a trend must have gone in the window
LONGEST = timedelta(days=365)  #: further ahead nothing is said


@dataclass(frozen=True, kw_only=True)
class SignalTier:
    """What one signal of one node says."""

    signal: str
    tier: Tier
    reason: str  #: a sentence
    weight: float = 1.0
    level: float | None = None  #: now, in the signal's unit
    expected: timedelta | None = None  #: until the critical bound
    soonest: timedelta | None = None
    latest: timedelta | None = None  #: None when the interval has no end


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How one node stands, by whom, and from what."""

    node: str
    tier: Tier
    reasons: tuple[str, ...]
    findings: tuple[SignalTier, ...] = ()
    expected: timedelta | None = None  #: until it fails
    soonest: timedelta | None = None
    latest: timedelta | None = None
    by: str = "rules"  #: or model


@dataclass(frozen=True)
class Scale:
    """The settings that turn points into time."""

    step: timedelta
    recent: int  #: points
    warning_within: float  #: points
    critical_within: float  #: points

    @classmethod
    def of(cls, nodes: Nodes) -> Scale:
        return cls(
            step=nodes.step,
            recent=max(2, round(nodes.recent / nodes.step)),
            warning_within=nodes.warning_within / nodes.step,
            critical_within=nodes.critical_within / nodes.step,
        )

    def points(self, nodes: Nodes) -> int:
        """How many points the window has."""
        return round(nodes.window / self.step)


@dataclass(frozen=True)
class _Sign:
    """A signal as if more were worse, its bounds eased for the tier that the node is held in."""

    signal: Signal
    turn: float
    warning: float
    critical: float
    span: float

    @classmethod
    def of(cls, signal: Signal, held: Tier) -> _Sign:
        turn = 1.0 if signal.direction == "up" else -1.0
        warning, critical = turn * signal.warning, turn * signal.critical
        span = critical - warning
        if held in (Tier.WARNING, Tier.CRITICAL):
            warning -= EASE * min(span, abs(warning) or span)
        if held is Tier.CRITICAL:
            critical -= EASE * min(span, abs(critical) or span)
        return cls(signal, turn, warning, critical, span)


def classify(
    node: str,
    series: Mapping[str, Values],
    peers: Mapping[str, Sequence[float]],
    signals: Sequence[Signal],
    scale: Scale,
    held: Tier = Tier.NONE,
) -> Prediction:
    """The prediction for one node from its series by signal and the levels of its peers.

    `held` is the tier that the node is in: to leave it takes more than to stay out of it. A
    signal with no series at all is one that no node has; it is left out.
    """
    findings = tuple(
        judge(signal, series[signal.name], peers.get(signal.name, ()), scale, held)
        for signal in signals
        if signal.name in series
    )
    return combine(node, findings, signals)


def combine(node: str, findings: Sequence[SignalTier], signals: Sequence[Signal]) -> Prediction:
    """The tier whose signals weigh 1 together; unknown when none does and one is missing."""
    optional = {signal.name for signal in signals if signal.optional}
    tier = Tier.NONE
    for worse in (Tier.WARNING, Tier.CRITICAL):
        if math.fsum(f.weight for f in findings if f.tier.rank >= worse.rank) >= 1 - 1e-9:
            tier = worse
    missing = [f for f in findings if f.tier is Tier.UNKNOWN and f.signal not in optional]
    if tier is Tier.NONE and (missing or not any(f.level is not None for f in findings)):
        tier = Tier.UNKNOWN
    telling = [f for f in findings if f.tier in (Tier.WARNING, Tier.CRITICAL)]
    first = min(
        (f for f in telling if f.expected is not None),
        key=lambda f: f.expected or timedelta(),
        default=None,
    )
    gives_time = tier in (Tier.WARNING, Tier.CRITICAL) and first is not None
    worst_first = sorted(telling, key=lambda f: -f.tier.rank)
    said = [f.reason for f in (*worst_first, *missing)]
    if not said:
        said = ["No signal is known." if tier is Tier.UNKNOWN else "No signal is out of bounds."]
    return Prediction(
        node=node,
        tier=tier,
        reasons=tuple(said),
        findings=tuple(findings),
        expected=first.expected if first and gives_time else None,
        soonest=first.soonest if first and gives_time else None,
        latest=first.latest if first and gives_time else None,
    )


def judge(
    signal: Signal, values: Values, peers: Sequence[float], scale: Scale, held: Tier = Tier.NONE
) -> SignalTier:
    """What one series says; `peers` are the levels of the same signal on the other nodes."""
    sign = _Sign.of(signal, held)
    turned = values if sign.turn > 0 else -values
    now = trend.level(turned, scale.recent)
    if now is None:
        there = np.flatnonzero(np.isfinite(values))
        why = "no data in the whole window"
        if there.size:
            gap = (values.size - 1 - int(there[-1])) * scale.step
            why = f"no data for {brief(gap)}" if gap > scale.step else "too many gaps of late"
        reason = f"{signal.name} is unknown: {why}."
        return SignalTier(
            signal=signal.name, tier=Tier.UNKNOWN, reason=reason, weight=signal.weight
        )
    look = _Look.of(sign, turned, now, scale)
    ahead = look.ahead()
    tier, why = _graded(look, ahead, [sign.turn * other for other in peers])
    return _finding(sign, now, ahead, tier, why, scale)


@dataclass(frozen=True)
class _Look:
    """One series as it is judged: where it is now, and how far it came from its past."""

    sign: _Sign
    turned: Values
    now: float
    past: Values | None
    moved: float  #: above the median of the past; 0 when there is too little of it
    scale: Scale

    @classmethod
    def of(cls, sign: _Sign, turned: Values, now: float, scale: Scale) -> _Look:
        past = trend.past(turned, scale.recent)
        moved = now - trend.median(past) if past is not None else 0.0
        return cls(sign, turned, now, past, moved, scale)

    def ahead(self) -> trend.Reach | None:
        """When a steady trend gets to the critical bound; None when none does soon.

        A line is only fitted, which costs time, where one could matter: where the way that the
        level came in half a window brings it to the bound within a few times the horizon.
        """
        if self.moved <= FLOOR * self.sign.span:
            return None
        gap = self.sign.critical - self.now
        if gap * self.turned.size / 2 > 4 * self.scale.warning_within * self.moved:
            return None
        line = trend.trend(self.turned)
        if line is None or not line.steady:
            return None
        return trend.reach(self.now, line, self.sign.critical)

    def came(self, share: float, bound: float) -> bool:
        """Whether it came at least this share of its way from its past to a bound."""
        return self.past is not None and self.moved >= share * (bound - (self.now - self.moved))

    def is_odd(self, others: Sequence[float]) -> bool:
        """Whether it left both its own past and its peers, far enough to matter."""
        if self.past is None or not self.came(ODD_SHARE, self.sign.warning):
            return False
        floor = FLOOR * self.sign.span
        if self.moved < ODD * max(trend.spread(self.past), floor):
            return False
        away = trend.apart(self.now, others, floor)
        return away is not None and away >= ODD


def _graded(look: _Look, ahead: trend.Reach | None, others: Sequence[float]) -> tuple[Tier, str]:
    """(the worst tier that any rule gives, why)."""
    if look.now >= look.sign.critical:
        return Tier.CRITICAL, "is past its critical bound"
    soon = ahead.expected if ahead is not None else math.inf
    if look.now >= look.sign.warning:
        if soon <= look.scale.critical_within:
            return Tier.CRITICAL, "is past its warning bound and rises toward the critical one"
        return Tier.WARNING, "is past its warning bound"
    if soon <= look.scale.warning_within and look.came(NEAR_RISE, look.sign.critical):
        return Tier.WARNING, "moves toward its critical bound"
    if look.is_odd(others):
        return Tier.WARNING, "has left both its own past and its peers"
    return Tier.NONE, "is within its bounds"


def _finding(
    sign: _Sign, now: float, ahead: trend.Reach | None, tier: Tier, why: str, scale: Scale
) -> SignalTier:
    signal = sign.signal
    level = sign.turn * now
    unit = f" {signal.unit}" if signal.unit else ""
    furthest = LONGEST.total_seconds()
    expected: timedelta | None = None
    soonest: timedelta | None = None
    latest: timedelta | None = None
    if now >= sign.critical:
        expected = soonest = latest = timedelta()
    elif ahead is not None:
        expected, soonest, latest = (
            points * scale.step if points * scale.step.total_seconds() < furthest else None
            for points in (ahead.expected, ahead.soonest, ahead.latest)
        )
    when = ""
    if expected:
        until = f"{brief(soonest)} to {brief(latest)}" if soonest and latest else "or much later"
        when = f"; there in {brief(expected)} ({until})"
    bounds = f"warning {signal.warning:g}, critical {signal.critical:g}"
    said = f"{signal.name} {why}: {level:.3g}{unit}, {bounds}{when}."
    return SignalTier(
        signal=signal.name,
        tier=tier,
        reason=said,
        weight=signal.weight,
        level=level,
        expected=expected,
        soonest=soonest,
        latest=latest,
    )


def brief(span: timedelta) -> str:
    """A duration in its two largest units."""
    seconds = span.total_seconds()
    unit = next((size for size in (3600, 60, 1) if seconds >= 48 * size), 1)
    return write(timedelta(seconds=seconds // unit * unit))


def levels(series: Mapping[str, Mapping[str, Values]], scale: Scale) -> dict[str, dict[str, float]]:
    """Signal → node → level now, of those that are known; peers are compared by it."""
    found: dict[str, dict[str, float]] = {}
    for node, by_signal in series.items():
        for name, values in by_signal.items():
            if (now := trend.level(values, scale.recent)) is not None:
                found.setdefault(name, {})[node] = now
    return found


def classify_all(
    series: Mapping[str, Mapping[str, Values]],
    signals: Sequence[Signal],
    scale: Scale,
    held: Callable[[str], Tier] = lambda node: Tier.NONE,
) -> tuple[Prediction, ...]:
    """The prediction for every node, each compared with all the others."""
    now = levels(series, scale)
    return tuple(
        classify(
            node,
            by_signal,
            {name: [v for n, v in of.items() if n != node] for name, of in now.items()},
            signals,
            scale,
            held(node),
        )
        for node, by_signal in series.items()
    )
