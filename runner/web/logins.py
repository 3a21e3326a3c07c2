"""Logins that failed: told in the log, counted, and answered later each time.

Only the answer to a failed login waits. A right credential is never kept waiting, from whatever
address, so that nobody can hold up Alertmanager's deliveries by failing beside it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

FREE = 3  #: failures that are answered at once: people mistype
FIRST_DELAY = 0.5  #: seconds; doubled by each further failure
LONGEST_DELAY = 30.0
FORGOTTEN_AFTER = 900.0  #: seconds without a failure
MAX_ADDRESSES = 1024  #: remembered; the one that failed longest ago is forgotten first
MAX_WAITING = 8  #: answers of one address that wait at once: a flood must not hold connections


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    free_at: float = 0.0  #: when the answer that waits longest goes out
    waiting: int = 0


class FailedLogins:
    """What is remembered of each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, _Failures] = OrderedDict()

    def delay(self, address: str) -> float:
        """Note a failure; the seconds after which it is answered. Call `answered` then."""
        now = self._clock()
        known = self._by_address.get(address)
        if known is None or (now - known.last > FORGOTTEN_AFTER and not known.waiting):
            known = self._by_address[address] = _Failures()
        self._by_address.move_to_end(address)
        while len(self._by_address) > MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        known.count += 1
        known.last = now
        known.waiting += 1
        log.warning("a login from %s failed", address, extra={"action": "login_failed"})
        if known.count <= FREE or known.waiting > MAX_WAITING:
            return 0.0
        step = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(known.count - FREE - 1, 20))
        known.free_at = min(now + LONGEST_DELAY, max(now, known.free_at) + step)
        return known.free_at - now

    def answered(self, address: str) -> None:
        """The answer to one failure went out."""
        if (known := self._by_address.get(address)) is not None:
            known.waiting = max(0, known.waiting - 1)
