"""Writers of one process take turns: first come, first served.

SQLite has one writer, and those that wait for it poll: whoever has just written usually gets
it again, and another one can wait until the store counts as down though it works.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from runner.errors import StoreError


class Turns:
    """A lock that is handed on in the order in which it was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Hold it for the block. Raises StoreError after `patience` seconds of waiting."""
        mine = self._asked()
        if mine is not None and not mine.wait(patience) and self._given_up(mine):
            raise StoreError("the store cannot be used now: its writers take too long")
        try:
            yield
        finally:
            self._hand_on()

    def _asked(self) -> threading.Event | None:
        """None when it is free; else what is set when it is one's turn."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return None
            mine = threading.Event()
            self._waiting.append(mine)
            return mine

    def _given_up(self, mine: threading.Event) -> bool:
        """False when the turn came in the same moment."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
