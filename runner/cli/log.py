"""The log of a process that stays: lines for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime

from runner.errors import StoreError
from runner.store import incidents, trail
from runner.store.database import Database
from runner.text import visible

#: Of its own, so that it may speak while libraries are quiet.
logger = logging.getLogger("runner.trail")

#: Attributes that a call of ours may add to a record, see `extra=`.
_EXTRA = ("action", "incident", "actor", "previous")


class JsonLines(logging.Formatter):
    """One record, one object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: getattr(record, key) for key in _EXTRA if getattr(record, key, None)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """A time, a level and a harmless sentence."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; only a traceback has several lines."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname:<7} {visible(record.getMessage())}"
        if record.exc_info:
            line += "\n" + visible(self.formatException(record.exc_info), lines=True)
        return line


def set_format(name: str, *, verbose: bool) -> None:
    """Send the log of this process to standard error as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if name == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("runner").setLevel(logging.INFO)
    if verbose:
        logging.getLogger("uvicorn").setLevel(logging.INFO)


class TrailLog:
    """Logs every transition that the store is given from now on, whoever made it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="trail-log", daemon=True)
        self._last = 0

    def start(self) -> None:
        """Begin with what comes next."""
        with self._database.read() as tx:
            self._last = incidents.last_change(tx)
        self._thread.start()

    def stop(self) -> None:
        """Log what is left, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _loop(self) -> None:
        while not self._stop.wait(0.5):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            with self._database.read() as tx:
                rows = trail.after(tx, self._last)
        except StoreError as error:
            logger.warning("%s", error)
            return
        for row in rows:
            self._last = row.sequence
            extra = {key: getattr(row, key) for key in _EXTRA}
            what = f"incident {row.incident} {row.action}" if row.incident else row.action
            logger.info("%s: %s", what, row.reason, extra=extra)
