"""A command that waits for incidents works on them itself when no other process does."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from runner.cli.session import Session
from runner.errors import Refused

#: Seconds between two looks whether somebody works.
LOOK_EVERY = 5.0
#: Seconds that stopping may take; what is under way then resumes at the next start.
STOP_WITHIN = 5.0


class StandIn:
    """Use it in a `with` block, and call `step` while waiting."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stop: threading.Thread | None = None
        self._looked = 0.0
        self._daemon: object | None = None

    def __enter__(self) -> Self:
        self.step()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def works(self) -> bool:
        """Whether it is this process that works."""
        return self._daemon is not None

    def step(self) -> None:
        """Begin to work when nobody does: whoever did may have gone meanwhile."""
        now = time.monotonic()
        if self.works or (self._looked and now - self._looked < LOOK_EVERY):
            return
        self._looked = now
        if self._session.is_worked_on():
            return
        from runner.daemon import Daemon

        project = self._session.project
        # The transitions are on the screen already.
        quiet = project.config.notify.model_copy(update={"console": False})
        project.config = project.config.model_copy(update={"notify": quiet})
        daemon = Daemon(project, intake=False)
        try:
            with self._session.busy("reading catalog and inventory"):
                daemon.start()
        except Refused:
            return  # another process was first
        self._daemon = daemon
        self._stop = threading.Thread(target=daemon.stop, name="stop", daemon=True)

    def stop(self) -> None:
        """Stop working, if it did."""
        if self._stop is not None:
            self._stop.start()
            self._stop.join(STOP_WITHIN)
            self._stop = None
