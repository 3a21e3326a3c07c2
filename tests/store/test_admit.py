"""Admission: deliveries become incidents, once per activation, in pieces."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner.errors import StoreError
from runner.incident import Alert, Level, State
from runner.incident.firing import MOST_PER_HOUR, WAIT
from runner.intake import admit
from runner.intake.admit import Inbox
from runner.intake.payload import Delivery, parse
from runner.store import audit_log, deliveries, firings, incidents, tables
from runner.store.database import Database
from tests import small_project as small

pytestmark = pytest.mark.store

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """An inbox that notes what it would start."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.started: list[int] = []
        self.truncated: list[int] = []
        self.inbox = Inbox(
            database,
            parse=lambda body, source, at: parse(body, source=source, at=at),
            start=lambda tx, incident: self.started.append(incident),
            complete=self._complete,
            environment="test",
        )

    def _complete(self, delivery: Delivery) -> None:
        self.truncated.append(delivery.truncated)

    def store(self, *alerts: dict[str, Any], at: datetime | None = None, **fields: Any) -> None:
        self.hand_in(small.body(*alerts, **fields), at)

    def hand_in(self, body: bytes, at: datetime | None = None) -> None:
        with self.database.write() as tx:
            deliveries.add(
                tx,
                body=body,
                alerts=parse(body).alerts,
                source="webhook",
                ceiling=Level.AUTO,
                at=at or datetime.now(UTC),
                sender="alertmanager",
            )

    def deliver(self, *alerts: dict[str, Any], **fields: Any) -> None:
        self.store(*alerts, **fields)
        while self.inbox.step():
            pass

    def end(self, incident: int, state: State = State.OBSERVED) -> None:
        with self.database.write() as tx:
            incidents.move(tx, incident, state, "it ended")

    def reasons(self) -> list[str]:
        with self.database.read() as tx:
            return [found.reason for found in reversed(incidents.find(tx, limit=1000))]

    def states(self) -> list[State]:
        with self.database.read() as tx:
            return [found.state for found in reversed(incidents.find(tx, limit=1000))]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def firing(minutes: float = 0, **labels: str) -> dict[str, Any]:
    return small.alert(starts_at=BEGUN + timedelta(minutes=minutes), **labels)


def resolved(minutes: float = 0) -> dict[str, Any]:
    return small.alert(status="resolved", starts_at=BEGUN + timedelta(minutes=minutes))


def test_a_redelivery_counts_and_nothing_else(desk: Desk) -> None:
    """Rule 4: the key is fingerprint and activation."""
    for _ in range(3):
        desk.deliver(firing())
    assert desk.started == [1]
    with desk.database.read() as tx:
        assert incidents.get(tx, 1).deliveries == 3


def test_an_activation_that_moves_while_firing_is_the_same(desk: Desk) -> None:
    """Rule 4: `startsAt` may move for one continuous firing."""
    desk.deliver(firing())
    desk.deliver(firing(minutes=3))
    assert desk.started == [1]


def test_firing_anew_after_it_resolved_is_another_incident(desk: Desk) -> None:
    desk.deliver(firing())
    desk.deliver(resolved())
    desk.deliver(firing(minutes=5))
    assert desk.started == [1, 2]
    assert desk.states() == [State.RESOLVED, State.ADMITTED]


def test_a_late_message_of_an_earlier_firing_is_looked_at_and_marked(desk: Desk) -> None:
    """Invariant 18: a retried snapshot may arrive after the alert resolved; so may a firing that
    the message of its end overtook. Neither is lost, and neither runs by itself."""
    desk.deliver(firing(minutes=5))
    desk.deliver(resolved(minutes=5))
    desk.deliver(firing())
    assert desk.started == [1, 2]
    with desk.database.read() as tx:
        assert incidents.get(tx, 2).alert.late
    assert admit.LATE in desk.reasons()[1]


def test_a_late_message_about_an_alert_that_fires_is_no_news(desk: Desk) -> None:
    desk.deliver(firing())
    desk.deliver(resolved())
    desk.deliver(firing(minutes=5))
    desk.deliver(firing())
    assert desk.started == [1, 2]
    with desk.database.read() as tx:
        assert not incidents.get(tx, 2).alert.late


def test_resolved_ends_only_what_has_not_started_to_run(desk: Desk) -> None:
    desk.deliver(firing())
    with desk.database.write() as tx:
        incidents.move(tx, 1, State.RUNNING, "runs")
    desk.deliver(resolved())
    assert desk.states() == [State.RUNNING]
    with desk.database.read() as tx:
        assert not incidents.still_firing(tx, 1)


def test_each_alert_of_a_mixed_group_counts_for_itself(desk: Desk) -> None:
    """Rule 3: the group's status is ignored."""
    desk.deliver(firing(), firing(n="other"))
    desk.deliver(resolved(), firing(n="other"), firing(n="third"), status="firing")
    assert desk.states() == [State.RESOLVED, State.ADMITTED, State.ADMITTED]


def test_what_alertmanager_cut_off_is_fetched_once(desk: Desk) -> None:
    """Rule 5: `truncatedAlerts` above zero asks the API for the rest."""
    desk.deliver(*(firing(n=str(number)) for number in range(60)), truncatedAlerts=7)
    assert desk.truncated == [7]
    assert len(desk.started) == 60


def test_what_was_taken_for_resolved_is_handled_when_it_is_told_again(desk: Desk) -> None:
    """Invariant 1: Alertmanager did not have the alert once, which proves nothing."""
    desk.deliver(firing())
    with desk.database.write() as tx:
        incidents.move(tx, 1, State.RESOLVED, "Alertmanager no longer has the alert")
    desk.deliver(firing())
    desk.deliver(firing())
    assert desk.started == [1, 2]
    assert desk.states() == [State.RESOLVED, State.ADMITTED]


def test_what_fires_on_in_a_later_message_is_no_longer_late(desk: Desk) -> None:
    desk.deliver(resolved())
    desk.deliver(firing())
    desk.deliver(firing(minutes=5))
    assert desk.started == [1]
    with desk.database.read() as tx:
        assert not incidents.get(tx, 1).alert.late


def test_old_activations_are_admitted(desk: Desk) -> None:
    """Rule 10: an old `startsAt` is no reason to refuse."""
    desk.deliver(firing(minutes=-60 * 24 * 365))
    assert desk.states() == [State.ADMITTED]


def test_a_crash_between_pieces_goes_on_where_it_was(desk: Desk) -> None:
    """Invariant 1: a piece and the note of it are one transaction."""
    desk.store(*(firing(n=str(number)) for number in range(admit.PIECE * 2 + 3)))
    assert desk.inbox.step()
    again = Desk(desk.database)
    while again.inbox.step():
        pass
    assert len(desk.started) + len(again.started) == admit.PIECE * 2 + 3
    assert len(desk.states()) == admit.PIECE * 2 + 3


def test_a_failure_inside_a_piece_leaves_nothing_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: incidents and the note of progress are there together or not at all."""
    desk.store(firing(), firing(n="other"))

    def broken(*args: object, **options: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "advance", broken)
        with pytest.raises(StoreError):
            desk.inbox.step()
    assert desk.states() == []
    while desk.inbox.step():
        pass
    assert desk.states() == [State.ADMITTED] * 2


def test_an_inbox_that_met_an_error_of_its_own_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: no failure, foreseen or not, ends the thread that looks at deliveries."""
    honest, failures = incidents.latest_of, [RuntimeError("nobody thought of it")]

    def once(tx: sa.Connection, fingerprint: str) -> Any:
        if failures:
            raise failures.pop()
        return honest(tx, fingerprint)

    monkeypatch.setattr(incidents, "latest_of", once)
    desk.store(firing())
    desk.inbox.start()
    try:
        until = time.monotonic() + 60
        while not desk.states() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        desk.inbox.stop()
    assert (desk.states(), failures) == ([State.ADMITTED], [])


def test_a_stored_body_that_no_longer_parses_does_not_block_the_others(desk: Desk) -> None:
    desk.store(firing())
    with desk.database.write() as tx:
        tx.execute(tables.deliveries.update().values(body=b"{"))
    desk.deliver(firing(n="other"))
    assert desk.states() == [State.ADMITTED]


def deliver_steps(desk: Desk, name: str, shift: timedelta = timedelta()) -> None:
    """Hand in the messages of an input, one after the other."""
    content = json.loads((Path(__file__).parents[1] / f"inputs/{name}.json").read_text())
    ahead = (datetime.now(UTC) + shift).isoformat()
    for number, step in enumerate(content.get("steps", [content])):
        for alert in step["alerts"] if shift and number < 2 else ():
            alert["startsAt"] = ahead
        desk.hand_in(json.dumps(step).encode())
        while desk.inbox.step():
            pass


@pytest.mark.parametrize("end", [None, State.OBSERVED, State.DENIED, State.FIXED])
@pytest.mark.parametrize(
    ("name", "shift"),
    [
        ("poison-year-9999", timedelta()),
        ("poison-one-day-ahead", timedelta(days=1)),
        ("poison-one-day-ahead", timedelta(hours=-24)),
    ],
)
def test_no_start_in_the_future_makes_us_deaf_for_an_alert(
    desk: Desk, name: str, shift: timedelta, end: State | None
) -> None:
    """Invariant 18: a message whose clock is ahead never suppresses an honest one."""
    if end is not None:
        start = desk.inbox._start

        def ended(tx: sa.Connection, incident: int) -> None:
            start(tx, incident)
            if len(desk.started) == 1:
                incidents.move(tx, incident, end, "it ended")

        desk.inbox._start = ended
    deliver_steps(desk, name, shift)
    assert desk.started == [1, 2]
    assert desk.states()[1] is State.ADMITTED


def test_a_start_that_is_far_ahead_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 18: skew beyond a bound is told: in the incident's reason and in the log."""
    with caplog.at_level(logging.WARNING):
        desk.deliver(small.alert(starts_at=datetime.now(UTC) + timedelta(days=1)))
    assert "ahead of our clock" in desk.reasons()[0]
    assert "ahead of our clock" in caplog.text


def test_two_alerts_of_one_sent_fingerprint_are_two_incidents(desk: Desk) -> None:
    """Invariant 18: the fingerprint is computed, so no alert takes another one's place."""
    deliver_steps(desk, "fingerprint-collision")
    assert desk.states() == [State.ADMITTED] * 2


def test_the_end_of_one_alert_is_not_that_of_another_with_its_fingerprint(desk: Desk) -> None:
    """Invariant 18: a resolved alert does not end another one that was sent with its name."""
    deliver_steps(desk, "fingerprint-firing-and-resolved")
    assert desk.states() == [State.ADMITTED]


def test_a_firing_that_its_end_overtook_is_not_lost(desk: Desk) -> None:
    """Invariant 18: without an Alertmanager to ask, a person is: see test_policy_contradictions."""
    deliver_steps(desk, "late-firing-after-resolved")
    with desk.database.read() as tx:
        assert incidents.get(tx, 1).alert.late


def test_who_delivered_is_told(desk: Desk) -> None:
    desk.deliver(firing())
    assert desk.reasons()[0] == "Down is firing (received from webhook by alertmanager)"


# What ended, while the alert fires on.

MINUTE = timedelta(minutes=1)


def test_a_sender_that_repeats_itself_every_minute_opens_few_incidents(desk: Desk) -> None:
    """Invariant 22: looked at again after one hour, then two: neither swallowed nor a flood."""
    for minute in range(0, 60 * 8, 4):
        desk.deliver(firing(), at=BEGUN + minute * MINUTE)
        for state, number in zip(desk.states(), desk.started, strict=True):
            if not state.ended:
                desk.end(number)
                _ended_at(desk, number, BEGUN + minute * MINUTE)
    assert desk.started == [1, 2, 3, 4]  # at once, after 1, 3 and 7 hours
    assert "ended observed, and it still fires" in _first_reason(desk, 2)


def _ended_at(desk: Desk, incident: int, at: datetime) -> None:
    """The end of an incident as if it had been then."""
    rows = tables.transitions
    with desk.database.write() as tx:
        tx.execute(rows.update().where(rows.c.incident == incident).values(at=at))


def _first_reason(desk: Desk, incident: int) -> str:
    with desk.database.read() as tx:
        return audit_log.of_incident(tx, incident)[0].reason


def test_another_start_after_the_end_is_another_activation(desk: Desk) -> None:
    """RULINGS 4 a: earlier or later, and whatever the clock of the sender says."""
    for number, minutes in enumerate((0, 5, -5, 60 * 24 * 365 * 1000), start=1):
        desk.deliver(firing(minutes))
        assert desk.started == list(range(1, number + 1))
        desk.end(number)


def test_a_start_that_moves_all_the_time_waits_and_is_looked_at(desk: Desk) -> None:
    """Invariant 22: a script that sends the time of day as startsAt opens six incidents an
    hour; then it waits, and is looked at although it says no more."""
    for minute in range(10):
        desk.deliver(firing(minute))
        if desk.states()[-1] is State.ADMITTED:
            desk.end(desk.started[-1])
    assert len(desk.started) == MOST_PER_HOUR
    now = datetime.now(UTC)
    again = partial(admit.look_again, desk.database, desk.inbox._start)
    assert again(now) == 0
    assert again(now + WAIT) == 1
    assert again(now + WAIT) == 0
    assert len(desk.started) == MOST_PER_HOUR + 1


def test_an_alert_that_resolved_while_it_waited_is_not_looked_at(desk: Desk) -> None:
    for minute in range(10):
        desk.deliver(firing(minute))
        if desk.states()[-1] is State.ADMITTED:
            desk.end(desk.started[-1])
    desk.deliver(resolved(10))
    assert admit.look_again(desk.database, desk.inbox._start, datetime.now(UTC) + WAIT) == 0


def test_silence_for_twice_the_longest_pause_ends_an_activation(desk: Desk) -> None:
    """RULINGS 4 c: what is told again after that fires anew."""
    for minute in (0, 20, 40, 60):
        desk.deliver(firing(), at=BEGUN + minute * MINUTE)
    desk.end(1)
    desk.deliver(firing(), at=BEGUN + 99 * MINUTE)
    assert desk.started == [1]
    desk.deliver(firing(), at=BEGUN + (99 + 79) * MINUTE)
    assert desk.started == [1, 2]
    assert "no delivery for unusually long" in desk.reasons()[1]


def test_an_alert_that_joined_another_waits_for_that(desk: Desk) -> None:
    """It is one row that is taken up when the other one has ended."""
    desk.deliver(firing())
    with desk.database.write() as tx:
        incidents.move(tx, 1, State.SUPPRESSED, "joined", joined=7)
    desk.deliver(firing(minutes=3))
    desk.deliver(firing(minutes=9))
    assert desk.started == [1]


# What Alertmanager lists.


def pulled(alert: dict[str, Any]) -> Alert:
    return replace(parse(small.body(alert)).alerts[0], source="pull")


def unheard(desk: Desk, *alerts: dict[str, Any]) -> int:
    active, hour = [pulled(alert) for alert in alerts], timedelta(hours=1)
    with desk.database.read() as tx:
        return len(admit.unheard(tx, active, datetime.now(UTC), look_again=hour))


def test_rule_12_what_is_listed_and_never_arrived_is_taken_in(desk: Desk) -> None:
    """Rule 12: reconcile with the API at start-up and every N minutes."""
    assert unheard(desk, firing()) == 1
    desk.deliver(firing())
    assert unheard(desk, firing()) == 0


def test_rule_4_another_activation_without_a_message_is_taken_in(desk: Desk) -> None:
    """Resolved and fired again inside one group interval: Alertmanager says nothing."""
    desk.deliver(firing())
    assert unheard(desk, firing(minutes=5)) == 0  # the incident that is open handles it
    desk.end(1, State.FIXED)
    assert unheard(desk, firing()) == 0
    assert unheard(desk, firing(minutes=5)) == 1
    assert unheard(desk, firing(minutes=-5)) == 1


def test_what_was_taken_for_resolved_and_is_listed_is_taken_in(desk: Desk) -> None:
    """Invariant 1: Alertmanager did not have it when it was asked, and now it does."""
    desk.deliver(firing())
    desk.end(1, State.RESOLVED)
    assert unheard(desk, firing()) == 1


def test_rule_7_what_is_no_longer_listed_is_only_noted(desk: Desk) -> None:
    """Rule 7 and RULINGS 4 b: no proof of a fix, but whoever tells of it then tells of a new
    firing. What Alertmanager never listed, as another sender's alerts, it cannot lose."""
    desk.deliver(firing())
    with desk.database.read() as tx:
        assert firings.listed(tx) == ()
    with desk.database.write() as tx:
        admit.note_listed(tx, [pulled(firing())], datetime.now(UTC))
        (key,) = firings.listed(tx)
        admit.note_gone(tx, [key], datetime.now(UTC))
        assert firings.listed(tx) == ()
    assert desk.states() == [State.ADMITTED]
    desk.deliver(firing())
    assert desk.started == [1]  # the incident is open, so it is about this one
    with desk.database.write() as tx:
        admit.note_gone(tx, [key], datetime.now(UTC))
    desk.end(1)
    desk.deliver(firing())
    assert desk.started == [1, 2]


def test_two_processes_that_take_in_one_alert_open_one_incident(desk: Desk) -> None:
    """Rule 4: peers of a cluster deliver at once, and on PostgreSQL two processes look at it."""
    alerts = [firing(n=str(number)) for number in range(20)]
    for order in (alerts, alerts[::-1]) * 4:
        desk.store(*order)
    others = [Desk(desk.database) for _ in range(4)]

    def look(other: Desk) -> None:
        while other.inbox.step():
            pass

    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(look, others))
    assert len(desk.states()) == len(alerts)
