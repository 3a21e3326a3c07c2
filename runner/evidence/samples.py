"""What Prometheus tells: samples, series, rules and alerts. Frozen data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.evidence.lookback import lookback
from runner.incident import Labels


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of one series at one moment."""

    labels: Labels
    value: float  #: NaN when the value is not known or not a number

    @property
    def known(self) -> bool:
        """Whether there is a number; NaN is missing data, not a value."""
        return not math.isnan(self.value)


@dataclass(frozen=True, kw_only=True)
class Series:
    """The values of one series, oldest first; gaps are left out."""

    labels: Labels
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, kw_only=True)
class AlertingRule:
    """One alerting rule as the server has loaded it."""

    name: str
    query: str
    labels: Labels  #: as written, possibly templates
    duration: timedelta = timedelta()  #: `for`
    keep_firing: timedelta = timedelta()  #: `keep_firing_for`
    interval: timedelta = timedelta()  #: between evaluations of its group

    @property
    def lookback(self) -> timedelta:
        """How long the past can still make this rule fire, or keep it from firing."""
        return lookback(self.query) + self.duration + self.keep_firing + self.interval


@dataclass(frozen=True, kw_only=True)
class ActiveAlert:
    """One alert as Prometheus itself sees it."""

    labels: Labels
    state: str  #: pending or firing
    active_at: datetime
