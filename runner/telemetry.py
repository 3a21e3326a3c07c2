"""What the runner tells Prometheus of itself: `/metrics`. Every name is in docs/metrics.md.

Two kinds. What is stored (incidents, queues, workers) is read from the store at each
scrape, so that it is right with several processes and after a restart. What happens to
requests (deliveries, refusals) is counted in this process.

Labels only ever take values from closed sets, or names of runner.yml: nothing that
an alert says becomes a label (invariant 14).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runner import __version__
from runner.errors import StoreError
from runner.incident import ENDED, SOURCES, Outcome, Purpose, Result, State
from runner.incident.model_call import Failure
from runner.store import (
    clock,
    dead_letters,
    deliveries,
    incidents,
    model_calls,
    nodes,
    records,
    runs,
    switches,
    tables,
    waiting,
    workers,
)
from runner.store.database import Database
from runner.store.ignored import ignored_since

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Why a delivery was refused: not version 4, too large, too slow, who are you, the store is down.
REFUSALS = ("bad_delivery", "too_large", "too_slow", "unauthorized", "store")
#: Why a connection was closed: no whole headers in time, the answer was not read, too many.
CLOSED = ("headers", "stalled", "crowded")
STATUSES = ("firing", "resolved")
#: What came of a call of a model.
CALLS = ("answered", "reused", *map(str, Failure))
#: Tiers that a prediction may give a node.
_TIERS = ("none", "unknown", "warning", "critical")
OTHER = "other"  #: stands for a value that is in no closed set
#: Acknowledgement is one insert; Alertmanager gives up after ten seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FAILED_WITHIN = timedelta(hours=1)


class Metrics:
    """The runner's metrics in a registry of their own.

    `database` None leaves out what is stored. `worker_ttl` is how long a worker counts as
    alive after its last beat.
    """

    def __init__(
        self,
        database: Database | None = None,
        registry: CollectorRegistry | None = None,
        *,
        worker_ttl: timedelta = timedelta(minutes=1),
    ) -> None:
        # A second series for each counter, which only OpenMetrics has a use for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"runner_{name}", text, labels, registry=self.registry)

        build = Gauge("runner_build_info", "1.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self._deliveries = counter("deliveries", "Deliveries stored and acknowledged.", "source")
        self._refused = counter("deliveries_refused", "Deliveries refused.", "reason")
        self._alerts = counter("alerts_received", "Alerts in deliveries.", "status")
        self._logins_failed = counter("logins_failed", "Credentials that were wrong.")
        self._closed = counter("connections_closed", "Connections cut off.", "reason")
        self._acknowledged = Histogram(
            "runner_acknowledgement_seconds",
            "From the request to its acknowledgement.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        # A counter that appears with its first event hides that event from `increase`.
        for metric, values in (
            (self._deliveries, SOURCES),
            (self._refused, REFUSALS),
            (self._alerts, STATUSES),
            (self._closed, CLOSED),
        ):
            for value in values:
                metric.labels(str(value))
        if database is not None:
            self.registry.register(StoreCollector(database, worker_ttl))

    def delivered(self, source: str, *, firing: int, resolved: int, seconds: float) -> None:
        """A delivery with so many alerts was acknowledged after `seconds`."""
        self._deliveries.labels(_known(source, SOURCES)).inc()
        self._alerts.labels("firing").inc(firing)
        self._alerts.labels("resolved").inc(resolved)
        self._acknowledged.observe(seconds)

    def refused(self, reason: str) -> None:
        """A delivery was refused; `reason` is one of REFUSALS."""
        self._refused.labels(_known(reason, REFUSALS)).inc()

    def login_failed(self) -> None:
        """Somebody presented a credential that opens nothing."""
        self._logins_failed.inc()

    def connection_closed(self, reason: str) -> None:
        """A connection was cut off; `reason` is one of CLOSED."""
        self._closed.labels(_known(reason, CLOSED)).inc()

    def render(self) -> bytes:
        """Everything, as Prometheus reads it; `CONTENT_TYPE` says in which format."""
        return generate_latest(self.registry)


def _known(value: str, values: Iterable[str]) -> str:
    return value if value in values else OTHER


class StoreCollector(Collector):
    """What the store knows, read at each scrape."""

    def __init__(self, database: Database, worker_ttl: timedelta) -> None:
        self.database = database
        self.worker_ttl = worker_ttl

    def describe(self) -> Iterable[Metric]:
        """Nothing: without it, registering would read the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The gauges; when the store cannot be used, only that."""
        up = "1 if the store could be read for this scrape."
        try:
            with self.database.read() as tx:
                found = list(self._read(tx, clock.now(tx)))
        except (StoreError, sa.exc.SQLAlchemyError):
            yield GaugeMetricFamily("runner_store_up", up, 0)
            return
        yield GaugeMetricFamily("runner_store_up", up, 1)
        yield from found

    def _read(self, tx: sa.Connection, now: datetime) -> Iterator[Metric]:
        hour, day = now - timedelta(hours=1), now - timedelta(days=1)
        yield _by_label(
            "incidents", "Stored incidents by state.", "state", State, incidents.counts(tx)
        )
        yield _by_label("nodes", "Nodes by predicted tier.", "tier", _TIERS, nodes.tiers(tx))
        text = "Model calls in the last hour, by result."
        yield _by_label("model_calls", text, "result", CALLS, model_calls.results(tx, hour))
        text = "Runs of the last day that have ended."
        family = GaugeMetricFamily("runner_runs", text, labels=["purpose", "outcome"])
        ended = runs.outcomes(tx, day)
        for purpose, outcome in itertools.product(Purpose, Outcome):
            family.add_metric([str(purpose), str(outcome)], ended.get((purpose, outcome), 0))
        yield family
        text = "Verifications of runs of the last day."
        yield _by_label("verifications", text, "result", Result, records.results(tx, day))
        text, ignored = "Alerts of the last day that were ignored.", ignored_since(tx, day)
        yield _by_label("alerts_ignored", text, "by", ignored, ignored)
        text, failures = "Looks of a watch that failed in a row.", workers.failures_of(tx)
        yield _by_label("watch_failures", text, "watch", sorted(failures), failures)
        for name, text, read in _GAUGES:
            value = read(tx, now)
            if value is not None:
                yield GaugeMetricFamily(f"runner_{name}", text, value)
        alive = workers.count_alive(tx, self.worker_ttl)
        yield GaugeMetricFamily("runner_workers_alive", "Workers seen recently.", alive)


def _by_label(
    name: str, text: str, label: str, values: Iterable[str], counts: Mapping[Any, int]
) -> Metric:
    """A count for each value of one label; 0 for a value that was not counted."""
    family = GaugeMetricFamily(f"runner_{name}", text, labels=[label])
    for value in values:
        family.add_metric([str(value)], counts.get(value, 0))
    return family


def _ask(tx: sa.Connection, what: Any, *where: Any) -> Any:
    return tx.execute(sa.select(what).where(*where)).scalar()


def _count(tx: sa.Connection, what: Any, *where: Any) -> int:
    return int(_ask(tx, sa.func.count(what), *where))


def _age(at: datetime | None, now: datetime) -> float:
    """Seconds since `at`; 0 when there is nothing or the clocks disagree."""
    return max(0.0, (now - at).total_seconds()) if at is not None else 0.0


def _stamp(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None


def _last_prediction(tx: sa.Connection, now: datetime) -> float | None:
    noted = workers.round_note(tx, "predict")
    return datetime.fromisoformat(noted).timestamp() if noted else None


def _unchanged(tx: sa.Connection, now: datetime) -> float:
    """Of open incidents; those that wait for a person have a deadline of their own, and those
    that are held back stand still only from then on."""
    rows = tables.incidents.c
    resting = [str(state) for state in (*ENDED, State.WAITING)]
    since = sa.func.coalesce(rows.held_until, rows.updated_at, type_=tables.UtcTime)
    return _age(_ask(tx, sa.func.min(since), rows.state.not_in(resting)), now)


def _unsent() -> tuple[Any, ...]:
    """Without what is held back for a digest: that waits on purpose."""
    rows = tables.outbox.c
    return rows.sent_at.is_(None), rows.failed.is_(None), rows.digest.is_(None)


def _notifications_failed(tx: sa.Connection, now: datetime) -> int:
    rows = tables.outbox.c
    # due_at is when the last try would have been repeated: minutes after it failed.
    lately = rows.due_at >= now - _FAILED_WITHIN
    return _count(tx, rows.id, rows.failed.is_not(None), lately)


_APPROVALS, _DELIVERIES = tables.approvals.c, tables.deliveries.c
_RUNS, _WORKERS = tables.runs.c, tables.workers.c

#: Name without `runner_`, text, and how it is read; None is left out.
_GAUGES: tuple[tuple[str, str, Callable[[sa.Connection, datetime], float | None]], ...] = (
    (
        "incident_unchanged_seconds",
        "Longest time without progress of an open incident, except waiting and held ones.",
        _unchanged,
    ),
    (
        "deliveries_waiting",
        "Deliveries not processed yet.",
        lambda tx, now: deliveries.waiting(tx),
    ),
    (
        "deliveries_waiting_seconds",
        "Age of the oldest of them.",
        lambda tx, now: _age(
            _ask(tx, sa.func.min(_DELIVERIES.received_at), sa.not_(_DELIVERIES.done)), now
        ),
    ),
    (
        "last_delivery_timestamp_seconds",
        "Time of the newest stored delivery; absent without one.",
        lambda tx, now: _stamp(_ask(tx, sa.func.max(_DELIVERIES.received_at))),
    ),
    (
        "dead_letters",
        "Unreadable bodies and alerts of the last day that were not replayed.",
        lambda tx, now: dead_letters.waiting(tx, now - timedelta(days=1)),
    ),
    (
        "incidents_waiting",
        "Incidents waiting for their turn.",
        lambda tx, now: waiting.count(tx, now),
    ),
    (
        "incidents_waiting_seconds",
        "Longest wait for a turn.",
        lambda tx, now: waiting.oldest(tx, now).total_seconds(),
    ),
    (
        "approvals_open",
        "Pending approvals.",
        lambda tx, now: _count(tx, _APPROVALS.id, _APPROVALS.answer.is_(None)),
    ),
    (
        "runs_in_flight",
        "Runs in progress.",
        lambda tx, now: _count(tx, _RUNS.id, _RUNS.outcome.is_(None)),
    ),
    (
        "runs_overdue",
        "Runs in progress past their deadline.",
        lambda tx, now: _count(tx, _RUNS.id, _RUNS.outcome.is_(None), _RUNS.deadline < now),
    ),
    (
        "hosts_locked",
        "Hosts locked by a run, whole or in part.",
        lambda tx, now: _count(tx, tables.host_locks.c.host.distinct()),
    ),
    (
        "notifications_waiting",
        "Notifications not sent yet.",
        lambda tx, now: _count(tx, tables.outbox.c.id, *_unsent()),
    ),
    (
        "notifications_waiting_seconds",
        "Age of the oldest notification not sent yet.",
        lambda tx, now: _age(
            _ask(
                tx,
                sa.func.min(tables.transitions.c.at),
                tables.outbox.c.transition == tables.transitions.c.sequence,
                *_unsent(),
            ),
            now,
        ),
    ),
    (
        "notifications_failed",
        "Notifications given up in the last hour or so.",
        _notifications_failed,
    ),
    (
        "heartbeat_timestamp_seconds",
        "Last beat of a worker on the database's clock; absent without a worker.",
        lambda tx, now: _stamp(_ask(tx, sa.func.max(_WORKERS.beat_at), _WORKERS.dead_at.is_(None))),
    ),
    (
        "model_money",
        "Cost of model calls in the last day.",
        lambda tx, now: model_calls.money(tx, now - timedelta(days=1)),
    ),
    (
        "nodes_greylisted",
        "Nodes on the greylist.",
        lambda tx, now: len(nodes.members(tx)),
    ),
    (
        "last_prediction_timestamp_seconds",
        "Time of the last completed prediction round; absent without one.",
        _last_prediction,
    ),
    (
        "paused",
        "1 while `runner pause` holds.",
        lambda tx, now: int(switches.paused(tx) is not None),
    ),
)
