"""The durable engine: DBOS on our own database. Only this module and remediate.py know of it.

Workflows are queued in the same transaction as the rows that need them. On SQLite one
process works, held by a file lock; on PostgreSQL any number, each with a heartbeat, and
whoever finds a silent one takes its workflows over (see docs/architecture.md).
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig

# Private, and so only here and under a contract test: the library looks by the clock only.
from dbos._queue import queue_worker_thread

from runner import private
from runner.engine.bell import Bell
from runner.errors import Refused, StoreError
from runner.store import waiting, workers
from runner.store.database import Database, after_commit
from runner.store.incidents import round_of
from runner.store.order import Stage

logger = logging.getLogger(__name__)

#: Raised by hand, and only when the order of steps changes: the library's own default is a
#: hash of the code, after which a deploy would leave every open incident pending for ever.
APPLICATION_VERSION = "2"
QUEUE = "incidents"
#: Seconds between two looks at the queue, which finds what is taken up again; whatever is handed
#: over rings the bell.
POLL = 2.0
#: The same for the library's own queue, which it asks every second if nobody says otherwise.
UNUSED_POLL = 60.0
#: Threads for workflows in one process; how many are begun at once, `turns.incidents` says.
CONCURRENCY = 256
#: A worker that is silent for so long is dead; it must stop itself before that.
TTL = timedelta(seconds=10)
#: Broken workflows that are looked at, the newest: a bug can break any number of them.
MAX_BROKEN = 1000
_SINGLE = "single"


def migrate(database: Database) -> None:
    """Bring our tables and those of the engine up to date."""
    database.migrate()
    if not database.has_engine_tables():
        make_tables(database)


def make_tables(database: Database) -> None:
    """Make the engine's own tables."""
    _quiet()
    DBOS.migrate(database.engine.url.render_as_string(hide_password=False))


class Queue:
    """Lets workflows wait for their turn, in the transaction of the rows that need them."""

    def __init__(self, database: Database) -> None:
        _quiet()
        #: Told when there may be something to hand over: it waits, or there is room again.
        self.added: Callable[[], None] = lambda: None
        #: Told when something was handed over.
        self.handed_over: Callable[[], None] = lambda: None
        self._client = DBOSClient(
            system_database_engine=database.engine, lazy=True, retry_connection_errors=False
        )

    def remediate(self, tx: sa.Connection, incident: int, *, delay: float = 0.0) -> None:
        """Queue the path of an incident, to start in `delay` seconds at the earliest."""
        self._put(tx, "remediate", f"incident-{incident}-remediate", incident, delay=delay)

    def wake(self, tx: sa.Connection, incident: int, *, delay: float = 0.0) -> None:
        """Queue the path of an incident that had joined another one."""
        self._put(tx, "remediate", f"incident-{incident}-woken", incident, delay=delay)

    def again(self, tx: sa.Connection, incident: int, time: int) -> None:
        """Queue the path for the `time`th time after it broke; steps already done pass."""
        now = round_of(tx, incident)
        self._put(tx, "remediate", f"incident-{incident}-again-{time}", incident, now)

    def look_again(self, tx: sa.Connection, incident: int) -> None:
        """Queue the path after a time for which it was held back; it goes on from judgement."""
        now = round_of(tx, incident)
        self._put(tx, "remediate", f"incident-{incident}-held-{now}", incident, now)

    def proceed(self, tx: sa.Connection, incident: int, approval: int) -> None:
        """Queue the rest of the path, after a person said yes."""
        now = round_of(tx, incident)
        self._put(tx, "proceed", f"incident-{incident}-approval-{approval}", incident, now)

    def drill(self, tx: sa.Connection, incident: int) -> None:
        """Queue the injection of a fault that a person asked for."""
        self._put(tx, "drill", f"incident-{incident}-drill", incident)

    def _put(
        self,
        tx: sa.Connection,
        workflow: str,
        key: str,
        incident: int,
        round: int | None = None,
        *,
        delay: float = 0.0,
    ) -> None:
        waiting.add(
            tx,
            key=key,
            workflow=workflow,
            incident=incident,
            round=round,
            ready_at=datetime.now(UTC) + timedelta(seconds=delay),
            stage=Stage.RUN if workflow == "proceed" else Stage.PROBE,
        )
        after_commit(tx, self.added)

    def hand_over(self, tx: sa.Connection, turn: waiting.Turn) -> None:
        """It is this workflow's turn: the engine starts it, once for its key."""
        options: dict[str, Any] = {
            "queue_name": QUEUE,
            "workflow_name": turn.workflow,
            "workflow_id": turn.key,
            "app_version": APPLICATION_VERSION,
        }
        arguments = [turn.incident] if turn.round is None else [turn.incident, turn.round]
        self._client.enqueue_in_transaction(tx, options, *arguments)  # type: ignore[arg-type]
        after_commit(tx, self.handed_over)

    def end(self, tx: sa.Connection, key: str) -> None:
        """The workflow has ended, and makes room for the next."""
        waiting.end(tx, key)
        after_commit(tx, self.added)


def _quiet() -> None:
    """The engine's own log says what our transitions say better."""
    logging.getLogger("dbos").setLevel(logging.ERROR)


class Worker:
    """This process as one that works on incidents."""

    def __init__(self, database: Database, state: Path) -> None:
        self._database = database
        self._lock_files = _lock_files(database, state)
        self._locks: list[IO[str]] = []
        self._stop = threading.Event()
        self._lost: set[str] = set()
        self._bell = Bell()
        self._beating: threading.Thread | None = None
        self.id = _SINGLE if database.sqlite else uuid.uuid4().hex

    def start(self) -> None:
        """Take the lock or join the others, then work. Refused when a second process would."""
        try:
            for path in self._lock_files:
                self._locks.append(_take(path))
            with self._database.write() as tx:
                workers.join(tx, self.id, socket.gethostname())
            config: DBOSConfig = {
                "name": "runner",
                "system_database_engine": self._database.engine,
                "application_version": APPLICATION_VERSION,
                "executor_id": self.id,
                "log_level": "ERROR",
                "use_listen_notify": False,
                "notification_listener_polling_interval_sec": 1.0,
                "scheduler_polling_interval_sec": 3600.0,
            }
            library = DBOS(config=config)
            # Private, and so only here and under a contract test: nothing of ours is ever in it.
            library._registry.get_internal_queue()._polling_interval_sec = UNUSED_POLL
            DBOS.launch()
            queue = DBOS.register_queue(
                QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLL
            )
            self._bell.start(partial(queue_worker_thread, dbos=library, queue=queue))
            self._bell.ring()  # for what was taken up again
        except BaseException:
            self._unlock()
            raise
        self._beating = threading.Thread(target=self._beat, name="worker-heartbeat", daemon=True)
        self._beating.start()

    def stop(self) -> None:
        """Stop taking work; what is under way resumes at the next start."""
        self._stop.set()
        if self._beating is not None:
            self._beating.join()
            self._beating = None
            self._bell.stop()
            DBOS.destroy()
            try:
                with self._database.write() as tx:
                    workers.leave(tx, self.id)
            except StoreError as error:
                logger.warning("worker %s could not say goodbye: %s", self.id, error)
        self._unlock()

    def _unlock(self) -> None:
        while self._locks:
            self._locks.pop().close()

    def ring(self) -> None:
        """Something was handed over: start it now."""
        self._bell.ring()

    def revive(self, active: Collection[str]) -> None:
        """Requeue workflows of this worker that no thread of it runs: a full disk ends threads.

        Only those that were seen so twice: in between, a thread may just be starting.
        """
        mine = DBOS.list_workflows(
            status="PENDING", executor_id=self.id, load_input=False, load_output=False
        )
        lost = {workflow.workflow_id for workflow in mine} - set(active)
        for workflow in sorted(lost & self._lost):
            logger.warning("%s was left behind; it is taken up again", workflow)
            DBOS.resume_workflow(workflow, queue_name=QUEUE)
            self._bell.ring()
        self._lost = lost

    def settle(self) -> int:
        """Forget who was begun and has no workflow under way any more; how many."""
        now = datetime.now(UTC)
        with self._database.read() as tx:
            if not waiting.begun(tx, self.id):
                return 0
        open_ones = DBOS.list_workflows(
            status=["ENQUEUED", "PENDING", "DELAYED"], load_input=False, load_output=False
        )
        alive = {workflow.workflow_id for workflow in open_ones}
        with self._database.write() as tx:
            return waiting.forget(tx, alive, now - TTL)

    def broken(self) -> Counter[int]:
        """How many workflows of each incident ended in an error of the engine's own."""
        found = DBOS.list_workflows(
            status="ERROR",
            limit=MAX_BROKEN,
            sort_desc=True,
            load_input=False,
            load_output=False,
        )
        return Counter(incident_of(workflow.workflow_id) for workflow in found)

    def forget(self, before: datetime, limit: int = 1000) -> int:
        """Remove finished workflows that are older than `before`; how many."""
        found = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before.isoformat(),
            limit=limit,
            load_input=False,
            load_output=False,
        )
        DBOS.delete_workflows([workflow.workflow_id for workflow in found])
        return len(found)

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(TTL.total_seconds() / 4):
            try:
                with self._database.write() as tx:
                    alive = workers.beat(tx, self.id)
                reachable_for = time.monotonic() - last
            except StoreError:
                last = time.monotonic()
                continue
            if not alive:  # another worker has taken over: what still runs here may not write
                logger.critical("worker %s was marked dead while it lived; it exits", self.id)
                os._exit(75)
            if self._database.sqlite or reachable_for <= TTL.total_seconds():
                continue
            # Requeue the workflows of every dead worker; harmless when there is nothing to do.
            dead: tuple[str, ...] = ()
            try:
                with self._database.write() as tx:
                    if tx.execute(sa.text("select pg_try_advisory_xact_lock(7242002)")).scalar():
                        dead = workers.reap(tx, TTL)
                if dead:
                    # Private, and so only here and under a contract test: the library's public
                    # way resets attempts and can revive a cancelled workflow.
                    DBOS._recover_pending_workflows(list(dead))
                    self._bell.ring()
            except StoreError as error:
                logger.warning("dead workers could not be looked for: %s", error)


def _lock_files(database: Database, state: Path) -> tuple[Path, ...]:
    """What the one process on SQLite holds; the second is found by whoever opens the same file
    from another project."""
    if database.file is None:
        return ()
    file = database.file.resolve()
    return state / "runner.lock", file.with_name(f"{file.name}.lock")


def _take(path: Path) -> IO[str]:
    private.make_folder(path.parent)
    private.tighten(path)
    handle = open(path, "a+", opener=private.opener)
    # Whoever only asks `is_worked_on` holds the lock for a moment too.
    if not _locked(handle, fcntl.LOCK_EX, patience=0.5):
        handle.seek(0)
        holder = handle.read().strip() or "another process"
        handle.close()
        raise Refused(
            f"{path}: {holder} already works on this SQLite store; stop it, "
            "or use PostgreSQL for several workers"
        )
    handle.truncate(0)
    handle.write(f"process {os.getpid()}")
    handle.flush()
    return handle


def _locked(handle: IO[str], how: int, *, patience: float = 0.0) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.1)


def incident_of(workflow: str) -> int:
    """The incident that a workflow is about, by the workflow's id."""
    return int(workflow.split("-")[1])


def is_worked_on(database: Database, state: Path) -> bool:
    """Whether some process works on this store now."""
    if not database.sqlite:
        with database.read() as tx:
            return workers.count_alive(tx, TTL) > 0
    for path in filter(Path.exists, _lock_files(database, state)):
        with path.open() as handle:
            if not _locked(handle, fcntl.LOCK_SH):
                return True
    return False
