"""Has the engine look at its queue when something was handed over, not when a time is over.

The library's own loop looks, claims and starts; only what it waits for is ours. The library has a
thread by the clock as well, so that whatever goes wrong here costs time and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_PATIENCE = 10.0  # seconds for a look that is under way at the stop; the library waits as long


class Bell:
    """One per process that works."""

    def __init__(self) -> None:
        self._stop = _Rung()
        self._thread: threading.Thread | None = None

    def start(self, loop: Callable[[threading.Event], object]) -> None:
        """Run `loop` in a thread of its own. It is given an event that tells it to stop, and looks
        each time it has waited for that in vain."""
        self._thread = threading.Thread(target=loop, args=(self._stop,), name="bell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Look as soon as possible, and after this call."""
        self._stop.ring()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)


class _Rung(threading.Event):
    """What tells the loop to stop. Its wait ends when it is rung, whatever the time."""

    def __init__(self) -> None:
        super().__init__()
        self._bell = threading.Event()

    def ring(self) -> None:
        self._bell.set()

    def set(self) -> None:
        super().set()
        self._bell.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._bell.wait()
        self._bell.clear()
        return self.is_set()
