"""Whether the store takes what would be sent now: asked by writing, at a bounded rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runner.errors import RunnerError, StoreError
from runner.project import Project
from runner.store.tables import workers

#: Seconds for which an answer counts again, whoever asks how often.
FRESH = 1.0
#: Seconds after which a store that says nothing counts as down.
PATIENCE = 5.0


class Readiness:
    """The last answer of the store, and at most one thread that waits for the next one.

    A database can answer questions and refuse every write: an old primary after a failover
    does. And a commit can wait for ever, for a replica that is gone.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._asked = 0.0  #: when the thread began that is under way
        self._waiting = False
        self._answered = float("-inf")
        self._error: str | None = None

    def require(self) -> None:
        """Return when a write was taken just now. Raises StoreError."""
        with self._changed:
            if time.monotonic() - self._answered < FRESH:
                return self._tell()
            if not self._waiting:
                self._waiting, self._asked = True, time.monotonic()
                threading.Thread(target=self._ask, name="readiness", daemon=True).start()
            left = self._asked + PATIENCE - time.monotonic()
            if not self._changed.wait_for(lambda: not self._waiting, max(left, 0.0)):
                raise StoreError(f"the store did not take a write within {PATIENCE:g} s")
            self._tell()

    def _tell(self) -> None:
        if self._error is not None:
            raise StoreError(self._error)

    def _ask(self) -> None:
        error: str | None = None
        try:
            self._write()
        except RunnerError as refused:
            error = str(refused)
        except Exception as defect:
            error = f"the store cannot be used ({type(defect).__name__})"
        with self._changed:
            self._error, self._waiting, self._answered = error, False, time.monotonic()
            self._changed.notify_all()


def of(project: Project) -> Readiness:
    """Asks the project's store, by writing what is there already: the row of this process, or
    none, which is refused as well where nothing may be written."""

    def write() -> None:
        mine = workers.c.id == project.worker
        with project.database.write() as tx:
            tx.execute(workers.update().where(mine).values(beat_at=workers.c.beat_at))

    return Readiness(write)
