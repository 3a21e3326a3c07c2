"""kill -9 between and within the steps of a plan: no step runs twice, none is left out."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests import small_plan
from tests import small_project as small
from tests.acceptance.test_crash import work

pytestmark = [pytest.mark.real, pytest.mark.slow]

#: Where a plan can be cut short, beside what any run knows: when a spare is picked, and at the
#: second step of two. Those of a chain are of one incident, in the order in which they come.
PLAN_CHAINS = (
    (
        "after:confirm:1",
        "before:approach:2",
        "dry_run:midway:retire",
        "after:approach:2",
        "run:intent:retire",
        "before:confirm:2",
        "after:confirm:2",
    ),
    ("dry_run:midway:add", "dry_run:recorded:retire", "run:midway:retire"),
    ("run:recorded:retire",),
)
PLAN_POINTS = tuple(point for chain in PLAN_CHAINS for point in chain)
SECONDS = 900


@pytest.mark.parametrize(
    "points",
    [*PLAN_CHAINS[:-1], pytest.param(PLAN_CHAINS[-1], marks=pytest.mark.nightly)],
    ids=lambda points: points[0],
)
def test_crashes_in_a_plan_repeat_no_step(tmp_path: Path, points: tuple[str, ...]) -> None:
    """Invariants 1 and 2: each step ran once, in order, and the incident ended fixed."""
    config = small_plan.make(
        tmp_path, plan={"steps": ["add", "retire"]}, extra={"retire": "sleep 1.5"}
    )
    (tmp_path / "alert.json").write_text(json.dumps(small.alert(host="s1")))
    for point in points:
        crashed = work(config, point, SECONDS)
        assert crashed.returncode == -signal.SIGKILL, (point, crashed.stderr[-2000:])
    recovered = work(config, "never", SECONDS)
    assert recovered.returncode == 0, recovered.stderr[-2000:]
    found = json.loads(recovered.stdout)
    trail = [(t["action"], t["reason"]) for t in found["transitions"]]
    assert found["incident"]["state"] == "fixed", trail
    assert small_plan.order(tmp_path) == ["add s4", "retire s4"], trail
    assert len(trail) == len(set(trail)), "a transition was written twice"
