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

#: Where a plan can be cut short, beside what any run knows: when a spare is picked, and
#: at the second step of two.
PLAN_POINTS = (
    "rehearsal:midway:add",
    "after:confirm:1",
    "before:approach:2",
    "rehearsal:midway:retire",
    "rehearsal:recorded:retire",
    "after:approach:2",
    "run:intent:retire",
    "run:midway:retire",
    "run:recorded:retire",
    "before:confirm:2",
    "after:confirm:2",
)
SECONDS = 900


@pytest.mark.parametrize("point", PLAN_POINTS)
def test_a_crash_in_a_plan_repeats_no_step(tmp_path: Path, point: str) -> None:
    """Invariants 1 and 2: each step ran once, in order, and the incident ended fixed."""
    config = small_plan.make(
        tmp_path, plan={"steps": ["add", "retire"]}, extra={"retire": "sleep 1.5"}
    )
    (tmp_path / "alert.json").write_text(json.dumps(small.alert(host="s1")))
    crashed = work(config, point, SECONDS)
    assert crashed.returncode == -signal.SIGKILL, (point, crashed.stderr[-2000:])
    recovered = work(config, "never", SECONDS)
    assert recovered.returncode == 0, recovered.stderr[-2000:]
    found = json.loads(recovered.stdout)
    trail = [(t["action"], t["reason"]) for t in found["transitions"]]
    assert found["incident"]["state"] == "fixed", trail
    assert small_plan.order(tmp_path) == ["add s4", "retire s4"], trail
    assert len(trail) == len(set(trail)), "a transition was written twice"
