"""Drills by the command line: a game day on real hosts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from tests.lab.game import Game


def test_drills_and_the_hosts_that_allow_them_are_listed(game: Game) -> None:
    done = game.runner("drill", "list", "--output", "json")
    listed = json.loads(done.stdout)
    assert len(listed["drills"]) == 11
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


def test_latency_from_outside_is_detected_and_handed_to_a_person(
    game: Game, tmp_path: Path
) -> None:
    done = game.runner(
        "drill", "matrix", "--drill", "drill_latency", "--host", "web1",
        "--report", str(tmp_path), "--for", "20s", "--yes", "--output", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (played,) = json.loads(done.stdout)["games"]
    assert (played["result"], played["alert"]) == ("escalated", "HttpSlow")
    assert played["phases"].keys() == {"detect", "decide"}
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}
    game.quiet("web1")
    # Late is not lost, and no service hangs: it would be restarted for nothing.
    heard = game.heard("web1", datetime.fromisoformat(played["injected_at"]))
    assert heard & {"PacketLoss", "ServiceHung"} == set()
    assert "master br0" in game.lab.link("web1")
