"""Where parts of the fence meet: what one of them decides must hold in the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.config import Approval as Settings
from runner.config import Turns
from runner.daemon import Daemon
from runner.engine.dispatch import Dispatcher
from runner.errors import InventoryError, Refused
from runner.evidence.mask import Mask
from runner.execute import supervisor
from runner.execute.diff import NOTHING
from runner.incident import Approval, Level, State
from runner.intake.payload import compose
from runner.intake.payload import parse as parse_body
from runner.inventory import Inventory, parse
from runner.inventory.reader import InventoryReader
from runner.policy import approve
from runner.project import Project
from runner.steps.locate import locate
from runner.store import incidents, tables, waiting
from runner.store.database import Database
from runner.store.order import Stage
from tests import small_project as small
from tests.store.test_admit import Desk, desk, firing
from tests.store.test_daemon import admitted

__all__ = ["desk"]  # a fixture


def test_an_inventory_that_cannot_be_read_stops_no_turn(database: Database, desk: Desk) -> None:
    """Invariant 22: the steps find out and tell people; whoever hands them over must not wait."""
    desk.deliver(firing())

    def broken() -> Inventory:
        raise InventoryError("hosts.yml: the inventory cannot be read")

    handed: list[int] = []

    class Queue:
        def hand_over(self, tx: Any, turn: waiting.Turn) -> None:
            handed.append(turn.incident)

    with database.write() as tx:
        waiting.add(
            tx,
            key="k",
            workflow="remediate",
            incident=1,
            ready_at=datetime.now(UTC),
            stage=Stage.PROBE,
        )
    queue: Any = Queue()
    dispatcher = Dispatcher(database, queue, Turns(), worker="w", inventory=broken)
    assert dispatcher.step() == 1
    assert handed == [1]


def test_an_inventory_that_cannot_be_read_is_not_asked_at_each_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 21: each question starts Ansible."""
    asked = []

    def fails(*_: Any, **__: Any) -> Inventory:
        asked.append(1)
        raise InventoryError("broken")

    monkeypatch.setattr(Inventory, "load", fails)
    (tmp_path / "hosts.yml").write_text("all:")
    reader = InventoryReader((tmp_path / "hosts.yml",), {})
    for _ in range(3):
        with pytest.raises(InventoryError, match="broken"):
            reader.read(timedelta(minutes=1))
    assert len(asked) == 1
    (tmp_path / "hosts.yml").write_text("all: {}")
    reader._stamped = None  # as if its second were over
    with pytest.raises(InventoryError):
        reader.read(timedelta(minutes=1))
    assert len(asked) == 2


def test_what_is_told_again_counts_as_the_last_message_says(desk: Desk) -> None:
    """Invariant 18: level and sender of an earlier try do not stay with the alert."""
    desk.deliver(firing())
    with desk.database.write() as tx:
        tx.execute(tables.incidents.update().values(ceiling=Level.OBSERVE, sender="user:bob"))
    desk.end(1)
    desk.store(firing(), at=datetime.now(UTC) + timedelta(hours=2))
    while desk.inbox.step():
        pass
    with desk.database.read() as tx:
        again = incidents.get(tx, 2)
    assert (again.ceiling, again.sender) == (Level.AUTO, "alertmanager")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = small.project(small.make(tmp_path))
    yield made
    made.close()


def test_nobody_joins_what_is_held_back(project: Project) -> None:
    """Invariant 22: a critical alert must not wait a day for one that waits itself."""
    admitted(project, small.alert(host="web1", n="1"), small.alert(host="web1", n="2"))
    assert locate(project, 1)
    with project.database.write() as tx:
        soon = datetime.now(UTC) + timedelta(hours=8)
        assert incidents.hold(tx, 1, "a freeze", until=soon, longest=timedelta(days=1))
    assert locate(project, 2), "it goes its own way"


def test_what_joined_wakes_when_the_other_is_held_back(project: Project) -> None:
    """Invariant 22."""
    admitted(project, small.alert(host="web1", n="1"), small.alert(host="web1", n="2"))
    assert locate(project, 1)
    assert not locate(project, 2), "it joins the first"
    with project.database.write() as tx:
        assert incidents.left_joined(tx) == ()
        soon = datetime.now(UTC) + timedelta(hours=8)
        assert incidents.hold(tx, 1, "a freeze", until=soon, longest=timedelta(days=1))
        assert [found.id for found in incidents.left_joined(tx)] == [2]
        assert incidents.get(tx, 2).state is State.SUPPRESSED


def test_a_log_that_cannot_be_written_does_not_stop_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Invariant 21: what is lost is only shown; Ansible must not stand still halfway."""
    log = supervisor.Log(Path("/dev/full"), [tmp_path / "variables.json"], NOTHING, Mask())
    for number in range(100):
        log.put({"counter": number, "event": "verbose", "stdout": "x" * 100})
    log.close()
    assert "could not be kept" in capfd.readouterr().err


def test_what_a_resolver_cannot_say_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner import inventory as module

    listing = {
        "_meta": {"hostvars": {"a": {"ansible_host": "{{ x }}"}}},
        "all": {"hosts": ["a"]},
    }
    monkeypatch.setattr(module, "_output", lambda *_: "Traceback: no JSON")
    with pytest.raises(InventoryError, match="cannot be resolved"):
        module._resolved(parse(json.dumps(listing)), (Path("hosts.ini"),), {})


def test_who_has_it_handled_again_is_barred_beside_who_delivered(desk: Desk) -> None:
    """Invariant 16: four eyes; cat asked for it again, ann had delivered it."""
    desk.deliver(firing())
    with desk.database.write() as tx:
        tx.execute(tables.incidents.update().values(sender="user:ann"))
    desk.end(1)
    with desk.database.write() as tx:
        found = incidents.get(tx, 1)
        second = incidents.reopen(tx, found, reason="again", actor="user:cat")
        third = incidents.reopen(tx, incidents.get(tx, second), reason="again", actor="user:dan")
        assert incidents.get(tx, second).asked_by == ("user:ann", "user:cat")
        asked = incidents.get(tx, third)
    assert asked.asked_by == ("user:ann", "user:cat", "user:dan")
    assert asked.requested_by is None, "the pre-flight still asks whether it fires"


@pytest.mark.parametrize("by", ["user:ann", "user:cat"])
def test_nobody_of_those_who_asked_approves(by: str) -> None:
    now = datetime.now(UTC)
    question = Approval(
        id=1,
        incident=1,
        plan="a" * 64,
        requested_by="user:ann, user:cat",
        requested_at=now,
        expires_at=now + timedelta(minutes=1),
    )
    with pytest.raises(Refused, match="asked for it"):
        approve.check_four_eyes(question, by=by, settings=Settings(four_eyes=True))
    approve.check_four_eyes(question, by="user:bob", settings=Settings(four_eyes=True))


@pytest.mark.parametrize(("ended", "told"), [(timedelta(hours=2), 1), (timedelta(), 0)])
def test_an_own_alert_that_fires_on_is_told_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, ended: timedelta, told: int
) -> None:
    """Invariant 22: no Alertmanager repeats what a watch found; we do, after a while."""
    found = replace(parse_body(small.body(small.alert())).alerts[0], source="watch")
    acts.deliver(project, compose([found], source="watch").raw, source="watch")
    daemon = Daemon(project)
    while daemon._inbox.step():
        pass
    with project.database.write() as tx:
        incidents.move(tx, 1, State.ESCALATED, "nobody answered")
        at = datetime.now(UTC) - ended
        tx.execute(tables.transitions.update().values(at=at))
        tx.execute(tables.incidents.update().values(updated_at=at))
    again: list[object] = []
    monkeypatch.setattr(daemon, "_deliver", again.append)
    daemon._look_at_own()
    assert len(again) == told
