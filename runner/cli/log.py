"""The log of a process that stays: lines for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.errors import StoreError
from runner.store import audit_log, incidents
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


@dataclass
class _Window:
    """What came of one kind of line since `began`."""

    began: float
    let_through: int = 0
    left_out: int = 0


class OncePerMinute(logging.Filter):
    """The same line once a minute, and at most `VARIANTS` lines that differ only in their values.

    The next one that is written says how many were left out. The audit log's own lines all pass:
    each is a transition.
    """

    SECONDS = 60.0
    VARIANTS = 20
    MAX_KINDS = 1000  #: remembered, the latest

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: OrderedDict[tuple[object, ...], _Window] = OrderedDict()
        self._kinds: OrderedDict[tuple[object, ...], _Window] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.name == logger.name:
            return True
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return True  # its handler says what is wrong with it
        kind = (record.name, record.levelno, str(record.msg)[:300])
        with self._lock:
            left_out = self._pass(self._lines, (record.name, record.levelno, text[:300]), 1)
            if left_out is not None:
                more = self._pass(self._kinds, kind, self.VARIANTS)
                left_out = None if more is None else max(left_out, more)
        if left_out:
            record.msg, record.args = f"{text} ({left_out} more such lines were left out)", ()
        return left_out is not None

    def _pass(
        self,
        seen: OrderedDict[tuple[object, ...], _Window],
        key: tuple[object, ...],
        most: int,
    ) -> int | None:
        """How many were left out before this one; None when this one is left out too."""
        now = self._clock()
        window = seen.get(key)
        left_out = 0
        if window is None or now - window.began >= self.SECONDS:
            left_out = window.left_out if window else 0
            window = seen[key] = _Window(began=now)
            seen.move_to_end(key)
            if len(seen) > self.MAX_KINDS:
                seen.popitem(last=False)
        if window.let_through >= most:
            window.left_out += 1
            return None
        window.let_through += 1
        return left_out


def set_format(name: str, *, verbose: bool) -> None:
    """Send the log of this process to standard error as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if name == "json" else TextLines())
    handler.addFilter(OncePerMinute())
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
                rows = audit_log.after(tx, self._last)
        except StoreError as error:
            logger.warning("%s", error)
            return
        for row in rows:
            self._last = row.sequence
            extra = {key: getattr(row, key) for key in _EXTRA}
            what = f"incident {row.incident} {row.action}" if row.incident else row.action
            logger.info("%s: %s", what, row.reason, extra=extra)
