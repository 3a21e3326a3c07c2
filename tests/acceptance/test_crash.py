"""kill -9 at every step boundary: every incident ends, none is lost, no playbook runs twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import small_project as small

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).parents[2]
STEPS = (
    "admit", "locate", "gather", "decide", "judge", "rehearse", "ask", "carry_out", "confirm",
)  # fmt: skip
MOMENTS = ("intent", "midway", "ended", "recorded")
POINTS = (
    "stored",
    "admitting",
    "admitted",
    *(f"{when}:{step}" for step in STEPS for when in ("before", "after")),
    *(f"{purpose}:{moment}" for purpose in ("rehearsal", "run") for moment in MOMENTS),
)
#: On PostgreSQL another worker takes over, which takes a lease of ten seconds each time.
TAKEN_OVER = ("stored", "after:judge", "run:midway", "run:recorded")


def work(config: Path, point: str, seconds: float = 150) -> subprocess.CompletedProcess[str]:
    """Run a worker until it dies at `point`, or to the incident's end."""
    return subprocess.run(
        [sys.executable, "-m", "tests.acceptance.crash_worker", str(config), point],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def prepared(folder: Path, **options: Any) -> Path:
    config = small.make(folder, extra="sleep 1.5", **options)
    (folder / "alert.json").write_text(json.dumps(small.alert()))
    return config


def crash_and_recover(config: Path, point: str) -> dict[str, Any]:
    """The incident after a crash at `point` and a restart."""
    crashed = work(config, point)
    assert crashed.returncode == -signal.SIGKILL, (point, crashed.stderr[-2000:])
    if not (config.parent / "acknowledged").exists():
        assert point == "stored"  # it died before the sender was told; the row is there
        (config.parent / "acknowledged").touch()
    recovered = work(config, "never")
    assert recovered.returncode == 0, recovered.stderr[-2000:]
    found: dict[str, Any] = json.loads(recovered.stdout)
    return found


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_loses_nothing_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    """Invariants 1 and 2: the alert is handled to its end, and its playbook ran once."""
    found = crash_and_recover(prepared(tmp_path), point)
    trail = [(t["action"], t["reason"]) for t in found["transitions"]]
    assert found["incident"]["state"] == "fixed", trail
    assert small.runs(tmp_path) == 1, trail
    actions = [action for action, _ in trail]
    assert len(actions) == len(set(actions)), "a transition was written twice"


@pytest.mark.slow
@pytest.mark.parametrize("point", TAKEN_OVER)
def test_another_worker_takes_over(tmp_path: Path, point: str, postgres: Any) -> None:
    """Invariants 1 and 2 on PostgreSQL: a worker that is gone for good is replaced."""
    settings = {"store": {"url": postgres.new_database()}}
    found = crash_and_recover(prepared(tmp_path, settings=settings), point)
    trail = [(t["action"], t["reason"]) for t in found["transitions"]]
    assert found["incident"]["state"] == "fixed", trail
    assert small.runs(tmp_path) == 1, trail
