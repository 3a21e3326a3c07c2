"""kill -9 at every step boundary: every incident ends, none is lost, no playbook runs twice."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.incident import Outcome, Purpose, Run
from runner.store import clock, runs, tables, workers
from tests import small_project as small
from tests.acceptance.forking import forking
from tests.once import once
from tests.reliability.record import Injected

pytestmark = pytest.mark.real

STEPS = (
    "admit", "locate", "gather", "decide", "judge", "rehearse", "ask", "carry_out", "confirm",
)  # fmt: skip
MOMENTS = ("intent", "midway", "ended", "recorded")
#: Points of one incident each, in the order in which they come: a restart after one is also
#: the way to the next. What follows a moment of a run differs from what a step goes through.
CHAINS = (
    (
        "stored",
        "admitting",
        "admitted",
        "handed_over",
        *(f"{when}:{step}" for step in STEPS for when in ("before", "after")),
    ),
    *((f"dry_run:{moment}", f"run:{moment}") for moment in MOMENTS),
)
#: Points of an incident that is held back before its run.
HELD = ("held", "looks_again")
POINTS = (*(point for chain in CHAINS for point in chain), *HELD)
#: On PostgreSQL another worker takes over, which takes a lease of ten seconds each time.
TAKEN_OVER = ("run:midway", "stored", "after:judge", "run:recorded")


def work(config: Path, point: str, seconds: float = 150) -> subprocess.CompletedProcess[str]:
    """Run a worker until it dies at `point`, or to the incident's end."""
    return forking().run([str(config), point], seconds)


def prepared(folder: Path, **options: Any) -> Path:
    config = small.make(folder, extra="sleep 1.5", **options)
    (folder / "alert.json").write_text(json.dumps(small.alert()))
    return config


def crash(config: Path, point: str) -> None:
    """Work until the process is killed at `point`, and nowhere else."""
    crashed = work(config, point)
    assert crashed.returncode == -signal.SIGKILL, (point, crashed.stderr[-2000:])
    if not (config.parent / "acknowledged").exists():
        assert point == "stored"  # it died before the sender was told; the row is there
        (config.parent / "acknowledged").touch()


def recover(config: Path) -> dict[str, Any]:
    """The incident at its end, after one more start."""
    recovered = work(config, "never")
    assert recovered.returncode == 0, recovered.stderr[-2000:]
    found: dict[str, Any] = json.loads(recovered.stdout)
    return found


def check(found: dict[str, Any], root: Path) -> None:
    """It is fixed, its playbook ran once, and no transition was written twice."""
    trail = [(t["action"], t["reason"]) for t in found["transitions"]]
    assert found["incident"]["state"] == "fixed", trail
    assert small.runs(root) == 1, trail
    actions = [action for action, _ in trail]
    assert len(actions) == len(set(actions)), trail


def count(fault: Injected, kills: int, found: dict[str, Any], root: Path) -> None:
    """So many kills, one alert, one play."""
    fault.failure(kills)
    fault.alerts(told=1, found=1 if found["incident"] else 0)
    fault.ended(found["incident"]["state"], broken=small.runs(root) == 0)
    fault.runs(small.runs(root))


def row(points: tuple[str, ...]) -> str:
    """The row of docs/reliability.md that the kills of a chain are counted in."""
    return "kill_run" if points[0].startswith("dry_run:") else "kill_step"


@pytest.mark.parametrize(
    "points",
    [pytest.param(points, marks=pytest.mark.fault(row(points)), id=points[0]) for points in CHAINS],
)
def test_crashes_lose_nothing_and_repeat_nothing(
    tmp_path: Path, points: tuple[str, ...], fault: Injected
) -> None:
    """Invariants 1 and 2: killed at each point, the alert is handled to its end, and once."""
    config = prepared(tmp_path)
    for point in points:
        crash(config, point)
    found = recover(config)
    count(fault, len(points), found, tmp_path)
    check(found, tmp_path)


@pytest.mark.fault("kill_step")
def test_what_is_held_back_is_not_forgotten_by_a_crash(tmp_path: Path, fault: Injected) -> None:
    """Invariants 1 and 22: killed while it is held back and when it is looked at again, it goes
    on when the time is over, and once."""
    config = prepared(tmp_path, entry={"limits": {"cooldown": "30m", "timeout": "60s"}})
    ran_before(config)
    for point in HELD:
        crash(config, point)
        over(config)
    found = recover(config)
    count(fault, len(HELD), found, tmp_path)
    actions = [t["action"] for t in found["transitions"]]
    assert actions.count("judged") == 2, actions
    found["transitions"].pop(actions.index("judged"))
    check(found, tmp_path)


def ran_before(config: Path) -> None:
    """The entry ran on the host a moment ago, for another incident."""
    project = small.project(config)
    with project.database.write() as tx:
        workers.join(tx, "single", "here")
        now = clock.now(tx)
        run = Run(
            id="ab" * 16, incident=999, purpose=Purpose.REMEDIATION, attempt=1, entry="mark",
            hosts=("web1",), plan="p", started_at=now, deadline=now,
        )  # fmt: skip
        runs.intend(tx, run, worker="single", lock=run.hosts)
        runs.conclude(tx, run.id, outcome=Outcome.CHANGED)
    project.close()


def over(config: Path) -> None:
    """The cooldown is over, however long a busy machine took to get here."""
    project = small.project(config)
    with project.database.write() as tx:
        back = clock.now(tx) - timedelta(hours=1)
        tx.execute(
            tables.runs.update().where(tables.runs.c.incident == 999).values(started_at=back)
        )
        held = tables.incidents.c.held_until.is_not(None)
        tx.execute(tables.incidents.update().where(held).values(held_until=clock.now(tx)))
    project.close()


@pytest.mark.slow
@pytest.mark.fault("takeover")
@pytest.mark.parametrize("point", once(*TAKEN_OVER))
def test_another_worker_takes_over(
    tmp_path: Path, point: str, postgres: Any, fault: Injected
) -> None:
    """Invariants 1 and 2 on PostgreSQL: a worker that is gone for good is replaced."""
    settings = {"store": {"url": postgres.new_store()}}
    config = prepared(tmp_path, settings=settings)
    crash(config, point)
    found = recover(config)
    count(fault, 1, found, tmp_path)
    check(found, tmp_path)
