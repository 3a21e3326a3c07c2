"""How good predictions would have been: the same rules and the same greylist over history.

An alarm is one stay on the greylist. It is right when the node fails while it stands, false when
the node leaves the greylist by itself, and open when history ends first. A failing node is found
when an alarm stands at its failure; its lead is how long that alarm had stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runner.config import Nodes, Signal
from runner.nodes import greylist
from runner.nodes.classify import Scale, classify_all
from runner.nodes.greylist import Event, NodeState
from runner.nodes.tier import Tier
from runner.nodes.trend import Values

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class History:
    """Series of a fleet on one grid, and which node failed when."""

    start: datetime
    step: timedelta
    series: Mapping[str, Mapping[str, Values]]  #: node → signal → values
    failures: Mapping[str, datetime] = field(default_factory=dict)
    sudden: frozenset[str] = frozenset()  #: nodes that are known to have failed without a sign

    @property
    def points(self) -> int:
        return max((v.size for of in self.series.values() for v in of.values()), default=0)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One stay on the greylist."""

    node: str
    joined: datetime
    ended: datetime | None  #: None when it stood at the end of history
    critical: datetime | None = None  #: when it became critical, if it did
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of one backtest."""

    nodes: int
    node_days: float
    failures: int
    found: int
    found_critical: int
    sudden: int  #: failures that are known to have had no sign; part of `failures`
    found_sudden: int
    leads: tuple[timedelta, ...]  #: of every failure that was found, the shortest first
    alarms: int
    right: int
    false: int
    open: int
    false_criticals: int
    moves: int  #: joins and leaves of nodes that did not fail
    healthy_days: float
    flapping: tuple[str, ...]  #: nodes that joined more than twice within a week
    found_nodes: frozenset[str]
    missed: tuple[str, ...]  #: nodes that failed unseen, though not without a sign

    @property
    def precision(self) -> float | None:
        """Right alarms of those that ended."""
        ended = self.right + self.false
        return self.right / ended if ended else None

    @property
    def recall(self) -> float | None:
        """Failures found, of all."""
        return self.found / self.failures if self.failures else None

    @property
    def recall_of_signs(self) -> float | None:
        """Failures found, of those that had a sign."""
        signs = self.failures - self.sudden
        return (self.found - self.found_sudden) / signs if signs else None

    @property
    def median_lead(self) -> timedelta | None:
        return self.leads[len(self.leads) // 2] if self.leads else None

    @property
    def shortest_lead(self) -> timedelta | None:
        return min(self.leads, default=None)

    @property
    def false_criticals_per_1000(self) -> float:
        """False criticals in a thousand node-days."""
        return 1000 * self.false_criticals / self.node_days if self.node_days else 0.0

    @property
    def moves_per_week(self) -> float:
        """Joins and leaves of a node that does not fail, in a week."""
        return 7 * self.moves / self.healthy_days if self.healthy_days else 0.0


def run(
    history: History,
    signals: Sequence[Signal],
    nodes: Nodes,
    progress: Callable[[float], object] = lambda share: None,
) -> Report:
    """Predict at every `nodes.every` of history, as the runner would have done."""
    scale = Scale.of(nodes)
    window, stride = scale.points(nodes), max(1, round(nodes.every / history.step))
    standings = dict.fromkeys(history.series, NodeState())
    watching = _Watching(history)
    last = history.points
    for end in range(min(window // 3, last), last + 1, stride):
        now = history.start + history.step * (end - 1)
        alive = [n for n in history.series if now < history.failures.get(n, NEVER)]
        watching.fail(now)
        began = max(0, end - window)
        windows = {
            node: {name: values[began:end] for name, values in history.series[node].items()}
            for node in alive
        }
        seen = classify_all(windows, signals, scale, lambda node: standings[node].tier)
        for one in seen:
            done = greylist.step(standings[one.node], one.tier, now, nodes.greylist, nodes.every)
            standings[one.node] = done.standing
            watching.note(one.node, now, done)
        progress(end / last)
    watching.fail(NEVER)
    return _report(history, watching.alarms, history.step * max(0, last - window // 3))


class _Watching:
    """Alarms as they begin and end."""

    def __init__(self, history: History) -> None:
        self._failures = sorted(history.failures.items(), key=lambda item: item[1])
        self._open: dict[str, Alarm] = {}
        self._ended: list[Alarm] = []

    def note(self, node: str, now: datetime, done: greylist.NodeStep) -> None:
        critical = now if done.standing.tier is Tier.CRITICAL else None
        if done.event is Event.JOINED:
            self._open[node] = Alarm(node=node, joined=now, ended=None, critical=critical)
        elif done.event is Event.WORSENED:
            alarm = self._open[node]
            self._open[node] = _changed(alarm, critical=alarm.critical or now)
        elif done.event is Event.LEFT:
            self._ended.append(_changed(self._open.pop(node), ended=now))

    def fail(self, now: datetime) -> None:
        """Nodes that failed until now: their alarms were right."""
        while self._failures and self._failures[0][1] <= now:
            node, at = self._failures.pop(0)
            if node in self._open:
                self._ended.append(_changed(self._open.pop(node), ended=at, failed=True))

    @property
    def alarms(self) -> list[Alarm]:
        return [*self._ended, *self._open.values()]


def _changed(alarm: Alarm, **changes: object) -> Alarm:
    return Alarm(**{**vars(alarm), **changes})


def _report(history: History, alarms: Sequence[Alarm], lasted: timedelta) -> Report:
    end = history.start + history.step * history.points
    failed = {node: at for node, at in history.failures.items() if at < end}
    right = [alarm for alarm in alarms if alarm.failed]
    false = [alarm for alarm in alarms if alarm.ended and not alarm.failed]
    found = {alarm.node for alarm in right}
    healthy = [node for node in history.series if node not in failed]
    steady = [alarm for alarm in alarms if alarm.node in healthy]
    wrong = [*false, *(a for a in steady if a.ended is None)]
    days = sum((min(at, end) - history.start for at in failed.values()), timedelta()) / DAY
    joins: dict[str, list[datetime]] = {}
    for alarm in sorted(alarms, key=lambda alarm: alarm.joined):
        joins.setdefault(alarm.node, []).append(alarm.joined)
    return Report(
        nodes=len(history.series),
        node_days=len(healthy) * (lasted / DAY) + days,
        failures=len(failed),
        found=len(found),
        found_critical=len({alarm.node for alarm in right if alarm.critical}),
        sudden=len(history.sudden & failed.keys()),
        found_sudden=len(history.sudden & found),
        leads=tuple(sorted((a.ended or a.joined) - a.joined for a in right)),
        alarms=len(alarms),
        right=len(right),
        false=len(false),
        open=len(alarms) - len(right) - len(false),
        false_criticals=sum(1 for alarm in wrong if alarm.critical),
        moves=sum(1 + (alarm.ended is not None) for alarm in steady),
        healthy_days=len(healthy) * (lasted / DAY),
        # Nodes that joined more than twice within some week.
        flapping=tuple(
            node
            for node, times in sorted(joins.items())
            if any(third - first < WEEK for first, third in zip(times, times[2:], strict=False))
        ),
        found_nodes=frozenset(found),
        missed=tuple(sorted(failed.keys() - found - history.sudden)),
    )
