"""The control groups of a lab's hosts: what a host may use, who is in it, and their end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.lab.layout import Layout

TOP = Path("/sys/fs/cgroup")
_MEMORY = 384 * 1024**2
#: Of every 100 ms: half a processor, so that a saturated host leaves the machine usable.
_QUOTA, _PERIOD = 50_000, 100_000
#: A host gets its half also when the machine is busy, so that what it shows is its own doing.
_WEIGHT = 4


def unified() -> bool:
    """Whether this machine has one hierarchy with all controllers (version 2)."""
    return (TOP / "cgroup.controllers").exists()


def limits() -> dict[str, str]:
    """What a host may use: file of its control group → content."""
    if unified():
        return {
            "memory.max": f"{_MEMORY}",
            "cpu.weight": f"{_WEIGHT * 100}",
            "cpu.max": f"{_QUOTA} {_PERIOD}",
        }
    return {
        "memory.limit_in_bytes": f"{_MEMORY}",
        "cpu.shares": f"{_WEIGHT * 1024}",
        "cpu.cfs_period_us": f"{_PERIOD}",
        "cpu.cfs_quota_us": f"{_QUOTA}",
    }


def hierarchies() -> list[Path]:
    """The top of every hierarchy that a host is a part of."""
    if unified() or not TOP.is_dir():
        return [TOP]
    return sorted(path for path in TOP.iterdir() if not path.is_symlink())


def of_lab(lab: Layout) -> list[Path]:
    """The topmost control groups of the lab's hosts, in every hierarchy."""
    return [path for top in hierarchies() for path in top.glob(f"*.{lab.id}-*")]


def members(groups: list[Path]) -> set[int]:
    """The processes in these groups and below them."""
    return {
        int(line)
        for top in groups
        for folder in _folders(top)
        for line in _lines(folder / "cgroup.procs")
    }


def forget(groups: Callable[[], list[Path]]) -> None:
    """Remove the groups that are found; the last process of one may take a moment to go."""
    deadline = time.monotonic() + 10
    while (left := groups()) and time.monotonic() < deadline:
        for top in left:
            for folder in _folders(top):
                with suppress(OSError):
                    folder.rmdir()
        time.sleep(0.02)


def _folders(top: Path) -> Iterator[Path]:
    """The group and those below it, the lowest first."""
    return (Path(folder) for folder, _, _ in os.walk(top, topdown=False))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # the group went away meanwhile
        return []
