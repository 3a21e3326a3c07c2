"""Whose turn it is to write to a SQLite file: first come, first served.

SQLite has one writer, and writers that wait for it poll: whoever has just written usually gets it
again, and another one can wait until the store counts as down though it works.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner import private
from runner.errors import StoreError

#: Of the file beside the store whose first two bytes are locked; it stays empty.
ENDING = "-turns"
_NEXT, _NOW = 0, 1
#: Seconds between two looks at a lock.
_LOOK = 0.002


class WriterQueue:
    """A lock that is handed on in the order in which it was asked for, among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Hold it for the block. Raises StoreError after `patience` seconds of waiting."""
        mine = threading.Event()  # set when it is one's turn
        with self._lock:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        if not mine.wait(patience):
            with self._lock:
                if not mine.is_set():  # else the turn came in the same moment
                    self._waiting.remove(mine)
                    raise StoreError("the store is unavailable: its writers take too long")
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._taken = False


class ProcessQueue:
    """A lock that processes hand to each other: none takes it twice while another one waits.

    Who wants to write is the next one first, and as long as it waits nobody else can be. The locks
    are those of this process: a fork has none of them, and a process that was killed has none left.
    Only turns depend on it; what is written is kept apart by SQLite itself.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ENDING)
        self._file: int | None = None

    @contextmanager
    def turn(self, until: float) -> Iterator[None]:
        """Hold it for the block. Raises StoreError when it is still another's at `until`, a time
        of the monotonic clock. One thread at a time."""
        if self._file is None:
            with suppress(OSError):
                self._file = private.opener(self._path, os.O_RDWR | os.O_CREAT)
        if (file := self._file) is None:
            yield  # SQLite says why, in the words that people look up
            return
        _lock(file, _NEXT, until)
        try:
            _lock(file, _NOW, until)
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, _NEXT)
        try:
            yield
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, _NOW)

    def close(self) -> None:
        """Nobody is in a turn; the next one opens the file again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock(file: int, byte: int, until: float) -> None:
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            return
        except OSError:
            if time.monotonic() > until:
                raise StoreError("the store is unavailable: its writers take too long") from None
        time.sleep(_LOOK)
