"""A file system in which each host sees its own processors and memory, not the machine's."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.lab import shell
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call

_PROC = ("cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime")
#: What is laid over the host's own, below `Layout.lxcfs` and below the host's root.
VIEW = (*(f"proc/{name}" for name in _PROC), "sys/devices/system/cpu")


def start(lab: Layout) -> subprocess.Popen[bytes]:
    """Mount one that is the lab's own. Raises LabError when it does not come."""
    lab.lxcfs.mkdir()
    with (lab.state / "lxcfs.log").open("wb") as log:
        process = subprocess.Popen(
            ["lxcfs", "-f", "-l", "--enable-cfs", "-p", _pidfile(lab), lab.lxcfs],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(lab, process)
    except BaseException:  # Ctrl-C too: nobody else knows of the process yet
        process.kill()
        process.wait()
        raise
    return process


def _wait(lab: Layout, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not (lab.lxcfs / "proc/stat").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"lxcfs does not start; see {lab.state}/lxcfs.log")
        time.sleep(0.02)


def remove(lab: Layout) -> None:
    """Unmount it and end its process, also one that an earlier lab started."""
    call("umount", "-l", lab.lxcfs, check=False)
    pidfile = _pidfile(lab)
    if pidfile.is_file() and (text := pidfile.read_text().strip()).isdigit():
        command = Path(f"/proc/{text}/cmdline")
        if command.is_file() and str(lab.lxcfs).encode() in command.read_bytes():
            shell.end(lambda: [int(text)])


def _pidfile(lab: Layout) -> Path:
    return lab.state / "lxcfs.pid"
