"""Waiting for hosts that another run is touching, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from runner.errors import Refused
from runner.project import Project
from runner.store.runs import HostsBusy

#: Seconds that a run waits for busy hosts before a person is asked.
PATIENCE = 900.0
_POLL = 1.0

_R = TypeVar("_R")


def for_hosts(project: Project, start: Callable[[], _R]) -> _R:
    """What `start` returns, called again while it raises HostsBusy.

    Raises Refused, naming the hosts, when they stay busy.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return start()
        except HostsBusy as busy:
            if time.monotonic() >= until:
                raise Refused(f"waited {PATIENCE / 60:.0f} minutes: {busy}") from None
            project.sleep(_POLL)
