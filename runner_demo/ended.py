"""Ctrl-C, SIGTERM and a closed terminal end the demo once, and never its cleaning up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody ends the demo. Not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + number


class Signals:
    """Raises Ended in the main thread at the first signal; later ones are ignored."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._number: int | None = None
        self._deferring = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._end) for number in _CAUGHT}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ignore(self) -> None:
        """From here on nothing interrupts: what was started is being ended anyway."""
        for number in _CAUGHT:
            # Not SIG_IGN, which processes that are started from here on would inherit.
            signal.signal(number, lambda number, frame: None)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A signal counts only at the end of the block, which must not be left half done."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._number is not None:
            raise Ended(self._number)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self.ignore()
        if not self._deferring:
            raise Ended(number)
