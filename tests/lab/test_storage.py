"""A storage node that fails is relieved and replaced, and nothing that a client wrote is lost."""

from __future__ import annotations

import signal
import time
from functools import partial

import pytest

from runner import acts, incident_report
from runner.incident import State
from runner.incident_report import Bundle
from runner.store import audit_log, nodes
from tests.lab import crashing, project
from tests.lab.game import Game, knowing
from tests.lab.storage import Disk, Storage, acted, belong, said
from tests.lab.storage_stage import FIVE, FOUR, NODES, PATIENCE, Stage, game, stage

__all__ = ["game", "stage"]
pytestmark = pytest.mark.slow

#: One after another, in one replacement: between its steps, and within each of them.
KILLS = (
    "dry_run:midway:add_storage_node",
    "run:midway:add_storage_node",
    "before:confirm:1",
    "before:approach:2",
    "run:midway:remove_storage_member",
    "after:carry_out:2",
    "dry_run:midway:set_aside_storage_node",
    "run:midway:set_aside_storage_node",
    "before:confirm:3",
)


def greylist(game: Game) -> dict[str, str]:
    """Node → the tier that it is held in."""
    with game.project.database.read() as tx:
        return {member.node: member.tier for member in nodes.members(tx)}


def told(game: Game, action: str) -> list[str]:
    """The reasons of every transition of this kind."""
    with game.project.database.read() as tx:
        return [t.reason for t in audit_log.walk(tx) if t.action == action]


def fill_until_greylisted(game: Game, disk: Disk, name: str) -> float:
    """Fill a disk slowly, as far as its warning bound at most; how full it is then."""
    share = 0.3
    while not greylist(game):
        disk.fill(share)
        share = min(share + 0.01, 0.79)
        time.sleep(1)
    assert greylist(game) == {name: "warning"}
    return share


@pytest.mark.parametrize("stage", [(FIVE, {"nodes": NODES})], indirect=True, ids=["five"])
def test_a_failing_node_is_relieved_and_then_replaced(stage: Stage, game: Game) -> None:
    """Invariant 11: from a filling disk to the greylist, a spare, and the node's replacement."""
    storage = stage.storage
    disks = {name: Disk(storage.lab, name) for name in FIVE}
    storage.lead("store1")

    assert fill_until_greylisted(game, disks["store1"], "store1") < 0.8
    assert "moves toward its critical bound" in told(game, "greylist_join")[0]
    added = game.came_of("StorageNodeWarning", "store1")
    assert added.incident.state is State.FIXED, said(added)
    assert acted(added) == [("add_storage_node", "store4")]
    assert storage.voters() == ["store1", "store2", "store3", "store4"]
    assert greylist(game) == {"store1": "warning"}, "the node stays, in service"
    assert game.project.inventory().groups["greylisted"] == ("store1",)

    belong(stage.configuration, ("store1", "store2", "store3", "store4"), ("store5",))
    storage.lead("store1")
    disks["store1"].fill(0.95)
    replace(game, stage)
    on_call_was_told(game, storage)
    stage.hold("degrading")


def replace(game: Game, stage: Stage) -> None:
    """store1 turns critical: it is replaced by store5, and nothing else is changed meanwhile."""
    storage = stage.storage
    begun = game.soon(lambda: _running(game), "the replacement runs")
    others = [
        acts.request_run(game.project, entry=entry, hosts=["store2"], values={}, by="user:bob")
        for entry in ("replace_storage_node", "retire_storage_node")
    ]
    # Between two runs of the first it is the plan that stands against another one.
    against = (f"Incident {begun} is changing group storage now", "another run is touching store5")
    for number in others:
        other = game.soon(partial(_stopped, game, number), f"incident {number} is stopped")
        assert acted(other) == []
        assert any(sentence in said(other) for sentence in against), said(other)
        if other.incident.state is State.HELD:  # it would go on once the replacement is over
            acts.cancel(game.project, number, by="user:bob", reason="the node is needed")
    found = game.came_of("StorageNodeCritical", "store1")
    assert found.incident.id == begun
    assert found.incident.state is State.FIXED, said(found)
    assert acted(found) == [
        ("add_storage_node", "store5"),
        ("remove_storage_member", "store1", "store5"),
        ("set_aside_storage_node", "store1"),
    ]
    assert storage.voters() == ["store2", "store3", "store4", "store5"]
    assert storage.leader() in storage.voters()
    assert storage.put_aside("store1")
    # First members without data must not begin a new cluster among themselves.
    environment = storage.lab.run("store1", "cat", "/etc/default/etcd")
    assert "ETCD_INITIAL_CLUSTER_STATE=existing\n" in environment
    storage.lab.run("store1", "systemctl", "start", "etcd", check=False)
    assert not storage.nodes["store1"].healthy()
    assert storage.voters() == ["store2", "store3", "store4", "store5"]


def _stopped(game: Game, incident: int) -> Bundle | None:
    """Held back while another change goes on, or handed to a person."""
    with game.project.database.read() as tx:
        found = incident_report.load(tx, incident)
    return found if found.incident.state in (State.HELD, State.ESCALATED) else None


def _running(game: Game) -> int | None:
    found = game.about("StorageNodeCritical", "store1")
    ready = found and found.incident.state in (State.RUNNING, State.VERIFYING)
    return found.incident.id if found and ready else None


def _was_told(storage: Storage, words: tuple[str, ...]) -> bool:
    return any(all(word in message for word in words) for message in storage.messages())


def on_call_was_told(game: Game, storage: Storage) -> None:
    """Each in a message of its own: the greylist, every step, and that no spare is left."""
    for words in (
        ("greylist_join", "store1 is in the warning tier"),
        ("greylist_join", "store1 is in the critical tier"),
        ("StorageNodeCritical", "step 1 of 3, add_storage_node on store5"),
        ("StorageNodeCritical", "step 2 of 3, remove_storage_member on store5"),
        ("spares_empty", "has no free spare"),
    ):
        game.soon(partial(_was_told, storage, words), f"a message with {words}")
    assert "store1 is acknowledged: fixed" in told(game, "greylist_settle")


@pytest.mark.nightly  # tests/acceptance/test_crash_plan.py shows in CI that no step is repeated
@pytest.mark.parametrize("stage", [(FOUR, {"nodes": NODES})], indirect=True, ids=["four"])
def test_a_runner_that_is_killed_again_and_again_finishes_the_replacement(stage: Stage) -> None:
    """Invariants 1 and 2: `kill -9` nine times within one replacement of a node that lives."""
    storage, configuration = stage.storage, stage.configuration
    lab = storage.lab
    disks = {name: Disk(lab, name) for name in FOUR}
    storage.lead("store1")
    disks["store1"].fill(0.95)
    for point in KILLS:
        runner = project.serve(lab.layout, configuration, crashing.program(point))
        assert runner.wait(PATIENCE) == -signal.SIGKILL, point
    with (
        project.serving(lab.layout, configuration),
        knowing(lab, configuration) as game,
    ):
        game.patience = PATIENCE
        found = game.came_of("StorageNodeCritical", "store1")
    assert found.incident.state is State.FIXED, said(found)
    steps = [(t.action, t.reason) for t in found.transitions]
    assert len(steps) == len(set(steps)), steps
    assert all(run.outcome for run in found.runs)
    assert storage.voters() == ["store2", "store3", "store4"]
    assert storage.put_aside("store1")
    stage.hold("killed runner")
