from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.execute import processes
from runner.execute.request import RunResult
from runner.execute.run import ALIVE, recover, run
from runner.incident import Outcome
from tests.local_hosts import Lab, needs_ansible

pytestmark = needs_ansible

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import json, sys
from datetime import timedelta
from pathlib import Path
from tests.local_hosts import Lab
from runner.execute.run import run
lab, play, run_id, seconds = Lab(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
run(lab.request(play, id=run_id, timeout=timedelta(seconds=float(seconds))))
"""


@dataclass
class Orphan:
    """A run whose runner was killed once its play had begun."""

    lab: Lab
    id: str
    go: Path  #: the play waits for this file

    @property
    def artifacts(self) -> Path:
        return self.lab.folder / "artifacts"

    @property
    def supervisor(self) -> int:
        return int(json.loads((self.artifacts / self.id / "process.json").read_text())["pid"])

    def settled(self) -> RunResult:
        """What became of it, once it is no longer alive."""
        until = time.monotonic() + 60
        while (found := recover(self.artifacts, self.id)) == ALIVE and time.monotonic() < until:
            time.sleep(0.2)
        assert isinstance(found, RunResult)
        return found


def orphan(folder: Path, *, seconds: float = 60) -> Orphan:
    lab = Lab(folder)
    mark, go = folder / "mark", folder / "go"
    play = lab.play(f"""
        - ansible.builtin.file: {{path: {mark}, state: touch, mode: "0600"}}
        - ansible.builtin.wait_for: {{path: {go}, sleep: 1}}
        - ansible.builtin.copy: {{content: x, dest: {folder / "done"}, mode: "0600"}}
        """)
    one = Orphan(lab, os.urandom(8).hex(), go)
    command = [sys.executable, "-c", WORKER, str(folder), str(play), one.id, str(seconds)]
    with subprocess.Popen(command, cwd=ROOT) as worker:
        until = time.monotonic() + 60
        while not mark.exists() and worker.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
    assert mark.exists()
    return one


@pytest.fixture
def abandoned(tmp_path: Path) -> Iterator[Orphan]:
    one = orphan(tmp_path)
    yield one
    processes.end(lambda: processes.of_run(one.id), grace=0)


def test_a_run_survives_its_runner_and_its_outcome_is_found_out(abandoned: Orphan) -> None:
    """Invariant 2: after kill -9 the run goes on, is waited for, and its result is used."""
    assert recover(abandoned.artifacts, abandoned.id) == ALIVE
    abandoned.go.touch()
    result = abandoned.settled()
    assert result.outcome is Outcome.CHANGED, result.reason
    assert [event.status for event in result.tasks] == ["changed", "ok", "changed"]
    again = recover(abandoned.artifacts, abandoned.id)
    assert again == result
    assert processes.of_run(abandoned.id) == []


def test_a_run_that_lost_its_supervisor_too_is_unknown(abandoned: Orphan) -> None:
    """Invariant 2: without an ending nothing is proved, whatever the events say."""
    os.kill(abandoned.supervisor, signal.SIGKILL)
    processes.end(lambda: processes.of_run(abandoned.id), grace=0)
    result = abandoned.settled()
    assert result.outcome is Outcome.UNKNOWN
    assert result.hosts_seen == {"web1"}
    private = json.loads((result.artifacts / "intent.json").read_text())["private"]
    assert not Path(private).exists()


def test_an_orphaned_run_still_ends_at_its_deadline(tmp_path: Path) -> None:
    """Invariant 14: the supervisor keeps the deadline without its runner."""
    one = orphan(tmp_path, seconds=8)
    result = one.settled()
    assert result.outcome is Outcome.TIMEOUT, result.reason
    assert processes.of_run(one.id) == []


def test_a_supervisor_that_hangs_past_the_deadline_is_ended(abandoned: Orphan) -> None:
    """Invariant 14: recovery ends what should have ended long ago."""
    os.kill(abandoned.supervisor, signal.SIGSTOP)
    intent = abandoned.artifacts / abandoned.id / "intent.json"
    record = json.loads(intent.read_text()) | {"deadline": time.time() - 60}
    intent.write_text(json.dumps(record))
    assert abandoned.settled().outcome is Outcome.TIMEOUT
    assert processes.of_run(abandoned.id) == []


def test_a_run_without_a_trace_never_started_here(tmp_path: Path) -> None:
    """Invariant 2: the trace is written before anything is started."""
    assert recover(tmp_path, "00" * 8) is None
    (tmp_path / ("11" * 8)).mkdir()
    assert recover(tmp_path, "11" * 8) is None


def test_a_finished_run_is_found_with_the_same_result(tmp_path: Path) -> None:
    """Invariant 2: a crash after the end and before the outcome was stored loses nothing."""
    lab = Lab(tmp_path)
    result = run(lab.request(lab.play("- debug:")))
    assert recover(tmp_path / "artifacts", result.id) == result
