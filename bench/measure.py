"""One line of the table: what was measured beside what, in one sitting."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure and its goal. With a control it is the ratio to that, the median of all rounds."""

    name: str
    value: float | None  #: None where it could not be measured; `note` says why
    goal: str
    unit: str = "x"
    control: str = ""
    note: str = ""


def compare(
    name: str, ours: Callable[[], float], control: str, theirs: Callable[[], float], *, goal: str
) -> Measure:
    """Both in turn, so that a drift of the machine falls on both; the first round warms up."""
    ours(), theirs()
    pairs = [(theirs(), ours()) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / other for other, mine in pairs)
    return Measure(name=name, value=ratio, goal=goal, control=control)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cpu_of(command: Sequence[str]) -> float:
    """CPU seconds of a program and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_here(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began
