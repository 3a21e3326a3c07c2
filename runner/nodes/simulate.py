"""Simulated nodes: seeded, healthy, degrading or failing, as the built-in signals would show them.

For the backtest, and for those who have no cluster. All nodes share the load of the day and of
the week; each has noise, compaction spikes, restarts and scrapes that are missing of its own. A
fate adds what is wrong with a node, which failing nodes have for a while before they fail, and
healthy ones live with: bursts, backups, disks that fill and are cleaned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from runner.nodes.backtest import History
from runner.nodes.trend import Values

DAY = 86400.0
SIGNALS = (
    "fsync_p99", "commit_p99", "fill", "quota", "disk_errors", "failed_proposals",
    "leader_changes", "memory", "clock_offset", "restarts", "network_errors",
)  # fmt: skip
Generator = np.random.Generator
Signals = dict[str, Values]


@dataclass(frozen=True, kw_only=True)
class Life:
    """One simulated node: its series by signal on a common grid, and when it fails."""

    node: str
    fate: str
    signals: Mapping[str, Values]
    onset: float | None = None  #: seconds from the start at which the degradation begins
    fails: float | None = None  #: seconds from the start


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a node; `shape` changes its signals in place."""

    shape: Callable[[Signals, Values, Generator], None]
    lead: tuple[float, float] | None = None  #: days from the first sign to the failure
    predictable: bool = True
    weight: int = 1  #: how often among its kind


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """All nodes of one simulation."""

    step: timedelta
    lives: tuple[Life, ...]
    days: float


def fleet(
    *, seed: int, healthy: int, failing: int, days: float, step: timedelta = timedelta(minutes=10)
) -> Fleet:
    """A simulated fleet; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, days * DAY, step.total_seconds())
    # What clients ask of the cluster, around 1: the day, the weekend, growth, some busy hours.
    day = 1 + 0.35 * np.sin(2 * np.pi * (times / DAY - 0.3))
    weekend = np.where((times // DAY) % 7 >= 5, 0.75, 1.0)
    growth = 1 + 0.1 * times / max(float(times[-1]), 1.0)
    busy = np.ones_like(times)
    for start in rng.uniform(0, times[-1], size=int(times[-1] / DAY / 5)):
        busy[(times >= start) & (times < start + rng.uniform(1, 4) * 3600)] *= 1.5
    load = day * weekend * growth * busy
    fates = [*_dealt(HEALTHY, healthy), *_dealt(FAILING, failing)]
    lives = [
        live(f"node{number:03}", fate, times, load, np.random.default_rng([seed, number]))
        for number, fate in enumerate(fates)
    ]
    return Fleet(step=step, lives=tuple(lives), days=days)


def history(simulated: Fleet, start: datetime = datetime(2026, 1, 5, tzinfo=UTC)) -> History:
    """The fleet as a history to run a backtest over."""
    lives = simulated.lives
    return History(
        start=start,
        step=simulated.step,
        series={life.node: life.signals for life in lives},
        failures={
            life.node: start + timedelta(seconds=life.fails)
            for life in lives
            if life.fails is not None
        },
        sudden=frozenset(life.node for life in lives if not FATES[life.fate].predictable),
    )


def live(node: str, fate: str, times: Values, load: Values, rng: Generator) -> Life:
    """One node's life. What comes after its failure is missing."""
    signals = _usual(times, load, rng)
    found = FATES[fate]
    onset = fails = None
    progress = np.zeros_like(times)
    if found.lead is not None:
        lead = rng.uniform(*found.lead) * DAY
        end = float(times[-1])
        fails = rng.uniform(max(0.4 * end, min(lead + 4 * DAY, 0.9 * end)), end)
        onset = max(0.0, fails - lead)
        progress = np.clip((times - onset) / (fails - onset), 0.0, 1.0)
    found.shape(signals, times if found.lead is None else progress, rng)
    # Scrapes that are missing: single ones, and hours of a Prometheus that was away.
    singles, hours = (0.2, 0.3) if fate == "gaps" else (0.01, 0.03)
    gone = rng.random(times.size) < singles
    for at in rng.uniform(0, times[-1], size=rng.poisson(hours * times[-1] / DAY)):
        gone |= (times >= at) & (times < at + rng.uniform(0.5, 5) * 3600)
    if fails is not None:
        gone |= times >= fails
    for values in signals.values():
        values[gone] = np.nan
        np.maximum(values, 0.0, out=values)
    return Life(node=node, fate=fate, signals=signals, onset=onset, fails=fails)


def _dealt(fates: Sequence[str], count: int) -> list[str]:
    """`count` fates, each as often as its weight says."""
    deck = [name for name in fates for _ in range(FATES[name].weight)]
    return [deck[number % len(deck)] for number in range(count)]


def _usual(times: Values, load: Values, rng: Generator) -> Signals:
    """The signals of a node with nothing wrong."""
    size = times.size

    def noisy(base: float, noise: float, share: float = 0.0) -> Values:
        found: Values = base * (1 - share + share * load) * np.exp(rng.normal(0, noise, size))
        return found

    signals = {
        "fsync_p99": noisy(rng.uniform(0.006, 0.02), 0.25, 0.6),
        "commit_p99": noisy(rng.uniform(0.012, 0.035), 0.25, 0.6),
        "fill": rng.uniform(0.35, 0.6) + 0.05 * times / DAY / 30 + rng.normal(0, 0.003, size),
        "quota": rng.uniform(0.2, 0.4) + 0.04 * _saw(times, 3600) + rng.normal(0, 0.003, size),
        "disk_errors": np.full(size, float(rng.choice([0, 0, 0, 1, 4]))),
        "failed_proposals": rng.poisson(0.02, size).astype(float),
        "leader_changes": (rng.random(size) < 0.0005).astype(float),
        "memory": rng.uniform(0.4, 0.65) + 0.06 * (load - 1) + rng.normal(0, 0.008, size),
        "clock_offset": np.abs(rng.normal(0, 0.001, size)),
        "restarts": np.zeros(size),
        "network_errors": rng.poisson(0.02, size).astype(float),
    }
    _spikes(signals, times, rng, per_day=3)
    for at in rng.uniform(0, times[-1], size=rng.poisson(times[-1] / DAY / 20)):
        _restart(signals, times, at)
    return signals


def _saw(times: Values, period: float) -> Values:
    found: Values = (times % period) / period
    return found


def _spikes(signals: Signals, times: Values, rng: Generator, per_day: float) -> None:
    """Compactions: the disk is slow for a few minutes to half an hour."""
    for at in rng.uniform(0, times[-1], size=rng.poisson(per_day * times[-1] / DAY)):
        during = (times >= at) & (times < at + rng.uniform(300, 1800))
        strength = rng.uniform(4, 30)
        signals["fsync_p99"][during] *= strength
        signals["commit_p99"][during] *= strength


def _restart(signals: Signals, times: Values, at: float) -> None:
    """One restart: counted for six hours; memory begins anew; no data for a quarter of an hour."""
    signals["restarts"][(times >= at) & (times < at + 6 * 3600)] += 1
    after = (times >= at) & (times < at + 3 * 3600)
    signals["memory"][after] -= 0.1 * (1 - (times[after] - at) / (3 * 3600))
    for values in signals.values():
        values[(times >= at) & (times < at + 900)] = np.nan


# Healthy fates: `shape` gets the times.


def _calm(signals: Signals, times: Values, rng: Generator) -> None:
    """Nothing beyond the usual, which is also all that is seen before a power supply dies."""


def _bursty(signals: Signals, times: Values, rng: Generator) -> None:
    """Batch jobs: spikes all day, some of an hour, and a disk near its warning bound meanwhile."""
    _spikes(signals, times, rng, per_day=20)
    for at in rng.uniform(0, times[-1], size=rng.poisson(times[-1] / DAY)):
        during = (times >= at) & (times < at + rng.uniform(900, 4500))
        signals["fsync_p99"][during] *= rng.uniform(3, 20)
        signals["fill"][during] += rng.uniform(0.05, 0.3)
        signals["network_errors"][during] += rng.poisson(5, int(during.sum()))


def _backup(signals: Signals, times: Values, rng: Generator) -> None:
    """Each night, for an hour and a half, the disk is slow and memory full."""
    during = (times / 3600 + rng.uniform(0, 24)) % 24 < 1.5
    signals["fsync_p99"][during] *= 6
    signals["commit_p99"][during] *= 5
    signals["memory"][during] += 0.2


def _sawtooth(signals: Signals, times: Values, rng: Generator) -> None:
    """A disk that fills for days and is cleaned, again and again, below its warning bound."""
    period = rng.uniform(3, 9) * DAY
    signals["fill"] += (0.77 - float(np.nanmax(signals["fill"]))) * _saw(times, period)


def _leaning(signals: Signals, times: Values, rng: Generator) -> None:
    """Slower than its peers for good since some day: older hardware, a new tenant."""
    later = times > rng.uniform(0.2, 0.8) * times[-1]
    signals["fsync_p99"][later] *= 1.7
    signals["commit_p99"][later] *= 1.7
    signals["memory"][later] += 0.08


def _near(signals: Signals, times: Values, rng: Generator) -> None:
    """Close to its warning bounds all the time, and never past them for long."""
    signals["fsync_p99"] *= 0.065 / float(np.nanmedian(signals["fsync_p99"]))
    signals["fill"] += 0.74 - float(np.nanmedian(signals["fill"]))
    signals["memory"] += 0.80 - float(np.nanmedian(signals["memory"]))


def _upgraded(signals: Signals, times: Values, rng: Generator) -> None:
    """Upgraded every week, with two restarts each."""
    for week in np.arange(rng.uniform(0, 7) * DAY, times[-1], 7 * DAY):
        for at in (week, week + 1800):
            _restart(signals, times, float(at))


# Failing fates: `shape` gets the progress from 0, the first sign, to 1, the failure.


def _wearing_disk(signals: Signals, progress: Values, rng: Generator) -> None:
    """Latency grows faster and faster, in bursts, and bad sectors with it."""
    worse = np.exp(progress * np.log(rng.uniform(60, 150)))
    bursts = np.where(rng.random(progress.size) < 0.2 * progress, rng.uniform(1, 4), 1.0)
    signals["fsync_p99"] *= worse * bursts
    signals["commit_p99"] *= np.sqrt(worse) * bursts
    signals["disk_errors"] += np.floor(rng.uniform(50, 400) * progress**3)
    signals["failed_proposals"] += rng.poisson(6 * progress**4)


def _filling_disk(signals: Signals, progress: Values, rng: Generator) -> None:
    """Fills until it is full."""
    signals["fill"] += (1.0 - signals["fill"]) * progress
    signals["fsync_p99"] *= 1 + progress**4


def _leaking(signals: Signals, progress: Values, rng: Generator) -> None:
    """Memory leaks, and is slower at the end."""
    signals["memory"] += (1.0 - signals["memory"]) * progress
    signals["fsync_p99"] *= 1 + 3 * progress**6


def _drifting(signals: Signals, progress: Values, rng: Generator) -> None:
    """The clock drifts away and leaders change for it."""
    signals["clock_offset"] += rng.uniform(0.8, 2) * progress**1.5
    signals["leader_changes"] += rng.poisson(1.5 * progress**2)


def _bad_link(signals: Signals, progress: Values, rng: Generator) -> None:
    """Errors on the wire, proposals that fail, leaders that change."""
    signals["network_errors"] += rng.poisson(40 * progress**1.5)
    signals["failed_proposals"] += rng.poisson(15 * progress**1.5)
    signals["leader_changes"] += rng.poisson(6 * progress**2)


def _crashing(signals: Signals, progress: Values, rng: Generator) -> None:
    """The process dies ever more often."""
    signals["restarts"] += np.floor(12 * progress**2 + rng.random(progress.size) * progress)
    signals["memory"] -= 0.1 * progress


def _growing_data(signals: Signals, progress: Values, rng: Generator) -> None:
    """The database grows to its quota."""
    signals["quota"] += (1.0 - signals["quota"]) * progress


FATES: dict[str, Fate] = {
    "calm": Fate(shape=_calm, weight=3),
    "bursty": Fate(shape=_bursty, weight=2),
    "backup": Fate(shape=_backup),
    "sawtooth": Fate(shape=_sawtooth),
    "leaning": Fate(shape=_leaning),
    "near": Fate(shape=_near),
    "upgraded": Fate(shape=_upgraded),
    "gaps": Fate(shape=_calm),
    "wearing_disk": Fate(shape=_wearing_disk, lead=(1.5, 14), weight=3),
    "dying_disk": Fate(shape=_wearing_disk, lead=(0.25, 1), weight=2),
    "filling_disk": Fate(shape=_filling_disk, lead=(2, 20), weight=2),
    "filling_fast": Fate(shape=_filling_disk, lead=(0.3, 1)),
    "leaking": Fate(shape=_leaking, lead=(0.5, 8), weight=2),
    "drifting": Fate(shape=_drifting, lead=(0.5, 6)),
    "bad_link": Fate(shape=_bad_link, lead=(0.5, 5), weight=2),
    "crashing": Fate(shape=_crashing, lead=(0.5, 4)),
    "growing_data": Fate(shape=_growing_data, lead=(1, 12)),
    "sudden": Fate(shape=_calm, lead=(0.01, 0.02), predictable=False, weight=2),
}
HEALTHY = tuple(name for name, fate in FATES.items() if fate.lead is None)
FAILING = tuple(name for name, fate in FATES.items() if fate.lead is not None)
