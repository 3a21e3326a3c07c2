from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from runner.execute.run import run
from runner.incident import Outcome
from tests.execute_lab import Lab, needs_ansible

pytestmark = needs_ansible


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("stop"))


def sleepers(seconds: int) -> list[psutil.Process]:
    """Living processes whose command line names this unusual number of seconds."""
    found = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    return [p for p in found if f"sleep {seconds}" in " ".join(p.info["cmdline"])]


def sleeping_play(lab: Lab, seconds: int) -> tuple[Path, Path]:
    """A play that leaves sleepers of every kind, then a mark, then sleeps; and the mark."""
    mark = lab.folder / f"mark-{seconds}"
    tasks = f"""
    - ansible.builtin.command: sleep {seconds}
      async: 1000
      poll: 0
    - ansible.builtin.shell: env -i setsid sleep {seconds} </dev/null >/dev/null 2>&1 &
    - ansible.builtin.shell: trap '' TERM; touch {mark}; sleep {seconds}; true
    """
    return lab.play(tasks), mark


def number() -> int:
    return random.randrange(10_000, 1_000_000)


def test_a_cancelled_run_leaves_no_process_behind(lab: Lab) -> None:
    """Invariant 14: sessions of their own, cleared environments and ignored signals included."""
    seconds = number()
    play, mark = sleeping_play(lab, seconds)
    seen: list[int] = []

    def cancelled() -> bool:
        if mark.exists():
            seen.append(len(sleepers(seconds)))
        return mark.exists()

    result = run(lab.request(play), cancelled=cancelled)
    assert result.outcome is Outcome.CANCELLED, result.reason
    assert seen[0] >= 3
    assert sleepers(seconds) == []


def test_a_run_past_its_deadline_is_ended_whole(lab: Lab) -> None:
    """Invariant 9: timeout is an outcome of its own; invariant 14: with nothing left behind."""
    seconds = number()
    play, _ = sleeping_play(lab, seconds)
    result = run(lab.request(play, timeout=timedelta(seconds=4)))
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
    play, mark = sleeping_play(lab, seconds)
    pids: list[int] = []
    result = run(
        lab.request(play),
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
    play, mark = sleeping_play(lab, seconds)

    def broken() -> bool:
        if mark.exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(lab.request(play), cancelled=broken)
    assert sleepers(seconds) == []
