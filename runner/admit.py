"""Admission: stored deliveries become incidents, one per activation of an alert.

A delivery is looked at in pieces, each piece one transaction: the incidents it opens, the
workflows they need and the note of how far it got are there together or not at all.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from runner.errors import BadDelivery, StoreError
from runner.incident import Alert, AlertStatus, Incident, Level, State
from runner.intake.payload import Delivery
from runner.store import deliveries, incidents
from runner.store.database import Database
from runner.turns import FairTurns

logger = logging.getLogger(__name__)

#: Alerts a transaction: small enough that an acknowledgement never waits long behind it.
PIECE = 25
#: Deliveries that are kept parsed, while others have their turn.
PARSED = 4

#: States before anything has been started on a host.
BEFORE_RUN = frozenset(
    {
        State.ADMITTED,
        State.LOCATED,
        State.GATHERED,
        State.DECIDED,
        State.JUDGED,
        State.REHEARSED,
        State.WAITING,
        State.APPROVED,
    }
)

Parse = Callable[[bytes, str], Delivery]
Start = Callable[[sa.Connection, int], None]


class Inbox:
    """Looks at deliveries as they come; `wake` after one was stored."""

    def __init__(
        self,
        database: Database,
        *,
        parse: Parse,
        start: Start,
        complete: Callable[[Delivery], None],
        environment: str,
    ) -> None:
        """`complete` fetches the rest of a group that Alertmanager truncated."""
        self._database = database
        self._parse = parse
        self._start = start
        self._complete = complete
        self._environment = environment
        self._turns = FairTurns()
        self._parsed: OrderedDict[int, Delivery | None] = OrderedDict()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to look at."""
        self._wake.set()

    def start(self) -> None:
        """Look at what is there and at what comes, in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="inbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the piece at hand."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                while not self._stopping and self.step():
                    pass
            except StoreError as error:
                logger.warning("deliveries wait, and none is lost: %s", error)
            except Exception:  # a deaf runner is worse than one that tries in vain and is paged
                logger.exception("deliveries wait, and none is lost")
            # Another process may have stored one, so look without being woken too.
            self._wake.wait(1.0)

    def step(self) -> bool:
        """Look at one piece of the delivery whose turn it is; False when there is none."""
        with self._database.write() as tx:
            stored = deliveries.next_open(tx, self._turns)
            if stored is None:
                return False
            delivery = self._read(stored)
            alerts = delivery.alerts if delivery else ()
            upto = min(stored.admitted + PIECE, len(alerts))
            for alert in alerts[stored.admitted : upto]:
                self._admit(tx, alert, stored)
            done = upto >= len(alerts)
            deliveries.advance(tx, stored.id, upto, done=done)
        if done and delivery and delivery.truncated:
            self._complete(delivery)
        return True

    def _read(self, stored: deliveries.Stored) -> Delivery | None:
        if stored.id not in self._parsed:
            try:
                self._parsed[stored.id] = self._parse(stored.body, stored.source)
            except BadDelivery:
                # It was parsed before it was stored, so this release parses more strictly.
                logger.exception("delivery %s can no longer be read", stored.id)
                self._parsed[stored.id] = None
            if len(self._parsed) > PARSED:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(stored.id)
        return self._parsed[stored.id]

    def _admit(self, tx: sa.Connection, alert: Alert, stored: deliveries.Stored) -> None:
        latest = incidents.latest_of(tx, alert.fingerprint)
        if alert.status is AlertStatus.RESOLVED:
            resolved(tx, alert, latest)
        elif latest is None or not is_known(alert, latest, firing=_firing(tx, latest)):
            self._open(tx, alert, stored.ceiling, stored.id)
        elif is_doubted(latest, firing=_firing(tx, latest)):
            reason = f"incident {latest.id} took the alert for resolved, and it is told again"
            self._start(tx, incidents.reopen(tx, latest, reason=reason))
        else:
            incidents.delivered_again(tx, latest.id)

    def _open(self, tx: sa.Connection, alert: Alert, ceiling: Level, delivery: int) -> None:
        opened = incidents.open_incident(
            tx,
            alert,
            environment=self._environment,
            ceiling=ceiling,
            reason=f"{alert.name} is firing, told by {alert.source}",
            delivery=delivery,
            now=datetime.now(UTC),
        )
        if opened is not None:
            self._start(tx, opened)


def _firing(tx: sa.Connection, incident: Incident) -> bool:
    return incidents.still_firing(tx, incident.id)


def is_known(alert: Alert, latest: Incident, *, firing: bool) -> bool:
    """Whether a firing alert is the activation that `latest` is about.

    The same activation always is. A moved `startsAt` is too while the incident is open and
    nothing said that the alert resolved: Alertmanager may move it for one continuous firing.
    An older one is a message that was overtaken.
    """
    if alert.starts_at <= latest.alert.starts_at:
        return True
    return firing and not latest.state.ended


def is_doubted(latest: Incident, *, firing: bool) -> bool:
    """Whether `latest` ended as resolved though no message ever said so, and so may be wrong.

    Alertmanager did not have the alert when it was asked. Who tells of it again knows better.
    """
    return latest.state is State.RESOLVED and firing


def resolved(tx: sa.Connection, alert: Alert, latest: Incident | None) -> None:
    """The alert ended: so does an incident that has not started to run."""
    if latest is None or alert.starts_at < latest.alert.starts_at:
        return
    incidents.set_firing(tx, latest.id, False)
    incidents.move(
        tx,
        latest.id,
        State.RESOLVED,
        "the alert resolved by itself before anything ran",
        expected=BEFORE_RUN,
    )
