"""Admission: stored deliveries become incidents, one per activation of an alert.

A delivery is looked at in pieces, each piece one transaction: the incidents it opens, the
workflows they need and the note of how far it got are there together or not at all.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.errors import BadDelivery, StoreError
from runner.incident import Alert, AlertStatus, Incident, State
from runner.incident.firing import Admission, Firing, Handled, Heard, ahead, hear, listed, resolve
from runner.intake.payload import Delivery
from runner.store import audit_log, deliveries, firings, incidents, sender_ids
from runner.store.database import Database
from runner.store.order import FairTurns
from runner.text import brief

logger = logging.getLogger(__name__)

#: Alerts a transaction: small enough that an acknowledgement never waits long behind it.
PIECE = 25
#: Seconds between two looks: another process may have stored a delivery.
POLL = 1.0
#: Deliveries that are kept parsed, while others have their turn.
PARSED = 4

#: States before anything has been started on a host.
BEFORE_RUN = frozenset(
    {
        State.ADMITTED,
        State.LOCATED,
        State.GATHERED,
        State.DECIDED,
        State.HELD,
        State.JUDGED,
        State.PLANNED,
        State.WAITING,
        State.APPROVED,
    }
)

#: What is said of an incident whose alert was told as resolved before it was told as firing.
LATE = "an earlier message said that this alert had resolved"

Parse = Callable[[bytes, str, datetime], Delivery]  #: body, source, when it arrived
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
        look_again: timedelta = timedelta(hours=1),
    ) -> None:
        """`complete` fetches the rest of a group that Alertmanager truncated.

        `look_again` is how long after its end an incident stays the last one on an alert that
        fires on without being fixed.
        """
        self._database = database
        self._parse = parse
        self._start = start
        self._complete = complete
        self._environment = environment
        self._look_again = look_again
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
                waits = True
                while waits and not self._stopping:
                    # Without the lock of a writer, which `step` takes.
                    with self._database.read() as tx:
                        waits = deliveries.any_open(tx)
                    waits = waits and self.step()
            except StoreError as error:
                logger.warning("deliveries wait, and none is lost: %s", error)
            except Exception:  # a deaf runner is worse than one that tries in vain and is paged
                logger.exception("deliveries wait, and none is lost")
            self._wake.wait(POLL)

    def step(self) -> bool:
        """Look at one piece of the delivery whose turn it is; False when there is none."""
        with self._database.write() as tx:
            stored = deliveries.next_open(tx, self._turns)
            if stored is None:
                return False
            delivery = self._read(stored)
            alerts = delivery.alerts if delivery else ()
            upto = min(stored.admitted + PIECE, len(alerts))
            piece = _paired(tx, alerts[stored.admitted : upto], stored.received_at)
            records = firings.take(tx, {alert.fingerprint for alert in piece}, stored.received_at)
            for alert in piece:
                key = alert.fingerprint
                records[key] = self._admit(tx, alert, records[key], stored)
            firings.put(tx, records.values(), stored.received_at)
            done = upto >= len(alerts)
            deliveries.advance(tx, stored.id, upto, done=done)
        if done:  # a store that was emptied gives the same numbers again
            self._parsed.pop(stored.id, None)
        if done and delivery and delivery.truncated:
            self._complete(delivery)
        return True

    def _read(self, stored: deliveries.StoredDelivery) -> Delivery | None:
        if stored.id not in self._parsed:
            try:
                parsed = self._parse(stored.body, stored.source, stored.received_at)
                self._parsed[stored.id] = parsed
            except BadDelivery:
                # It was parsed before it was stored, so this release parses more strictly.
                logger.exception("delivery %s can no longer be read", stored.id)
                self._parsed[stored.id] = None
            if len(self._parsed) > PARSED:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(stored.id)
        return self._parsed[stored.id]

    def _admit(
        self, tx: sa.Connection, alert: Alert, record: Firing, stored: deliveries.StoredDelivery
    ) -> Firing:
        """The record of the alert's firing after this message of it."""
        now = stored.received_at
        if alert.status is AlertStatus.RESOLVED:
            after = resolve(record, alert, now)
            if not after.fires:  # incidents that have not started to run end with their alert
                text = "the alert resolved by itself before anything ran"
                for each in incidents.resolved(tx, alert.fingerprint):
                    incidents.move(tx, each, State.RESOLVED, text, expected=BEFORE_RUN)
            return after
        latest = incidents.latest_of(tx, alert.fingerprint)
        heard = hear(
            record,
            alert,
            now,
            handled=handled(tx, latest, now) if latest else None,
            look_again=self._look_again,
        )
        if heard.step is Admission.OPEN:
            self._open(tx, alert, stored, heard)
        elif latest is not None and heard.step is Admission.AGAIN:
            again = incidents.reopen(
                tx,
                latest,
                reason=heard.reason,
                delivery=stored.id,
                alert=replace(alert, late=heard.late),
                ceiling=stored.ceiling,
                sender=stored.sender,
            )
            self._start(tx, again)
        elif latest is not None:
            incidents.delivered_again(tx, latest.id)
            if latest.alert.late and not heard.late:
                incidents.set_alert(tx, latest.id, replace(latest.alert, late=False))
        return heard.record

    def _open(
        self, tx: sa.Connection, alert: Alert, stored: deliveries.StoredDelivery, heard: Heard
    ) -> None:
        by = f" by {stored.sender}" if stored.sender else ""
        odd = [LATE] if heard.late else []
        reason = "; ".join(
            [
                f"{alert.name} is firing (received from {alert.source}{by})",
                *filter(None, [heard.reason]),
                *odd,
                *alert.contradictions,
                *alert.notes,
            ]
        )
        if ahead(alert, stored.received_at):
            logger.warning("%s: startsAt is ahead of our clock", brief(alert.name))
        incidents.over(tx, alert.fingerprint)
        opened = incidents.open_incident(
            tx,
            replace(alert, late=heard.late),
            environment=self._environment,
            ceiling=stored.ceiling,
            sender=stored.sender,
            reason=reason,
            delivery=stored.id,
        )
        self._start(tx, opened)


def _paired(tx: sa.Connection, piece: Sequence[Alert], now: datetime) -> list[Alert]:
    """The same alerts, where another sender's "resolved" is about every alert of its own that
    came with the same id: its labels may be others by now."""
    found = []
    for alert in piece:
        if not alert.pair:
            found.append(alert)
        elif alert.status is AlertStatus.FIRING:
            sender_ids.note(tx, alert, now)
            found.append(alert)
        else:
            known = sender_ids.take(tx, alert.source, alert.pair) or (alert.fingerprint,)
            found += [replace(alert, fingerprint=each) for each in known]
    return found


def handled(tx: sa.Connection, latest: Incident, now: datetime) -> Handled:
    """What matters of the newest incident of an alert when that is told as firing."""
    if not latest.state.ended or latest.joined is not None:
        return Handled(incident=latest)
    return Handled(
        incident=latest,
        ended_at=audit_log.reached_at(tx, latest.id, latest.state) or latest.updated_at,
        lately=incidents.opened_since(tx, latest.alert.fingerprint, now - timedelta(hours=1)),
    )


def unheard(
    tx: sa.Connection, active: Sequence[Alert], now: datetime, *, look_again: timedelta
) -> tuple[Alert, ...]:
    """Of what Alertmanager lists as firing, what would lead to something if it were delivered.

    Alertmanager does not tell everything: an alert that resolves and fires again within one
    group interval, that fired and resolved while we were down, or that was silenced after its
    first message, is never mentioned again.
    """
    keys = [alert.fingerprint for alert in active]
    records, newest = firings.find(tx, keys), incidents.known(tx, keys)
    found = []
    for alert in active:
        key = alert.fingerprint
        latest = newest.get(key)
        heard = hear(
            records.get(key, Firing(fingerprint=key)),
            alert,
            now,
            handled=handled(tx, latest, now) if latest else None,
            look_again=look_again,
        )
        if heard.step in (Admission.OPEN, Admission.AGAIN):
            found.append(alert)
    return tuple(found)


def note_listed(tx: sa.Connection, active: Sequence[Alert], now: datetime) -> None:
    """Note what Alertmanager lists: for an alert that we know that is as good as a message."""
    known = firings.find(tx, {alert.fingerprint for alert in active})
    firing = [key for key, record in known.items() if record.fires]
    firings.put(tx, listed(firings.take(tx, firing, now).values(), now), now)


def note_gone(tx: sa.Connection, gone: Collection[str], now: datetime) -> None:
    """Note what Alertmanager listed before and lists no more. It is no proof of anything, but
    whatever tells of such an alert from now on tells of a new firing."""
    taken = firings.take(tx, gone, now).values()
    firings.put(tx, [replace(record, gone=True) for record in taken], now)


def look_again(database: Database, start: Start, now: datetime) -> int:
    """Take up what opened too many incidents and had to wait, if it fires on; how many."""
    with database.read() as tx:
        due = firings.due(tx, now)
    opened = 0
    for key in due:
        with database.write() as tx:
            record = firings.take(tx, [key], now)[key]
            latest = incidents.latest_of(tx, key)
            firings.put(tx, [replace(record, again_at=None)], now)
            if not record.again_at or not record.fires or latest is None:
                continue
            if latest.state.ended and latest.joined is None:
                reason = f"it still fires after incident {latest.id} ended, and had to wait"
                start(tx, incidents.reopen(tx, latest, reason=reason))
                opened += 1
    return opened
