"""Admission: deliveries become incidents, once per activation, in pieces."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import admit
from runner.admit import Inbox
from runner.errors import StoreError
from runner.incident import Level, State
from runner.intake.payload import Delivery, parse
from runner.store import deliveries, incidents, tables
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
            parse=lambda body, source: parse(body, source=source),
            start=lambda tx, incident: self.started.append(incident),
            complete=self._complete,
            environment="test",
        )

    def _complete(self, delivery: Delivery) -> None:
        self.truncated.append(delivery.truncated)

    def store(self, *alerts: dict[str, Any], **fields: Any) -> None:
        with self.database.write() as tx:
            deliveries.add(
                tx,
                body=small.body(*alerts, **fields),
                alerts=parse(small.body(*alerts)).alerts,
                source="webhook",
                ceiling=Level.AUTO,
                at=datetime.now(UTC),
            )

    def deliver(self, *alerts: dict[str, Any], **fields: Any) -> None:
        self.store(*alerts, **fields)
        while self.inbox.step():
            pass

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


def test_a_late_message_of_an_earlier_firing_is_not_another_incident(desk: Desk) -> None:
    """A retried snapshot may arrive after the alert resolved."""
    desk.deliver(firing(minutes=5))
    desk.deliver(resolved(minutes=5))
    desk.deliver(firing())
    assert desk.started == [1]


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


def test_what_a_message_resolved_stays_so(desk: Desk) -> None:
    """A retried snapshot of the same firing is no news."""
    desk.deliver(firing())
    desk.deliver(resolved())
    desk.deliver(firing())
    assert desk.started == [1]


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


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    messages=st.lists(
        st.tuples(st.sampled_from(["firing", "resolved"]), st.integers(0, 3)), max_size=10
    )
)
def test_whatever_the_order_no_activation_is_handled_twice(
    desk: Desk, messages: list[tuple[str, int]]
) -> None:
    """Invariant 1 and rule 4, over any order of messages about four activations."""
    with desk.database.write() as tx:
        tx.execute(sa.delete(tables.incidents))
    desk.started.clear()
    for status, minutes in messages:
        desk.deliver(firing(minutes) if status == "firing" else resolved(minutes))
    with desk.database.read() as tx:
        found = incidents.find(tx, limit=100)
    activations = [json.dumps(incident.alert.starts_at.isoformat()) for incident in found]
    assert len(activations) == len(set(activations)) == len(desk.started)
    if any(status == "firing" for status, _ in messages):
        assert desk.started
