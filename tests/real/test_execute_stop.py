from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from runner.execute.run import run
from runner.incident import Outcome
from tests.local_hosts import Lab, needs_ansible, number, sleepers

pytestmark = needs_ansible


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("stop"))


def test_a_cancelled_run_leaves_no_process_behind(lab: Lab) -> None:
    """Invariant 14: sessions of their own, cleared environments and ignored signals included."""
    seconds = number()
    tasks, mark = lab.sleeping(seconds)
    seen: list[int] = []

    def cancelled() -> bool:
        if mark.exists():
            seen.append(len(sleepers(seconds)))
        return mark.exists()

    result = run(lab.request(lab.play(tasks)), cancelled=cancelled)
    assert result.outcome is Outcome.CANCELLED, result.reason
    assert seen[0] >= 3
    assert sleepers(seconds) == []


def test_a_run_past_its_deadline_is_ended_whole(lab: Lab) -> None:
    """Invariant 9: timeout is an outcome of its own; invariant 14: with nothing left behind."""
    seconds = number()
    tasks, _ = lab.sleeping(seconds)
    result = run(lab.request(lab.play(tasks), timeout=timedelta(seconds=4)))
    assert result.outcome is Outcome.TIMEOUT, result.reason
    assert "deadline" in result.reason
    assert sleepers(seconds) == []


def test_a_run_cancelled_before_ansible_began_starts_nothing(lab: Lab) -> None:
    mark = lab.folder / "never"
    play = lab.play(f"- ansible.builtin.file: {{path: {mark}, state: touch}}")
    result = run(lab.request(play), cancelled=lambda: True)
    assert result.outcome is Outcome.CANCELLED
    assert not mark.exists()


def killer(mark: Path, find: Callable[[], int]) -> Callable[[], bool]:
    """A `cancelled` that never cancels, but kills the process `find` names, once."""
    killed: list[int] = []

    def look() -> bool:
        if mark.exists() and not killed:
            killed.append(find())
            os.kill(killed[0], signal.SIGKILL)
        return False

    return look


def test_a_killed_supervisor_makes_the_outcome_unknown(lab: Lab) -> None:
    """Invariant 2: nothing proves what happened, and nothing lives on."""
    seconds = number()
    tasks, mark = lab.sleeping(seconds)
    pids: list[int] = []
    result = run(
        lab.request(lab.play(tasks)),
        cancelled=killer(mark, lambda: pids[0]),
        on_started=lambda pid, group: pids.append(pid),
    )
    assert result.outcome is Outcome.UNKNOWN, result.reason
    left = [p for p in sleepers(seconds) if p.environ()]  # one has cleared its environment
    assert left == []
    for process in sleepers(seconds):
        process.kill()


def test_an_error_in_the_caller_ends_the_run(lab: Lab) -> None:
    """Invariant 14: a run is never left without somebody who waits for it."""
    seconds = number()
    tasks, mark = lab.sleeping(seconds)

    def broken() -> bool:
        if mark.exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(lab.request(lab.play(tasks)), cancelled=broken)
    assert sleepers(seconds) == []
