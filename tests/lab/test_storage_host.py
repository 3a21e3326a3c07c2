"""A storage host without power is replaced, and what would cost the quorum is refused."""

from __future__ import annotations

from functools import partial

import pytest

from runner.incident import State
from tests.lab.game import Game
from tests.lab.storage import Storage, acted, belong, said
from tests.lab.storage_stage import FOUR, Stage, game, stage

__all__ = ["game", "stage"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stage", [(FOUR, {})], indirect=True, ids=["four"])
def test_a_dead_host_is_replaced_and_what_would_cost_the_quorum_is_refused(
    stage: Stage, game: Game
) -> None:
    """Invariant 11: added first, removed second; refused with three, with two and with one."""
    storage = stage.storage
    healthy_is_not_touched(game, storage)
    space_is_reclaimed(game, storage)

    storage.lead("store3")
    storage.power_off("store3")
    found = game.came_of("etcdMemberDown", "store3")
    assert found.incident.state is State.FIXED, said(found)
    assert acted(found) == [
        ("add_storage_node", "store4"),
        ("remove_storage_member", "store3", "store4"),
    ], "the third step is left out: the host is off"
    assert storage.voters() == ["store1", "store2", "store4"]
    belong(stage.configuration, ("store1", "store2", "store4"), ("store5",))

    nobody_is_replaced_without_a_spare(game, stage)
    stage.hold("dead host")
    from_two_to_one_is_refused(game, storage)


def healthy_is_not_touched(game: Game, storage: Storage) -> None:
    """With three voters none is retired, and no member's data is set aside."""
    for entry, sentence in (
        ("retire_storage_node", "2 voters would be left, the minimum is 3"),
        ("set_aside_storage_node", "is still a member of the cluster, so its data stays"),
    ):
        found = game.ask(entry, "store1", {})
        assert found.incident.state is State.ESCALATED, said(found)
        assert sentence in said(found) and acted(found) == []
    assert storage.voters() == ["store1", "store2", "store3"]


def space_is_reclaimed(game: Game, storage: Storage) -> None:
    """Old revisions are dropped and their space given back, one member busy at a time."""
    storage.lead("store2")
    first = "/srv/first"
    storage.lab.run("store2", "sh", "-c", f"head -c 400000 /dev/urandom | base64 -w0 > {first}")
    put = f"for n in 1 2 3 4 5 6; do etcdctl put large < {first} >/dev/null; done"
    storage.lab.run("store2", "env", "ETCDCTL_API=3", "sh", "-c", put)
    written = len(storage.writer.acknowledged)
    game.soon(lambda: len(storage.writer.acknowledged) > written + 200, "many revisions")
    before = storage.nodes["store2"].size()
    found = game.ask("reclaim_storage", "store2", {})
    assert found.incident.state is State.FIXED, said(found)
    assert [entry for entry, *_ in acted(found)] == ["compact_storage", "defragment_storage"]
    assert storage.nodes["store2"].size() < before
    assert storage.leader() != "store2", "who is busy does not lead"


def nobody_is_replaced_without_a_spare(game: Game, stage: Stage) -> None:
    """One of three is down, and there is nobody to take its place: that is for a person."""
    storage = stage.storage
    storage.power_off("store2")
    found = game.came_of("etcdMemberDown", "store2")
    assert found.incident.state is State.ESCALATED, said(found)
    assert "there is no spare for store2" in said(found)
    for entry in ("retire_storage_node", "defragment_storage"):
        asked = game.ask(entry, "store1", {})
        assert asked.incident.state is State.ESCALATED, said(asked)
        assert acted(asked) == []
    assert storage.voters() == ["store1", "store2", "store4"]


def from_two_to_one_is_refused(game: Game, storage: Storage) -> None:
    """etcd itself would go; so a person makes the cluster one of two, and asks for one."""
    gone = storage.id_of("store2")
    words = ("member", "remove", gone)
    game.soon(partial(storage.etcdctl, "store1", *words, check=False), "store2 is removed")
    game.soon(lambda: storage.voters() == ["store1", "store4"], "two voters")
    asked = game.ask("retire_storage_node", "store1", {})
    assert asked.incident.state is State.ESCALATED, said(asked)
    assert acted(asked) == []
    assert storage.voters() == ["store1", "store4"]
