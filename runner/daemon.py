"""A process that works: the inbox, the engine, watches, reconciliation and housekeeping."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from runner import acts, predict, remediate
from runner.engine import Worker
from runner.engine.dispatch import Dispatcher
from runner.errors import RemoteError, RunnerError, StoreError
from runner.execute import artifacts
from runner.incident import OWN_SOURCES, State
from runner.intake.admit import Inbox, look_again, note_gone, note_listed, unheard
from runner.intake.payload import Delivery, compose, parse
from runner.intake.watching import WatchLoop
from runner.notify import Notifier
from runner.project import Project
from runner.steps import learn
from runner.steps.perform import LEASE, settle_left
from runner.store import approvals, clock, due, firings, incidents, retention, waiting, workers

logger = logging.getLogger(__name__)

#: Seconds after which an alert that had joined an ended incident is handled by itself.
SYMPTOM_DELAY = 60.0
#: Seconds between two looks for incidents that nobody works on any more.
REVIVE_EVERY = 5.0
#: How often an incident is handled again after an error of the engine's own.
AGAIN = 3
#: Seconds between two sweeps of what is older than it may be.
RETENTION_EVERY = 600.0
#: Seconds between two looks at what was learned. The levels themselves are never late: every
#: verdict computes them anew.
LEARN_EVERY = 10.0
OWN_EVERY = 60.0
LEARN_ALL_EVERY = timedelta(hours=1)
#: How far a look goes back behind the last one: transactions may have been open then.
LEARN_OVERLAP = timedelta(minutes=1)
#: Seconds between two looks whether nodes are to be predicted.
PREDICT_EVERY = 5.0


class Daemon:
    """What `serve`, `work` and `demo` run beside whatever else they do."""

    def __init__(self, project: Project, *, intake: bool = True) -> None:
        """`intake`: also watch, reconcile and notify, which one process of many may do."""
        self.project = project
        self._intake = intake
        self._worker = Worker(project.database, project.state)
        self._inbox = Inbox(
            project.database,
            parse=lambda body, source, at: parse(body, source=source, at=at),
            start=project.queue.remediate,
            complete=self._complete,
            environment=project.config.environment,
            look_again=project.config.intake.look_again,
        )
        self._dispatcher = Dispatcher(
            project.database,
            project.queue,
            project.config.turns,
            worker=self._worker.id,
            inventory=project.inventory,
        )
        self._watches: WatchLoop | None = None
        self._notifier = Notifier(
            project.config.notify,
            project.database,
            project.config.environment,
            mask=project.mask,
            ca_file=project.config.http.ca_file,
        )
        self._learnt = self._learnt_all = self._measured = datetime.min.replace(tzinfo=UTC)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work.

        Raises Refused when another process works on this SQLite store, CatalogError and
        InventoryError when there would be nothing to work with, ConfigError when the model
        cannot be asked as it is configured.
        """
        read_project(self.project)
        self.project.worker = self._worker.id
        remediate.work_on(self.project)
        self._worker.start()
        self.project.queue.added = self._dispatcher.wake
        self.project.queue.handed_over = self._worker.ring
        self._dispatcher.start()
        self.project.delivered = self._inbox.wake
        self._inbox.start()

        def notify() -> None:
            while self._notifier.step(datetime.now(UTC)) and not self._stop.is_set():
                time.sleep(0)

        self._every(1.0, self._keep_house, "housekeeping")
        self._every(1.0, notify, "notifier")
        self._every(REVIVE_EVERY, self._revive, "revive")
        self._every(RETENTION_EVERY, self._forget, "retention")
        self._every(LEARN_EVERY, self._learn, "learning")
        if self.project.config.nodes.group:
            # Of every process: its playbooks see the greylist of its own machine.
            self._every(PREDICT_EVERY, partial(predict.publish, self.project), "greylist")
        if self._intake:
            self._start_intake()

    def wake(self) -> None:
        """Another process has stored a delivery, or work."""
        self._inbox.wake()
        self._dispatcher.wake()

    def _start_intake(self) -> None:
        config = self.project.config
        if config.watches:
            query = self.project.prometheus.query if self.project.prometheus else None
            with self.project.database.write() as tx:
                firing = [incident.alert for incident in incidents.firing_of(tx, "watch")]
                workers.forget_failures(tx)
                for watch in config.watches:
                    workers.put_failures(tx, watch.name, 0, datetime.now(UTC))

            def note(watch: str, failures: int) -> None:
                with self.project.database.write() as tx:
                    workers.put_failures(tx, watch, failures, datetime.now(UTC))

            self._watches = WatchLoop(
                config.watches, self._deliver, query=query, note=note, firing=firing
            )
            self._watches.start()
        if config.nodes.group:
            # Often: which of several processes does a round is decided by who claims it.
            self._every(PREDICT_EVERY, self._predict, "predict")
        if config.alertmanagers and config.intake.reconcile:
            every = config.intake.reconcile.total_seconds()
            self._every(every, self.reconcile, "reconcile")
        self._every(OWN_EVERY, self._look_at_own, "own alerts")

    def _look_at_own(self) -> None:
        """Tell again of what fires on and nobody else tells again: what we found ourselves, and
        what other senders told, most of which do so once."""
        now, look_again = datetime.now(UTC), self.project.config.intake.look_again
        senders = [source.name for source in self.project.config.intake.sources]
        for source in (*sorted(OWN_SOURCES), *senders):
            with self.project.database.read() as tx:
                firing = [incident.alert for incident in incidents.firing_of(tx, source)]
                again = unheard(tx, firing, now, look_again=look_again)
            if again:
                self._deliver(compose(again, source=source))

    def _predict(self) -> None:
        """A round of predictions, if it is due."""
        predict.step(self.project, datetime.now(UTC))

    def _deliver(self, delivery: Delivery) -> None:
        acts.deliver_own(self.project, delivery)

    def _complete(self, delivery: Delivery) -> None:
        """Fetch the alerts of a group that `max_alerts` cut off; the next reconciliation would."""
        if self.project.alertmanagers is None:
            logger.warning(
                "Alertmanager left %s alerts out of a group: set max_alerts: 0 there, "
                "or alertmanagers in runner.yml, so that they can be fetched",
                delivery.truncated,
            )
            return
        here = {alert.fingerprint for alert in delivery.alerts}
        try:
            group = self.project.alertmanagers.complete(delivery.group_labels, delivery.receiver)
        except RemoteError as error:
            logger.warning("the rest of a truncated group waits to be reconciled: %s", error)
            return
        rest = [alert for alert in group if alert.fingerprint not in here]
        if rest:
            self._deliver(compose(rest, source="pull", receiver=delivery.receiver))

    def stop(self) -> None:
        """Stop working; what is under way resumes at the next start."""
        self._stop.set()
        if self._watches is not None:
            self._watches.stop()
        self.project.stop()
        self._inbox.stop()
        self._dispatcher.stop()
        for thread in self._threads:
            thread.join(timeout=5.0)
        with suppress(StoreError):  # whoever works next does it
            # By our own settings: what a terminal has shown is not told to the next one's console.
            self._notifier.note_down(datetime.now(UTC))
        self._worker.stop()

    def _every(self, seconds: float, work: Callable[[], object], name: str) -> None:
        def loop() -> None:
            while not self._stop.is_set():
                try:
                    work()
                except RunnerError as error:
                    logger.warning("%s: %s", name, error)
                except Exception:
                    logger.exception("%s failed; it is tried again", name)
                self._stop.wait(seconds)

        thread = threading.Thread(target=loop, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_house(self) -> None:
        with self.project.database.read() as tx:
            if not due.housekeeping(tx, self.project.worker, LEASE):
                return
        for work in (expire_approvals, settle_left, release_held, release_joined):
            work(self.project)
        look_again(self.project.database, self.project.queue.remediate, datetime.now(UTC))

    def _revive(self) -> None:
        """Take up what nobody works on: threads that a full disk ended, workflows that broke."""
        self._worker.revive(remediate.active)
        self._worker.settle()
        for incident, times in self._worker.broken().items():
            handle_again(self.project, incident, times)

    def _forget(self) -> None:
        keep = self.project.config.store.retention
        now = datetime.now(UTC)
        self._worker.forget(now - keep.incidents)
        with self.project.database.write() as tx:
            gone = retention.sweep(tx, keep, now)
            open_runs = retention.unsettled(tx)
        folder = self.project.state / "artifacts"
        if count := artifacts.forget(folder, now - keep.artifacts, open_runs):
            gone["artifacts"] = count
        if gone:
            logger.info("retention removed %s", gone)

    def _learn(self) -> None:
        """Note levels and budgets that changed in the audit log; measure what clears by itself."""
        now = datetime.now(UTC)
        whole = now - self._learnt_all >= LEARN_ALL_EVERY  # time alone changes records too
        learn.note_all(self.project, None if whole else self._learnt - LEARN_OVERLAP, now)
        self._learnt, self._learnt_all = now, now if whole else self._learnt_all
        rules = self.project.config.autonomy
        refresh = rules.uplift.refresh if rules.earn else timedelta()
        if refresh and now - self._measured >= refresh:
            self._measured = now
            learn.measure_all(self.project, now)

    def reconcile(self) -> None:
        """Ask Alertmanager for what no message told, and take note of what is gone."""
        assert self.project.alertmanagers is not None
        intake, now = self.project.config.intake, datetime.now(UTC)
        active = self.project.alertmanagers.active_alerts(intake.filters, intake.receiver)
        with self.project.database.read() as tx:
            new = unheard(tx, active, now, look_again=intake.look_again)
            before = firings.listed(tx)
        if new:
            self._deliver(compose(new, source="pull", receiver=intake.receiver or ""))
        # What was just handed in is judged by what was known before it was listed.
        known = [alert for alert in active if alert not in new]
        with self.project.database.write() as tx:
            note_listed(tx, known, now)
        # Silenced and inhibited alerts fire on, so this asks for those too.
        if set(before) - {alert.fingerprint for alert in active}:
            gone = set(before) - self.project.alertmanagers.all_fingerprints()
            with self.project.database.write() as tx:
                note_gone(tx, gone, now)


def read_project(project: Project) -> None:
    """Read what the first alert would otherwise wait for. Raises as `Daemon.start` does."""
    project.database  # noqa: B018
    project.catalog  # noqa: B018
    project.inventory()
    if (model := project.config.model) is not None:
        project.model  # noqa: B018
        for endpoint in filter(None, (model, model.fallback)):
            endpoint.key()  # a named file that is missing stops the start


def handle_again(project: Project, incident: int, times: int) -> None:
    """Queue an open incident whose workflow broke; after AGAIN times it is for a person."""
    with project.database.read() as tx:
        found = incidents.find_one(tx, incident)
    if found is None or found.state.ended or found.state is State.WAITING or found.held_until:
        return
    with project.database.write() as tx:
        if waiting.has(tx, incident):
            return  # it waits for its turn, is under way, or is forgotten in seconds
        if times <= AGAIN and not project.catalog.is_drill(found.requested_entry):
            project.queue.again(tx, incident, times)
        else:
            reason = f"the engine failed {times} times in the middle of it; the log says why"
            incidents.move(tx, incident, State.ESCALATED, reason)


def expire_approvals(project: Project) -> int:
    """End incidents whose question nobody answered in time; how many."""
    with project.database.read() as tx:
        now = clock.now(tx)
        late = approvals.overdue(tx, now)
    for question in late:
        with project.database.write() as tx:
            incidents.lock(tx, question.incident)
            if approvals.answer(tx, question.id, answer="expired", by="runner", at=now):
                reason = f"approval {question.id} expired without an answer"
                incidents.move(
                    tx, question.incident, State.EXPIRED, reason, expected={State.WAITING}
                )
    return len(late)


def release_held(project: Project) -> int:
    """Take up incidents whose time of being held back is over; how many.

    One whose alert has gone meanwhile is resolved, the others are judged anew.
    """
    with project.database.read() as tx:
        over = incidents.held_over(tx)
    for incident in over:
        with project.database.write() as tx:
            if incident.requested_by is None and not incidents.still_firing(tx, incident.id):
                reason = "the alert resolved by itself while it was held back"
                incidents.move(tx, incident.id, State.RESOLVED, reason, expected={State.HELD})
            elif incidents.let_go(tx, incident.id):
                project.queue.look_again(tx, incident.id)
    return len(over)


def release_joined(project: Project) -> int:
    """Wake alerts that joined an incident which has ended while they still fire; how many."""
    with project.database.read() as tx:
        left = incidents.left_joined(tx)
    if not left:
        return 0
    with project.database.write() as tx:
        looked_at = clock.now(tx) + timedelta(seconds=SYMPTOM_DELAY)
        for incident in left:
            reason = (
                f"incident {incident.joined} has ended, and this alert may still fire; if it does, "
                f"it is handled from {looked_at:%Y-%m-%d %H:%M:%S} UTC on"
            )
            if incidents.wake(tx, incident.id, reason):
                project.queue.wake(tx, incident.id, delay=SYMPTOM_DELAY)
    return len(left)
