"""Whose turn it is: in the inbox, before the engine, and for the slots of playbooks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Turns
from runner.engine import Queue, dispatch
from runner.engine.dispatch import Dispatcher
from runner.incident import Level
from runner.intake.payload import parse
from runner.inventory import Inventory
from runner.inventory import parse as parse_inventory
from runner.store import deliveries, incidents, tables, waiting
from runner.store.database import Database
from runner.store.order import FairSlots, FairTurns, Rank, Stage, Urgency, place_of, urgency_of
from tests import small_project as small

LOW, CRITICAL = Urgency.LOW, Urgency.CRITICAL


# --- turns ---------------------------------------------------------------------------------


def test_a_host_that_waits_with_many_has_one_turn_at_a_time() -> None:
    """Invariant 21: who comes later is next, however many wait at the other host."""
    turns = FairTurns()
    assert [turns.next({"a": LOW}) for _ in range(100)] == ["a"] * 100
    assert [turns.next({"a": LOW, "b": LOW}) for _ in range(4)] == ["b", "a", "b", "a"]


def test_more_urgent_hosts_come_round_more_often() -> None:
    turns = FairTurns()
    given_to = Counter(turns.next({"a": LOW, "b": CRITICAL}) for _ in range(90))
    assert given_to == {"a": 10, "b": 80}


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(Urgency), min_size=1)))
def test_nobody_waits_longer_than_the_others_weigh(rounds: list[dict[str, Urgency]]) -> None:
    """Invariant 14: who waits all the time is served, whatever the others do."""
    turns, since = FairTurns(), 0
    for others in rounds:
        waiting_now = {**others, "z": LOW}
        since = 0 if turns.next(waiting_now) == "z" else since + 1
        assert since <= 5 * CRITICAL.weight
    assert len(turns._ends) <= 5


@pytest.mark.parametrize(
    ("labels", "urgency"),
    [
        ({"severity": "critical"}, CRITICAL),
        ({"severity": "Critical "}, CRITICAL),
        ({"priority": "P1"}, CRITICAL),
        ({"severity": "page"}, CRITICAL),
        ({"severity": "warning"}, Urgency.WARNING),
        ({"severity": "anything else"}, LOW),
        ({}, LOW),
    ],
)
def test_urgency_is_what_the_alert_says(labels: dict[str, str], urgency: Urgency) -> None:
    assert urgency_of(labels) is urgency


def test_the_place_is_the_host_that_the_alert_names() -> None:
    assert place_of({"instance": "web1:9100", "host": "other"}) == "web1"
    assert place_of({"node": "db1"}) == "db1"
    assert place_of({"alertname": "Down"}) == ""
    assert len(place_of({"instance": "x" * 10_000})) <= 255


# --- slots ---------------------------------------------------------------------------------


def test_slots_go_round_the_hosts_then_by_severity_stage_and_age() -> None:
    """Invariant 21: a run before a dry run before a probe, within a host and severity."""
    slots, order = FairSlots(1), list[str]()
    asked = [
        ("a", LOW, Stage.PROBE),
        ("a", LOW, Stage.RUN),
        ("a", CRITICAL, Stage.PROBE),
        ("a", CRITICAL, Stage.DRY_RUN),
        ("b", LOW, Stage.PROBE),
    ]

    def take(host: str, urgency: Urgency, stage: Stage) -> None:
        with slots.slot(Rank(host=host, urgency=urgency, stage=stage)):
            order.append(f"{host} {urgency.name} {stage.name}")

    with slots.slot(Rank(host="c", urgency=LOW, stage=Stage.RUN)):
        threads = [threading.Thread(target=take, args=one) for one in asked]
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while sum(map(len, slots._waiting.values())) < number:
                pass
    for thread in threads:
        thread.join()
    assert order == [
        "a CRITICAL DRY_RUN",
        "b LOW PROBE",
        "a CRITICAL PROBE",
        "a LOW RUN",
        "a LOW PROBE",
    ]
    assert slots._free == 1 and not slots._waiting


def storm(slots: FairSlots, ranks: list[Rank]) -> list[Rank]:
    """The order in which they get the one slot, when all of them wait for it."""
    order: list[Rank] = []

    def take(rank: Rank) -> None:
        with slots.slot(rank):
            order.append(rank)

    with slots.slot(Rank(host="first", urgency=CRITICAL, stage=Stage.RUN)):
        threads = [threading.Thread(target=take, args=(rank,)) for rank in ranks]
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while sum(map(len, slots._waiting.values())) < number:
                pass
    for thread in threads:
        thread.join()
    return order


def test_in_a_storm_what_was_begun_ends_before_the_next_begins() -> None:
    """The first of thirty was fixed after all thirty had been probed."""
    slots = FairSlots(1)
    probed = storm(slots, [_on(n, LOW, Stage.PROBE) for n in range(3)])
    assert [rank.incident for rank in probed] == [0, 1, 2]
    waiting_now = [
        *(_on(n, LOW, Stage.PROBE) for n in range(3, 9)),
        _on(2, LOW, Stage.DRY_RUN),
        _on(1, LOW, Stage.DRY_RUN),
        _on(0, LOW, Stage.RUN),
    ]
    assert [rank.incident for rank in storm(slots, waiting_now)] == [0, 1, 2, *range(3, 9)]


def test_in_a_storm_what_is_more_urgent_does_not_wait_for_what_was_begun() -> None:
    asked = [_on(0, LOW, Stage.RUN), _on(1, LOW, Stage.RUN), _on(2, CRITICAL, Stage.PROBE)]
    assert [rank.incident for rank in storm(FairSlots(1), asked)] == [2, 0, 1]


def _on(number: int, urgency: Urgency, stage: Stage) -> Rank:
    return Rank(host=f"web{number}", urgency=urgency, stage=stage, incident=number)


# --- the inbox -----------------------------------------------------------------------------


def store(database: Database, *alerts: dict[str, Any]) -> int:
    body = small.body(*alerts)
    with database.write() as tx:
        return deliveries.add(
            tx, body=body, alerts=parse(body).alerts, source="webhook",
            ceiling=Level.AUTO, at=datetime.now(UTC),
        )  # fmt: skip


def looked_at(database: Database) -> list[int]:
    """Deliveries in the order in which the inbox takes them."""
    turns, order = FairTurns(), []
    while True:
        with database.write() as tx:
            found = deliveries.next_open(tx, turns)
            if found is None:
                return order
            order.append(found.id)
            deliveries.advance(tx, found.id, 1, done=True)


@pytest.mark.store
def test_deliveries_of_hosts_take_turns(database: Database) -> None:
    """Invariant 21: and the critical ones of a host overtake its others."""
    for _ in range(5):
        store(database, small.alert(severity="warning"))
    other = store(database, small.alert(host="web2", severity="warning"))
    critical = store(database, small.alert(severity="critical"))
    assert looked_at(database) == [critical, other, 1, 2, 3, 4, 5]


@pytest.mark.store
def test_messages_of_one_alert_stay_in_order(database: Database) -> None:
    """Invariant 18: a delivery that may hold an older message of an alert is not overtaken."""
    mixed = store(database, small.alert(), small.alert(host="web2"))
    store(database, small.alert(severity="critical"))
    both = store(database, small.alert(severity="critical"), small.alert(severity="warning"))
    assert looked_at(database) == [mixed, 2, both]
    store(database, small.alert(severity="warning"))
    mixed = store(database, small.alert(severity="critical"), small.alert(severity="warning"))
    last = store(database, small.alert(severity="critical"))
    other = store(database, small.alert(host="web2", severity="critical"))
    assert looked_at(database) == [other, 4, mixed, last]


# --- before the engine ---------------------------------------------------------------------


class Line:
    """Incidents that wait, and a dispatcher that hands them over."""

    def __init__(self, database: Database, **settings: int) -> None:
        self.database = database
        self.queue = Queue(database)
        self.number = 0
        self.dispatcher = Dispatcher(
            database, self.queue, Turns(**settings), worker="w", inventory=lambda: INVENTORY
        )

    def wait(self, *alerts: dict[str, Any], delay: float = 0.0) -> None:
        with self.database.write() as tx:
            for alert in parse(small.body(*alerts)).alerts:
                made = incidents.open_incident(
                    tx, alert, environment="test", ceiling=Level.AUTO, reason="new"
                )
                assert made is not None
                self.queue.remediate(tx, made, delay=delay)

    def begun(self) -> list[int]:
        """Incidents that were handed over now, in order; they end at once."""
        self.dispatcher.step()
        with self.database.write() as tx:
            turns = waiting.begun(tx, "w")
            for turn in turns:
                waiting.end(tx, turn.key)
        return [turn.incident for turn in turns]


INVENTORY: Inventory = parse_inventory(
    '{"_meta": {"hostvars": {"web1": {}, "web2": {}}}, "all": {"hosts": ["web1", "web2"]}}'
)


@pytest.fixture
def line(database: Database) -> Iterator[Line]:
    yield Line(database, incidents=8, per_host=4)


def noise(count: int, host: str = "web1", **labels: str) -> list[dict[str, Any]]:
    return [small.alert("Noise", host, number=str(n), **labels) for n in range(count)]


@pytest.mark.store
def test_what_this_process_adds_is_handed_over_without_a_poll(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "POLL", 600.0)
    looked = threading.Event()
    step = line.dispatcher.step

    def counted() -> int:
        handed = step()
        looked.set() if handed else None
        return handed

    monkeypatch.setattr(line.dispatcher, "step", counted)
    line.queue.added = line.dispatcher.wake
    line.dispatcher.start()
    try:
        line.wait(small.alert(host="web1"))
        assert looked.wait(60)
    finally:
        line.dispatcher.stop()


@pytest.mark.store
def test_a_flood_of_one_host_leaves_room_for_others(line: Line) -> None:
    """Invariant 21: no host has more than its share, and the critical one is next."""
    line.wait(*noise(50))
    line.wait(small.alert(host="web2", severity="critical"))
    assert sorted(line.begun()) == [1, 2, 3, 4, 51]
    assert sorted(line.begun()) == [5, 6, 7, 8]


@pytest.mark.store
def test_unknown_hosts_share_one_turn(line: Line) -> None:
    """Invariant 21: a thousand invented hosts are not a thousand turns."""
    for number in range(30):
        line.wait(small.alert(host=f"storm{number}", severity="critical"))
    line.wait(small.alert(host="web2"), small.alert(host="web1", severity="warning"))
    assert sorted(line.begun()) == [1, 2, 3, 4, 31, 32]


@pytest.mark.store
def test_some_room_is_kept_for_what_is_critical(database: Database) -> None:
    line = Line(database, incidents=8, per_host=8)
    line.wait(*noise(20))
    line.dispatcher.step()
    line.wait(small.alert(host="web1", severity="critical"))
    assert sorted(line.begun()) == [1, 2, 3, 4, 5, 6, 21]


@pytest.mark.store
def test_what_waits_for_a_time_is_not_begun_before(line: Line) -> None:
    line.wait(small.alert(), delay=600)
    assert line.begun() == []
    with line.database.write() as tx:
        assert waiting.count(tx, datetime.now(UTC)) == 0
        earlier = datetime.now(UTC) - timedelta(seconds=1)
        tx.execute(tables.waiting.update().values(ready_at=earlier))
        assert waiting.count(tx, datetime.now(UTC)) == 1
    assert line.begun() == [1]


@pytest.mark.store
def test_who_was_begun_and_is_gone_makes_room(line: Line) -> None:
    """Invariant 22: a place without a workflow under way is freed."""
    line.wait(*noise(3))
    line.dispatcher.step()
    with line.database.write() as tx:
        alive, later = {"incident-1-remediate"}, datetime.now(UTC) + timedelta(minutes=1)
        assert waiting.forget(tx, alive, later) == 2
        assert [turn.incident for turn in waiting.begun(tx, "w")] == [1]
