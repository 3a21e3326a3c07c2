"""What the program costs by itself: a reading command, and a server with nothing to do."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.measure import Measure, compare, cpu_of

BIN = Path(sys.executable).parent
#: Seconds until a server that has just started rests: the engine looks for schedules for a minute.
SETTLED = 65.0
WATCHED = 60.0


def measure() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "project"
        subprocess.run([BIN / "runner", "init", project], check=True, capture_output=True)
        config = project / "runner.yml"
        listing = [str(BIN / "runner"), "-c", str(config), "incident", "list"]
        yield compare(
            "runner incident list, CPU",
            lambda: cpu_of(listing),
            "ansible --version",
            lambda: cpu_of([str(BIN / "ansible"), "--version"]),
            goal="<= 1.2",
        )
        yield from _idle(config)


def _idle(config: Path) -> Iterator[Measure]:
    server = subprocess.Popen(
        [BIN / "runner", "-c", config, "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(SETTLED)
        first = psutil.Process(server.pid)
        seen = [first, *first.children(recursive=True)]
        before = sum(map(_seconds, seen))
        time.sleep(WATCHED)
        used = sum(map(_seconds, seen)) - before
        pss = sum(one.memory_full_info().pss for one in seen)
    finally:
        server.terminate()
        server.wait(30)
    yield Measure(name="idle, of a core", value=100 * used / WATCHED, unit="%", goal="< 1")
    yield Measure(name="idle, memory (PSS)", value=pss / 1e6, unit="MB", goal="<= 150")


def _seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
