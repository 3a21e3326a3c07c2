"""What the hosts of a lab are made of: LXC, or systemd-nspawn where there is no LXC."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from tests.lab import lxc, nspawn
from tests.lab.layout import Layout
from tests.lab.shell import LabError, missing


class Containers(Protocol):
    """One way to have hosts; each of its modules says how."""

    @property
    def PROGRAMS(self) -> tuple[str, ...]:
        """What must be installed."""

    def configure(self, lab: Layout, image: Path, host: str) -> None:
        """Make a host that is off; what is its own lies in `Layout.upper` already."""

    def start(self, lab: Layout, host: str) -> None:
        """Switch it on; it is still booting when this returns. Raises LabError."""

    def stop(self, lab: Layout, host: str) -> None:
        """Cut its power: nothing on it is told."""

    def entry(self, lab: Layout, host: str) -> list[str | Path]:
        """The words before a command that make it run on the host. Raises LabError."""

    def remove(self, lab: Layout) -> None:
        """Leave nothing of any host, also of a lab that was killed."""


WAYS: dict[str, Containers] = {"lxc": lxc, "nspawn": nspawn}


def chosen() -> Containers:
    """What `RUNNER_LAB_CONTAINERS` names, or what is installed. Raises LabError."""
    if wanted := os.environ.get("RUNNER_LAB_CONTAINERS"):
        if wanted not in WAYS:
            raise LabError(f"RUNNER_LAB_CONTAINERS is {wanted!r}; it may be {' or '.join(WAYS)}")
        return WAYS[wanted]
    installed = [way for way in WAYS.values() if not missing(way.PROGRAMS)]
    return installed[0] if installed else lxc
