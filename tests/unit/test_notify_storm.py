"""A storm is one message per receiver, then a digest; what must not drown goes out by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner import config
from runner.incident import Alert, AlertStatus, Level, State
from runner.notify import Notifier
from runner.notify.message import Message
from runner.store import deliveries, incidents, storms
from runner.store.database import Database
from runner.store.tables import outbox
from tests.notify_incident import database

CHAT = config.Receiver(name="chat", url="json://127.0.0.1:1", on=("escalated", "waiting", "fixed"))
ABOVE = 5


class Desk:
    """A store, a receiver that keeps what it is told, and a clock."""

    def __init__(self, store: Database) -> None:
        self.store = store
        self.now = datetime.now(UTC)
        self.told: list[Message] = []
        self.count = 0
        rules = config.StormRules(above=ABOVE)
        notify = config.Notify(console=False, receivers=(CHAT,), storm=rules)
        self.notifier = Notifier(notify, store, "lab", mask=str, senders={"chat": self.told.append})

    def escalate(self, number: int = 1, *, host: str = "", severity: str = "warning") -> None:
        """So many incidents end with a person; `host` is one that the inventory knows."""
        for _ in range(number):
            self._end(State.ESCALATED, "nobody knows it", host=host, severity=severity)

    def ask(self, host: str) -> None:
        self._end(State.WAITING, "a person has been asked", host=host, severity="warning")

    def _end(self, state: State, reason: str, *, host: str, severity: str) -> None:
        self.count += 1
        labels = {"alertname": "Down", "instance": f"h{self.count}", "severity": severity}
        alert = Alert(
            fingerprint=f"{self.count:016x}", status=AlertStatus.FIRING, labels=labels,
            annotations={}, starts_at=self.now,
        )  # fmt: skip
        with self.store.write() as tx:
            made = incidents.open_incident(
                tx, alert, environment="lab", ceiling=Level.AUTO, reason="firing"
            )
            assert made is not None
            columns = {"hosts": [host]} if host else {}
            assert incidents.move(tx, made, state, reason, **columns)

    def after(self, seconds: float) -> list[str]:
        """First lines of what is told up to then."""
        self.now = datetime.now(UTC) + timedelta(seconds=seconds)
        before = len(self.told)
        while self.notifier.step(self.now):
            pass
        return [message.text.strip().splitlines()[0] for message in self.told[before:]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = database(tmp_path)
    yield Desk(made)
    made.close()


def unsent(store: Database) -> int:
    with store.read() as tx:
        query = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None))
        return int(tx.execute(query).scalar_one())


def test_a_few_notifications_are_a_message_each(desk: Desk) -> None:
    desk.escalate(ABOVE)
    assert len(desk.after(0)) == ABOVE


def test_a_storm_is_one_message_and_a_digest(desk: Desk) -> None:
    """Invariant 21: however many, and nothing is lost in it."""
    desk.escalate(200)
    (first,) = desk.after(0)
    assert "200 notifications held back" in first
    desk.escalate(100, severity="critical")
    assert desk.after(10) == [], "it goes on"
    (digest,) = desk.after(60)
    assert "300 notifications in one: 300 escalated" in digest
    text = desk.told[-1].text
    assert "Down: 300" in text and "(critical)" in text and "and 280 more" in text
    assert unsent(desk.store) == 0
    desk.escalate()
    assert "nobody knows it" in desk.after(130)[0], "afterwards it is a message each again"


def test_a_storm_is_known_by_what_is_still_to_come(desk: Desk) -> None:
    """The first of a thousand is not told by itself, either."""
    with desk.store.write() as tx:
        deliveries.add(
            tx, body=b"{}", alerts=[_alert(n) for n in range(1000)], source="webhook",
            ceiling=Level.AUTO, at=desk.now,
        )  # fmt: skip
    desk.escalate()
    (first,) = desk.after(0)
    assert "1000 alerts not handled yet" in first


def _alert(number: int) -> Alert:
    return Alert(
        fingerprint=f"{number:016x}", status=AlertStatus.FIRING, labels={"alertname": "Down"},
        annotations={}, starts_at=datetime.now(UTC),
    )  # fmt: skip


def test_what_is_critical_on_a_known_host_is_not_held_back(desk: Desk) -> None:
    """Invariant 21: a storm hides neither it nor a question, and cannot be made of them either."""
    desk.escalate(50, severity="critical")
    desk.after(0)
    desk.escalate(30, host="db1", severity="critical")
    desk.ask("web1")
    told = desk.after(5)
    assert len(told) == 2 and ", escalated: " in told[0] and ", waiting: " in told[1]
    for number in range(20):
        desk.ask(f"web{number}")
    assert len(desk.after(10)) == ABOVE - len(told), "these have a bound, too"
    desk.after(60)
    assert unsent(desk.store) == 0


def test_a_storm_that_goes_on_is_told_of_now_and_then(desk: Desk) -> None:
    """Invariant 14: what is held back has a deadline."""
    desk.escalate(50)
    desk.after(0)
    for minute in range(1, 5):
        desk.escalate(10)
        with desk.store.write() as tx:  # so that it does not come to rest
            tx.execute(sa.update(storms.transitions).values(at=desk.now + timedelta(minutes=9)))
        told = desk.after(60 * minute)
        assert told == []
    (digest,) = desk.after(601)
    assert "90 notifications in one" in digest


def test_what_is_held_back_for_a_receiver_that_goes_away_is_not_forgotten(desk: Desk) -> None:
    desk.escalate(50)
    desk.after(0)
    gone = Notifier(config.Notify(console=False), desk.store, "lab", mask=str)
    while gone.step(desk.now):
        pass
    with desk.store.read() as tx:
        assert storms.active(tx) == {} and storms.held(tx, "chat") == ()
