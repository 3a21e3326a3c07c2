"""The inventory in memory: read when it is first needed, and again when a file of it changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from runner.config import Locate
from runner.errors import InventoryError
from runner.inventory import Inventory, Warm, read_from, sources
from runner.inventory.excerpt import LARGE
from runner.inventory.sources import Stamp
from runner.vault import Vault

logger = logging.getLogger(__name__)

_AGAIN = 5.0  #: seconds for which an inventory that cannot be read is not tried again
_SHORTEST = 8  #: bytes that a host takes in a file at least, about
_LOOK = 1.0  #: seconds between two looks at the files: each costs a stat of every one


class InventoryReader:
    """Reads the inventory again only when a file of it changed.

    Only what is no plain file (a script, a plugin, a link to a folder) is also read again when
    it is too old.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        environment: Mapping[str, str],
        vault: Vault | None = None,
        domains: Iterable[str] = (),
        *,
        variables: Iterable[str] = Locate().variables,
        warm: Warm | None = None,
    ) -> None:
        self._warm = warm
        self._paths = paths
        self._environment = dict(environment)
        self._vault = vault
        self._domains = tuple(domains)
        self._variables = tuple(variables)
        self._lock = threading.Lock()
        self._stamped: tuple[float, Stamp] | None = None
        self._last: _Read | None = None
        self._failed: tuple[float, Stamp, InventoryError] | None = None
        self._complete: Inventory | None = None  #: as it was when all sources were last read

    def read(self, max_age: timedelta, *, fresh: bool = False) -> Inventory:
        """The inventory; a changed file is seen after a second, or at once with `fresh`, and
        what is not a plain file after `max_age`. Raises InventoryError."""
        with self._lock:
            if fresh:
                self._stamped = None
            now = time.monotonic()
            stamp = self._stamp(now)
            if self._last is not None and self._last.holds(stamp, now, max_age):
                return self._last.inventory
            if self._failed is not None:
                at, seen, error = self._failed
                if seen == stamp and now - at <= _AGAIN:
                    raise error
            self._stamped = None  # what is read may be newer than a stamp of the last second
            now = time.monotonic()
            stamp = self._stamp(now)
            try:
                inventory = Inventory.load(
                    self._paths,
                    environment=self._environment,
                    vault=self._vault,
                    domains=self._domains,
                    variables=self._variables,
                    warm=self._warm,
                    large=sources.size(self._paths, stamp) > LARGE * _SHORTEST,
                    partly=bool(self._last and self._last.inventory.unread),
                )
            except InventoryError as error:
                self._failed = (time.monotonic(), stamp, error)
                raise
            only_files = sources.only_files(self._paths, stamp, self._environment)
            if not only_files or sources.may_add(self._environment):
                inventory = replace(inventory, whole=None)
            lasts = only_files and not inventory.templated
            inventory = self._beside(inventory)
            self._last = _Read(at=now, stamp=stamp, inventory=inventory, lasts=lasts)
            self._failed = None
            return inventory

    def _beside(self, inventory: Inventory) -> Inventory:
        """The inventory, with what was known of sources that cannot be read; says when that is."""
        lacked = self._last.inventory.lacks if self._last else ""
        if not inventory.unread:
            if lacked:
                logger.info("all sources of the inventory can be read again")
            self._complete = inventory
            return inventory
        inventory = replace(inventory, whole=None, before=self._complete)
        if inventory.lacks != lacked:
            some = ", ".join(inventory.unknown[:20]) or "its hosts"
            for source, why in inventory.unread.items():
                logger.warning("%s cannot be read (%s): unknown are %s", source, why, some)
        return inventory

    @property
    def last(self) -> Inventory | None:
        """The inventory as it was last read, without a look at any file; None before that."""
        last = self._last
        return last.inventory if last is not None else None

    def _stamp(self, now: float) -> Stamp:
        """What the files are now, or were less than a second ago."""
        if self._stamped is None or now - self._stamped[0] >= _LOOK:
            # The time after it: one that takes long must not be due again at once.
            seen = sources.stamp(read_from(self._paths), self._environment)
            self._stamped = time.monotonic(), seen
        return self._stamped[1]


@dataclass(frozen=True, kw_only=True)
class _Read:
    at: float
    stamp: Stamp
    inventory: Inventory
    lasts: bool  #: as long as no file changes

    def holds(self, stamp: Stamp, now: float, max_age: timedelta) -> bool:
        if self.stamp != stamp:
            return False
        return self.lasts or now - self.at <= max_age.total_seconds()
