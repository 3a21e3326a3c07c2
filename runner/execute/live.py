"""Follows a run's events for a live display, without ever holding up the run.

The supervisor wrote them: masked, and each of a bounded length.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from runner.execute.request import TaskEvent
from runner.execute.result import task_event

_PAUSE = 0.1  # seconds between two looks
_PIECE = 4_000_000  # bytes read at once: more than the longest line
_PATIENCE = 1.0  # seconds that a slow display may take after the end

logger = logging.getLogger(__name__)


class Follower:
    """Calls `on_event` for each task's end, from a thread of its own.

    What a slow or failing display has not taken a second after the run's end is
    dropped; the result has it all the same.
    """

    def __init__(self, path: Path, on_event: Callable[[TaskEvent], None] | None) -> None:
        self._path, self._on_event = path, on_event
        self._over = threading.Event()
        self._dropped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def __enter__(self) -> Follower:
        if self._on_event:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._on_event:
            self._thread.join(_PATIENCE)
            self._dropped.set()

    def _follow(self) -> None:
        assert self._on_event is not None
        while not self._path.exists():
            if self._over.wait(_PAUSE):
                return
        with self._path.open("rb") as file:
            torn = b""
            while not self._dropped.is_set():
                last = self._over.is_set()
                lines = (torn + file.read(_PIECE)).split(b"\n")
                torn = lines.pop()
                for event in filter(None, (task_event(json.loads(line)) for line in lines)):
                    if self._dropped.is_set():
                        return
                    try:
                        self._on_event(event)
                    except Exception:
                        logger.exception(
                            "a run's live display failed and is left alone from here on"
                        )
                        return
                if not lines:
                    if last:
                        return
                    self._over.wait(_PAUSE)
