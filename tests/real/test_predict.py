"""Rounds of predictions over a real store; what Prometheus and the inventory say is set."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import config, predict
from runner.daemon import Daemon
from runner.errors import ConfigError, NotFound, Refused, RemoteError, StoreError, UsageError
from runner.evidence.samples import Sample, Series
from runner.incident import Incident, State
from runner.intake.admit import Inbox
from runner.intake.payload import parse
from runner.inventory import Inventory
from runner.inventory import parse as parse_inventory
from runner.notify import Notifier
from runner.project import Project
from runner.store import audit_log, incidents, nodes
from tests import small_project as small
from tests.local_hosts import needs_ansible
from tests.notify_servers import web

pytestmark = pytest.mark.store

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)
LOCAL = {"ansible_connection": "local"}
INVENTORY = {
    "all": {
        "hosts": dict.fromkeys(("n1", "n2", "n3", "s1", "s2", "web"), LOCAL),
        "children": {
            "storage": {"hosts": {"n1": {}, "n2": {}, "n3": {}}},
            "spares": {"hosts": {"s1": {}, "s2": {}}},
        },
    }
}
NODES = {
    "group": "storage",
    "spares": "spares",
    "members": "serving",
    "signals": [
        {"name": "fill", "promql": "fill", "warning": 0.8, "critical": 0.92},
        {"name": "memory", "promql": "memory", "warning": 0.8, "critical": 0.95, "weight": 0.5},
    ],
    "greylist": {"join_after": "1h", "critical_after": "30m", "leave_after": "2h",
                 "remind_every": "1h"},
}  # fmt: skip


class Metrics:
    """Answers like Prometheus, with one flat value for each node."""

    name = "Prometheus"

    def __init__(self) -> None:
        self.fill: dict[str, float] = {"n1": 0.4, "n2": 0.41, "n3": 0.39}
        self.serving: set[str] = {"n1", "n2", "n3"}
        self.away = False

    def query(self, promql: str, at: datetime | None = None) -> list[Sample]:
        self._answer()
        return [Sample(labels={"instance": f"{host}:2379"}, value=1) for host in self.serving]

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> list[Series]:
        self._answer()
        values = self.fill if promql == "fill" else dict.fromkeys(self.fill, 0.5)
        moments = [start + step * n for n in range(round((end - start) / step) + 1)]
        return [
            Series(labels={"instance": f"{node}:9100"}, points=tuple((at, value) for at in moments))
            for node, value in values.items()
        ]

    def rule_of(self, *_: object) -> None:
        """No rule made the alert: the runner did."""

    def _answer(self) -> None:
        if self.away:
            raise RemoteError("Prometheus cannot be reached")

    def close(self) -> None: ...


class World:
    """A project, its metrics, and a clock that moves from round to round."""

    def __init__(self, project: Project) -> None:
        self.project, self.metrics, self.now = project, Metrics(), START
        self.groups = {"storage": ["n1", "n2", "n3"], "spares": ["s1", "s2"]}
        project.__dict__["prometheus"] = self.metrics
        project.__dict__["inventory"] = self.inventory

    def inventory(self, *, fresh: bool = False) -> Inventory:
        """What ansible-inventory would say, without the second that it takes."""
        listed = {name: {"hosts": hosts} for name, hosts in self.groups.items()}
        hosts = {host: {} for members in self.groups.values() for host in members}
        return parse_inventory(json.dumps({"_meta": {"hostvars": hosts}, "all": {}} | listed))

    def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            assert predict.step(self.project, self.now)
            self.now += EVERY

    def admit(self) -> list[Incident]:
        inbox = Inbox(
            self.project.database,
            parse=lambda body, source, at: parse(body, source=source, at=at),
            start=lambda tx, incident: None,
            complete=lambda delivery: None,
            environment="test",
        )
        while inbox.step():
            pass
        with self.project.database.read() as tx:
            return list(incidents.find(tx))

    def acts(self) -> list[tuple[str, str]]:
        """(action, reason) of every transition that concerns no incident."""
        with self.project.database.read() as tx:
            return [(t.action, t.reason) for t in audit_log.walk(tx) if t.incident is None]

    def members(self) -> list[str]:
        with self.project.database.read() as tx:
            return [f"{one.node} {one.tier}" for one in nodes.members(tx)]

    def end(self, incident: int, state: State) -> None:
        with self.project.database.write() as tx:
            incidents.move(tx, incident, state, "for the test")


def made(folder: Path, store: str, *, model: Any = None, **changes: Any) -> Project:
    settings = {"nodes": NODES | changes} | ({"model": model} if model else {})
    project = small.project(small.make(folder, settings=settings, inventory=INVENTORY), store)
    script = Path(__file__).parents[2] / "inventories" / "example" / "greylist.py"
    shutil.copy(script, folder / "inventory" / "greylist.py")
    return project


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> Iterator[World]:
    project = made(tmp_path, store_url)
    yield World(project)
    project.close()


def test_healthy_nodes_leave_a_history_and_nothing_else(world: World) -> None:
    world.rounds(30)
    assert world.members() == [] and world.admit() == [] and world.acts() == []
    with world.project.database.read() as tx:
        assert len(nodes.history(tx, "n1")) == 2, "one in six hours says it all"


def test_a_warning_joins_the_greylist_and_becomes_an_incident(world: World) -> None:
    """Invariant 12: who joined, when and why is a row of the trail."""
    world.metrics.fill["n2"] = 0.85
    world.rounds(6)
    assert world.members() == ["n2 warning"]
    (action, reason) = world.acts()[0]
    assert action == "greylist_join" and "n2 is in the warning tier: fill is past" in reason
    (incident,) = world.admit()
    assert incident.alert.source == "prediction"
    assert incident.alert.labels["alertname"] == "StorageNodeWarning"
    assert incident.alert.labels["instance"] == "n2"
    world.rounds(3)
    assert len(world.admit()) == 1, "told once"


@pytest.mark.real
@needs_ansible[1]
def test_the_greylist_is_an_inventory_group_that_stands_without_the_store(world: World) -> None:
    world.metrics.fill["n2"] = 0.85
    world.rounds(6)
    del world.project.__dict__["inventory"]
    found = world.project.inventory()
    assert found.groups["greylisted"] == ("n2",)
    assert found.hosts["n2"].variables["runner_greylist_tier"] == "warning"
    world.project.close()  # the store is away; the file is not
    world.project.forget_inventory()
    assert world.project.inventory().groups["greylisted"] == ("n2",)


def test_from_warning_to_critical_the_alert_changes_too(world: World) -> None:
    world.metrics.fill["n2"] = 0.85
    world.rounds(6)
    world.admit()
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    assert world.members() == ["n2 critical"]
    critical, warning = world.admit()
    assert critical.alert.labels["alertname"] == "StorageNodeCritical"
    assert warning.state is State.RESOLVED, "its alert gave way to the other"


def test_it_leaves_by_itself_and_was_a_false_alarm(world: World) -> None:
    world.metrics.fill["n2"] = 0.85
    world.rounds(6)
    world.admit()
    world.metrics.fill["n2"] = 0.4
    world.rounds(10)
    assert world.members() == []
    assert [a for a, _ in world.acts() if "remind" not in a] == ["greylist_join", "greylist_leave"]
    assert world.admit()[0].state is State.RESOLVED
    with world.project.database.read() as tx:
        assert nodes.counted(tx) == {"false_alarm": 1}
    assert json.loads((world.project.state / "greylist.json").read_text())["greylisted"] == {
        "hosts": []
    }


def test_a_node_that_is_no_longer_measured_stays(world: World) -> None:
    """Invariant 10: nobody leaves because nothing is known of it."""
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    del world.metrics.fill["n2"]
    world.rounds(60)
    assert world.members() == ["n2 critical"]


def test_prometheus_being_away_moves_nobody(world: World) -> None:
    """Invariant 10: a round that sees nothing changes nothing, and pages for no spare."""
    world.metrics.fill["n2"] = 0.85
    world.rounds(6)
    before = world.members(), world.acts()[:1]
    world.metrics.away = True
    world.rounds(3)
    assert (world.members(), world.acts()[:1]) == before
    assert not [a for a, _ in world.acts() if a.startswith("spares")]
    with world.project.database.read() as tx:
        assert nodes.latest(tx)["n1"].tier == "unknown"


def test_reminders_go_out_until_it_is_settled(world: World) -> None:
    world.metrics.fill["n2"] = 0.85
    world.rounds(5)
    world.rounds(8)
    reminders = [reason for action, reason in world.acts() if action == "greylist_remind"]
    assert len(reminders) == 2 and "is not acknowledged" in reminders[0]
    predict.settle(world.project, "n2", by="user:ann", reason="disk ordered", now=world.now)
    world.rounds(20)
    actions = [action for action, _ in world.acts()]
    assert actions.count("greylist_remind") == 2 and actions[-1] == "greylist_settle"
    assert world.members() == ["n2 warning"], "it stays until it is healthy or gone"
    with pytest.raises(Refused, match="already acknowledged by user:ann"):
        predict.settle(world.project, "n2", by="user:bob", reason="too", now=world.now)
    with pytest.raises(NotFound):
        predict.settle(world.project, "n1", by="user:ann", reason="x", now=world.now)
    with pytest.raises(UsageError):
        predict.settle(world.project, "n2", by="nobody", reason="x", now=world.now)


def test_an_incident_that_ended_fixed_settles_its_node(world: World) -> None:
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    (incident,) = world.admit()
    world.end(incident.id, State.FIXED)
    world.rounds(1)
    assert ("greylist_settle", "n2 is acknowledged: fixed") in world.acts()


def test_a_replaced_node_that_is_gone_leaves_confirmed(world: World) -> None:
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    world.end(world.admit()[0].id, State.FIXED)
    del world.metrics.fill["n2"]
    world.rounds(12)
    assert world.members() == []
    assert "replaced (incident 1) and no longer measured" in world.acts()[-1][1]
    with world.project.database.read() as tx:
        assert nodes.counted(tx) == {"confirmed": 1}


def test_a_node_that_left_the_inventory_leaves_the_greylist(world: World) -> None:
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    world.groups["storage"].remove("n2")
    world.rounds(1)
    assert world.members() == []
    assert "no longer in group storage" in world.acts()[-1][1]


def test_nobody_is_gone_while_nothing_is_seen(world: World) -> None:
    """Invariant 10: a Prometheus that lost everything says nothing of one node."""
    world.metrics.fill["n2"] = 0.95
    world.rounds(4)
    world.end(world.admit()[0].id, State.FIXED)
    world.metrics.away = True
    world.rounds(12)
    assert world.members() == ["n2 critical"]


def test_a_greylist_that_cannot_be_written_is_a_sentence(world: World) -> None:
    world.project.state.parent.joinpath("var").mkdir(exist_ok=True)
    (world.project.state / "greylist.json").mkdir()
    with pytest.raises(StoreError, match="the greylist cannot be written"):
        predict.publish(world.project)


def test_the_last_spare_being_gone_pages_once(world: World) -> None:
    world.metrics.serving |= {"s1", "s2"}
    world.rounds(3)
    pages = [(a, r) for a, r in world.acts() if a.startswith("spares")]
    assert [action for action, _ in pages] == ["spares_empty"]
    assert "group spares has no free spare" in pages[0][1]
    world.metrics.serving -= {"s2"}
    world.rounds(2)
    assert world.acts()[-1] == ("spares_back", "group spares has spares again: 1 free: s2")


# apprise's mail module imports pgpy, or stands in for it, with a module that Python 3.13 drops.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_receivers_are_told_of_the_greylist_and_of_the_last_spare(world: World) -> None:
    """Each a message of its own: who joined, again at each interval, and that no spare is left."""
    with web() as site:
        receiver = config.Receiver(name="chat", url=f"json://{site.address}")
        notify = config.Notify(console=False, receivers=(receiver,))
        told = Notifier(notify, world.project.database, "lab", mask=str)

        def news() -> list[str]:
            told.step(world.now)
            found = [f"{body['title']}: {body['message']}" for body in site.bodies]
            site.bodies.clear()
            return found

        world.rounds(2)
        assert news() == []
        world.metrics.fill["n2"] = 0.85
        world.rounds(5)
        (joined,) = news()
        assert "[runner] greylist_join" in joined and "n2 is in the warning tier" in joined
        hour: list[list[str]] = []
        for _ in range(8):
            world.rounds(1)
            hour.append(news())
        assert [len(found) for found in hour] == [0, 0, 0, 1, 0, 0, 0, 1], "every hour"
        assert "[runner] greylist_remind" in hour[3][0] and "n2" in hour[3][0]
        predict.settle(world.project, "n2", by="user:ann", reason="disk ordered", now=world.now)
        world.metrics.serving |= {"s1", "s2"}
        world.rounds(1)
        (page,) = news()
        assert "[runner] spares_empty" in page and "group spares has no free spare" in page
        world.rounds(8)
        assert news() == [], "one page, and no reminder of what is settled"


def test_a_spare_is_looked_at_once_it_serves(world: World) -> None:
    assert [one.node for one in predict.look(world.project, START).predictions] == [
        "n1", "n2", "n3",
    ]  # fmt: skip
    world.metrics.serving.add("s1")
    found = predict.look(world.project, START).predictions
    assert [(one.node, str(one.tier)) for one in found][-1] == ("s1", "unknown")


def test_one_process_of_many_does_a_round(world: World) -> None:
    assert predict.step(world.project, START)
    assert not predict.step(world.project, START)
    assert not predict.step(world.project, START + EVERY / 2)
    assert predict.step(world.project, START + EVERY)


def test_a_delivery_that_was_lost_is_made_again(world: World) -> None:
    """Invariant 1: a crash between the greylist and the delivery loses no alert."""
    world.metrics.fill["n2"] = 0.95
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.predict.round.deliver", lambda project, now: 0)
        world.rounds(4)
    assert world.members() == ["n2 critical"] and world.admit() == []
    world.rounds(1)
    assert [one.alert.name for one in world.admit()] == ["StorageNodeCritical"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"group": None}, r"nodes\.group"), ({"group": "tapes"}, "no group tapes")],
)
def test_nodes_that_are_not_there_are_said(
    tmp_path: Path, store_url: str, changes: dict[str, Any], sentence: str
) -> None:
    project = World(made(tmp_path, store_url, **changes)).project
    with pytest.raises(ConfigError, match=sentence):
        predict.look(project, START)
    project.__dict__["prometheus"] = None
    with pytest.raises(ConfigError, match=r"prometheus\.url"):
        predict.look(project, START)
    project.close()


def test_the_daemon_does_the_rounds(world: World) -> None:
    daemon = Daemon(world.project)
    daemon._predict()
    daemon._predict()
    with world.project.database.read() as tx:
        assert [one.tier for one in nodes.history(tx, "n1")] == ["none"]
    assert (world.project.state / "greylist.json").is_file()


@pytest.mark.real
@needs_ansible[1]
def test_a_prediction_goes_the_way_of_every_alert_to_a_playbook(
    tmp_path: Path, store_url: str
) -> None:
    """From a filling disk to the greylist, an entry, a dry run, a run, and acknowledged."""
    at_once = {"join_after": "0s", "critical_after": "0s", "leave_after": "1s"}
    settings = {"nodes": NODES | {"every": "1s", "greylist": at_once}}
    entry = {
        "match": ['alertname="StorageNodeCritical"'],
        "parameters": {"mark_text": {"from": "label tier"}},
    }
    path = small.make(tmp_path, settings=settings, entry=entry, inventory=INVENTORY)
    world = World(small.project(path, store_url))
    world.metrics.fill["n2"] = 0.95
    daemon = Daemon(world.project)
    daemon.start()
    try:
        found = small.wait(world.project, seconds=400)
        assert (found.incident.state, found.incident.entry) == (State.FIXED, "mark"), found
        assert found.incident.hosts == ("n2",) and small.runs(tmp_path, "n2") == 1
        assert (tmp_path / "marked-n2").read_text() == "critical \n"
        until(lambda: ("greylist_settle", "n2 is acknowledged: fixed") in world.acts())
        world.metrics.fill["n2"] = 0.4
        until(lambda: world.members() == [])
        assert len(world.admit()) == 1, "it resolved, and started nothing new"
    finally:
        daemon.stop()
        world.project.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
