"""Whether a run uses the processor, or only waits for a slow host, a pause, a service."""

from __future__ import annotations

import time
from collections.abc import Callable

from runner.execute import processes

EVERY = 1.0  #: seconds between two looks, each of which reads the machine's table of processes
LOOKS = 2  #: in a row that must find it waiting
#: The share of one core below which it waits. Ansible is never quite idle: it asks its workers
#: hundreds of times a second whether they are done, which takes 2 to 5 %.
QUIET = 0.1


class Load:
    """Looks at the processes of one run, and says whether they only wait.

    `told` hears it after each look, and answers whether it wants to hear more.
    """

    def __init__(self, root: int, told: Callable[[bool], bool]) -> None:
        self._root, self._told = root, told
        self._heard = True
        self._quiet = 0
        self._at, self._used = time.monotonic(), 0.0  # it has just been started

    def look(self) -> None:
        """Look, if it is time to; call it as often as you like."""
        now = time.monotonic()
        if not self._heard or now - self._at < EVERY:
            return
        used = processes.processor_time(self._root)
        quiet = 0 <= used - self._used < QUIET * (now - self._at)
        self._quiet = self._quiet + 1 if quiet else 0
        self._at, self._used = now, used
        self._heard = self._told(self._quiet >= LOOKS)
