"""The processes of this host, as /proc tells; the number of one that has gone is never trusted.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import os
import re

MOST_PROCESSES = 1000  #: that are counted as one's own

#: Process → (its parent, when it was started, in ticks since the boot).
Processes = "dict[int, tuple[int, int]]"


def processes() -> Processes:
    """All of them."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(name)] = (int(fields[1]), int(fields[19]))
    return found


def family(pid: int, known: Processes) -> list[int]:
    """The process and all that it has started, itself first; nothing where it is gone."""
    found: list[int] = []
    children: dict[int, list[int]] = {}
    for child, (parent, _) in known.items():
        children.setdefault(parent, []).append(child)
    waiting = [pid] if pid in known else []
    while waiting and len(found) < MOST_PROCESSES:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def unit_of(text: str) -> str:
    """The unit of systemd itself in /proc/PID/cgroup, a service or a scope; empty without one.

    The outermost one counts, and it lies in slices only: what a user's own systemd calls a service
    is that user's alone, and what a container calls one is of another host.
    """
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "name=systemd" or number == "0":
            for part in path.split("/")[1:]:
                if re.search(r"\.(service|scope)$", part):
                    return part
                if not part.endswith(".slice"):
                    break
    return ""


def own_memory(pid: int) -> int:
    """Bytes that the process has in memory and shares with no file and no other process."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
