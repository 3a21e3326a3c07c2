"""Finding and ending every process of a run, whatever session or parent it has.

ansible-core 2.19's workers make their own session, and asynchronous tasks leave
their parent. A run's processes are therefore found by three marks: descent from
the supervisor, the run's id in their environment, and a session shared with one
of those.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil

MARK = "RUNNER_RUN_ID"
_PAUSE = 0.05  # seconds between two looks


def of_run(run_id: str, *, root: int | None = None) -> list[psutil.Process]:
    """The run's living processes, without our own; `root` and its descendants included."""
    found = {process.pid: process for process in _descent(root)}
    everything = [process for process in psutil.process_iter() if process.pid != os.getpid()]
    for process in everything:
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == run_id:
                found[process.pid] = process
    sessions = {_session(pid) for pid in found} - {None, _session(os.getpid())}
    found |= {process.pid: process for process in everything if _session(process.pid) in sessions}
    return [p for pid, p in found.items() if pid != os.getpid() and _lives(p)]


def processor_time(root: int) -> float:
    """Seconds that `root` and its descendants have used, with those that have ended.

    Less than before when one has ended whose parent has not yet asked for its end.
    """
    used = 0.0
    for process in _descent(root):
        try:
            used += sum(process.cpu_times()[:4])  # its own, and of children that have ended
        except psutil.Error:
            continue
    return used


def end(find: Callable[[], list[psutil.Process]], *, grace: float) -> int:
    """TERM, `grace` seconds, then KILL until `find` finds nothing. Returns how many live on."""
    _send(find(), signal.SIGTERM)
    until = time.monotonic() + grace
    while (left := find()) and time.monotonic() < until:
        time.sleep(_PAUSE)
    for _ in range(40):
        if not left:
            return 0
        _send(left, signal.SIGKILL)
        time.sleep(_PAUSE)
        left = find()
    return len(left)


def started_at(pid: int) -> float | None:
    """When process `pid` began, in seconds since the epoch; None when it is not there."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def same(pid: int, started: float) -> bool:
    """Whether `pid` still is the process that began at `started`, and lives."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and _lives(process)
    except psutil.Error:
        return False


def is_shared_connection(process: psutil.Process) -> bool:
    """Whether it is an SSH master, which outlives its run on purpose."""
    try:
        return process.name() == "ssh" and "[mux]" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _descent(root: int | None) -> list[psutil.Process]:
    if root is None:
        return []
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
