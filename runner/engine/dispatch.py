"""Hands incidents to the engine, no more than are worked on at once, in turns around hosts."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from runner.config import Turns
from runner.engine import Queue
from runner.errors import RunnerError
from runner.inventory import Inventory
from runner.inventory.location import locate
from runner.store import waiting
from runner.store.database import Database
from runner.store.order import FairTurns, Urgency

logger = logging.getLogger(__name__)

#: Seconds between two looks. What this process adds or ends wakes it; what another one adds waits.
POLL = 1.0
UNKNOWN = ""  #: what all hosts that the inventory does not know share: their turn is one host's
MAX_NAMES = 10_000  #: resolved names that are remembered for one inventory


class Dispatcher:
    """One per process that works."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        settings: Turns,
        *,
        worker: str,
        inventory: Callable[[], Inventory],
    ) -> None:
        self._database = database
        self._queue = queue
        self._settings = settings
        self._worker = worker
        self._inventory = inventory
        self._turns = FairTurns()
        self._names: tuple[Inventory | None, dict[str, str]] = (None, {})
        self._stop = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="turns", daemon=True)

    def start(self) -> None:
        """Hand over what waits and what comes, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over nothing more."""
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Something waits for its turn, or there is room again."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stop:
            self._wake.clear()
            try:
                while self.step() and not self._stop:
                    pass  # another worker may have taken some of them
            except RunnerError as error:
                logger.warning("incidents wait for their turn: %s", error)
            except Exception:
                logger.exception("incidents wait for their turn, and none is lost")
            self._wake.wait(POLL)

    def step(self) -> int:
        """Hand over as many as there is room for; how many."""
        now = datetime.now(UTC)
        with self._database.read() as tx:
            if not waiting.any_ready(tx, now):
                return 0
            begun = waiting.begun(tx, self._worker)
            groups = waiting.groups(tx, now) if len(begun) < self._settings.incidents else ()
        if not groups:
            return 0
        places = {group.place for group in groups} | {one.place for one in begun}
        try:
            inventory = self._inventory()
        except RunnerError as error:  # the steps tell people; turns go by what alerts say
            logger.warning("hosts take turns by the names in their alerts: %s", error)
            host_of = {place: place for place in places}
        else:
            most = max(MAX_NAMES, 2 * len(places))
            if self._names[0] is not inventory or len(self._names[1]) > most:
                self._names = (inventory, {})
            host_of = self._names[1]
            for place in places - host_of.keys():
                hosts = locate({"instance": place}, "instance", inventory).hosts
                host_of[place] = hosts[0] if hosts else UNKNOWN
        chosen = self._choose(groups, begun, host_of, now)
        with self._database.write() as tx:
            for one in chosen:
                if waiting.begin(tx, one.key, self._worker, now):
                    self._queue.hand_over(tx, one)
        return len(chosen)

    def _choose(
        self,
        groups: tuple[waiting.Group, ...],
        begun: tuple[waiting.Turn, ...],
        host_of: dict[str, str],
        now: datetime,
    ) -> list[waiting.Turn]:
        """Who is next, for each free place: the host by turns, then severity, stage and age."""
        busy = Counter(host_of[one.place] for one in begun)
        free, most = self._settings.incidents - len(begun), self._settings.per_host
        kept = self._settings.incidents // 4  # for what is critical
        of_host: dict[str, list[waiting.Group]] = {}
        for group in groups:  # oldest first
            of_host.setdefault(host_of[group.place], []).append(group)
        urgency = {host: max(one.urgency for one in some) for host, some in of_host.items()}
        rows: dict[str, list[waiting.Turn]] = {}
        chosen: list[waiting.Turn] = []
        with self._database.read() as tx:
            while free > 0:
                ready = {
                    host: highest
                    for host, highest in urgency.items()
                    if busy[host] < most and (free > kept or highest is Urgency.CRITICAL)
                }
                if not ready:
                    break
                host = self._turns.next(ready)
                if host not in rows:
                    rows[host] = []  # what is next there, by whatever names it is called
                    for group in sorted(of_host[host], key=lambda one: -one.urgency):
                        if len(rows[host]) < most:  # the most urgent, of those the oldest
                            rows[host] += waiting.first(tx, group.place, now, most)
                    rows[host].sort(key=lambda one: -one.urgency)
                if rows[host]:
                    chosen.append(rows[host].pop(0))
                    busy[host] += 1
                    free -= 1
                if rows[host]:
                    urgency[host] = rows[host][0].urgency
                else:
                    del urgency[host]
        return chosen
