"""What a host prints and changes cannot hold the runner up: long lines, and output without end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from runner.incident import Outcome, Purpose, State
from tests import small_project as small
from tests.acceptance.service_lab import SERVE, soon
from tests.command_line import environment
from tests.real_alertmanager import free_port
from tests.reliability.record import Injected

pytestmark = [pytest.mark.real, pytest.mark.slow]

HEALTHY_WITHIN = 1.0  #: seconds; the assertion gives it five times as long
MEMORY_MB = 256
ENTRY = {
    "dry_run": "none",
    "verify": {"within": "1s", "hold": "0s", "checks": [{"result": {"marked": True}}]},
    "limits": {"cooldown": "0s", "timeout": "90s", "max_runs": "100/1h"},
}
TASKS = """\
- name: Write the text
  ansible.builtin.lineinfile:
    path: "{root}/text"
    regexp: "^"
    line: "{{{{ lookup('ansible.builtin.file', '{root}/source') }}}}"
    create: true
    mode: "0600"
- name: Print
  ansible.builtin.raw: "echo run >> {root}/count-web1; head -c {size} /dev/zero | tr '\\\\0' x"
- name: Report
  ansible.builtin.set_stats:
    data: {{remediation: {{marked: true}}}}
    per_host: false
    aggregate: false
"""


@dataclass
class Watch:
    """Asks for health all the time, and looks how much memory each process of a run has."""

    url: str
    pid: int
    slowest: float = 0.0
    asked: int = 0
    most: int = 0  #: bytes of the greatest process that the server started
    failed: list[str] = field(default_factory=list)

    def look(self, over: threading.Event) -> None:
        with httpx.Client(timeout=30) as client:
            while not over.wait(0.2):
                began = time.monotonic()
                try:
                    client.get(f"{self.url}/healthz").raise_for_status()
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.asked += 1
                self._measure()

    def _measure(self) -> None:
        # Below the web process and the worker, which are two of the server's own.
        own = psutil.Process(self.pid).children()
        for process in [child for one in own for child in one.children(recursive=True)]:
            try:
                self.most = max(self.most, process.memory_info().rss)
            except psutil.Error:
                continue


@contextmanager
def serving(path: Path, port: int) -> Iterator[Watch]:
    """`runner serve` as a process of its own, watched until the end."""
    url, over = f"http://127.0.0.1:{port}", threading.Event()
    command = [sys.executable, "-c", SERVE, "--config", str(path), "serve"]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as server:
        watch = Watch(url, server.pid)
        thread = threading.Thread(target=watch.look, args=(over,))
        try:
            soon(lambda: answers(url), "the server answers", 60)
            thread.start()
            yield watch
        finally:
            over.set()
            if thread.ident:
                thread.join()
            server.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    ("source", "size"),
    [
        pytest.param("/" * 55_000, 0, marks=pytest.mark.fault("long_line"), id="slashes"),
        pytest.param(
            json.dumps([{"u": "https://a.example/b/c/d"}] * 9_000),
            0,
            marks=pytest.mark.fault("one_line_json"),
            id="json",
        ),
        pytest.param("short", 100, marks=pytest.mark.fault("endless_output"), id="output"),
    ],
)
def test_health_answers_whatever_a_host_prints(
    source: str, size: int, tmp_path: Path, fault: Injected
) -> None:
    """Invariant 14: diffs are made elsewhere, in linear time; a limit of memory is kept."""
    port = free_port()
    settings = {
        "listen": {"allow_anonymous": True, "port": port},
        "execution": {"memory_mb": MEMORY_MB},
    }
    path = small.make(tmp_path, settings=settings, entry=ENTRY)
    bytes_printed = fault.times(3 * size, size) * 1_000_000
    tasks = TASKS.format(root=tmp_path, size=bytes_printed)
    (tmp_path / "roles/mark/tasks/main.yml").write_text(tasks)
    (tmp_path / "source").write_text(source)
    project = small.project(path)
    try:
        with serving(path, port) as watch:
            body = small.body(small.alert())
            httpx.post(f"{watch.url}/api/v1/alerts", content=body, headers=JSON).raise_for_status()
            found = small.wait(project, seconds=120)
    finally:
        project.close()
    (real,) = [run for run in found.runs if run.purpose is Purpose.REMEDIATION]
    fault.failure()
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=size > 0)
    fault.runs(small.runs(tmp_path))
    assert watch.failed == []
    assert watch.asked > 5
    assert watch.slowest < 5 * HEALTHY_WITHIN, f"{watch.slowest:.1f} s for /healthz"
    assert watch.most < (MEMORY_MB + 150) * 2**20, f"{watch.most / 2**20:.0f} MiB"
    if size:
        assert real.outcome is Outcome.FAILED
        assert "execution.memory_mb" in real.reason
        assert found.incident.state is State.ESCALATED
    else:
        assert real.outcome is Outcome.CHANGED, real.reason
        assert len(real.diff) < 100_000
        assert "characters in this line, sha256" in real.diff
        assert found.incident.state is State.FIXED


JSON = {"Content-Type": "application/json"}
