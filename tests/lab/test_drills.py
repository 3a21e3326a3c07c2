"""Drills by the command line: a game day on real hosts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from runner.catalog import load
from tests.lab import layout
from tests.lab.game import Game
from tests.lab.test_remediations import HEALED
from tests.once import once


def test_drills_and_the_hosts_that_allow_them_are_listed(game: Game) -> None:
    done = game.runner("drill", "list", "--output", "json")
    listed = json.loads(done.stdout)
    assert len(listed["drills"]) == 20
    assert "web1" in listed["hosts"]


def test_a_fault_that_a_host_cannot_have_is_left_out_with_the_reason(
    game: Game, tmp_path: Path
) -> None:
    done = game.runner(
        "drill", "matrix", "--drill", "drill_error_storm", "--host", "store1",
        "--report", str(tmp_path), "--yes",
    )  # fmt: skip
    assert done.returncode == 6
    assert "needs fault_log in the inventory" in done.stderr
    assert not list(tmp_path.iterdir())


#: What no entry is made for, and the alerts that may tell of it first.
ESCALATED = {
    "drill_latency": {"HttpSlow"},
    "drill_loss": {"PacketLoss"},
    # A full queue drops packets too.
    "drill_slow_network": {"HttpSlow", "PacketLoss"},
}


def test_every_drill_has_a_row() -> None:
    shipped = load(layout.REPOSITORY / "playbooks", ())
    healed = {row[0] for row in HEALED}
    assert {entry.id for entry in shipped.by_kind("drill")} == healed | set(ESCALATED)


@pytest.mark.parametrize("drills", once(["drill_latency"], list(ESCALATED)), ids=["one", "all"])
def test_a_bad_network_is_detected_and_handed_to_a_person(
    game: Game, drills: list[str], tmp_path: Path
) -> None:
    done = game.runner(
        "drill", "matrix", *(word for drill in drills for word in ("--drill", drill)),
        "--host", "web1", "--report", str(tmp_path), "--for", "20s", "--yes", "--output", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    games = json.loads(done.stdout)["games"]
    assert [one["drill"] for one in games] == drills
    for played in games:
        assert played["result"] == "escalated", played
        assert played["alert"] in ESCALATED[played["drill"]]
        assert played["phases"].keys() == {"detect", "decide"}
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}
    game.quiet("web1")
    # Late is not lost, and no service hangs: it would be restarted for nothing.
    since = {one["drill"]: datetime.fromisoformat(one["injected_at"]) for one in games}
    heard = game.heard("web1", since["drill_latency"], since.get("drill_loss"))
    assert "HttpSlow" in heard and heard & {"PacketLoss", "ServiceHung"} == set()
    assert "master br0" in game.lab.link("web1")
