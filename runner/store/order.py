"""Whose turn it is: hosts take turns, and one with a more urgent alert comes round more often.

A host that sends thousands of alerts delays its own alerts, and nobody else's.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

from runner.inventory.names import host_of


class Urgency(IntEnum):
    """How urgent an alert is, of which `severity` says what its author thinks."""

    LOW = 0
    WARNING = 1
    HIGH = 2
    CRITICAL = 3

    @property
    def weight(self) -> int:
        """How many turns it gets for each one of LOW."""
        return 1 << self


class Stage(IntEnum):
    """What somebody waits to do: the further an incident is, the sooner it goes on."""

    RUN = 0
    DRY_RUN = 1
    PROBE = 2


_BY_WORD = {
    **dict.fromkeys(("critical", "crit", "page", "fatal", "emergency", "disaster", "p1", "1"), 3),
    **dict.fromkeys(("error", "high", "major", "p2", "2"), 2),
    **dict.fromkeys(("warning", "warn", "average", "medium", "minor", "p3", "3"), 1),
}
#: Labels that name the place of an alert, the best first.
_PLACES = ("instance", "host", "hostname", "node", "nodename", "server")
#: Characters of a name that counts: what is longer takes turns with what begins the same.
MAX_PLACE = 255


def urgency_of(labels: Mapping[str, str]) -> Urgency:
    """By the label `severity`, else `priority`."""
    return _by_word(labels.get("severity") or labels.get("priority") or "")


def highest_urgency_of(labels: Mapping[str, str]) -> Urgency:
    """By the more urgent one of the labels `severity` and `priority`."""
    return max(_by_word(labels.get(name, "")) for name in ("severity", "priority"))


def _by_word(word: str) -> Urgency:
    return Urgency(_BY_WORD.get(word.strip().casefold(), 0))


def place_of(labels: Mapping[str, str]) -> str:
    """The host that an alert names, as it is written there, without a port; else empty."""
    text = next((labels[name] for name in _PLACES if labels.get(name)), "")
    return host_of(text[:MAX_PLACE])


class FairTurns:
    """Weighted turns: each turn costs a host the more time, the less urgent what it does is."""

    def __init__(self) -> None:
        self._now = 0.0  # in turns: when the last one that was given began
        self._ends: dict[str, float] = {}

    def next(self, waiting: Mapping[str, Urgency]) -> str:
        """Who of those that wait is next, and has had its turn by that.

        Of those whose turn it is, the most urgent, then the one that was named first.
        """
        chosen = min(waiting, key=lambda who: (self._start(who), -waiting[who]))
        self._now = self._start(chosen)
        self._ends[chosen] = self._now + 1 / waiting[chosen].weight
        # Whoever would begin now anyway needs no note.
        self._ends = {who: end for who, end in self._ends.items() if end > self._now}
        return chosen

    def _start(self, who: str) -> float:
        return max(self._now, self._ends.get(who, 0.0))


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Who asks for a slot, and for what."""

    host: str
    urgency: Urgency
    stage: Stage
    incident: int = 0  #: the lower, the older


@dataclass(eq=False)
class _Asked:
    rank: Rank
    number: int
    given: threading.Event = field(default_factory=threading.Event)
    lent: bool = False

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Within a host: severity, then stage, then age."""
        return -self.rank.urgency, self.rank.stage, self.rank.incident, self.number


class FairSlots:
    """So many at once, and the others in turns.

    A turn is for an incident, not for each of its runs: what was begun comes to its end before
    another one of the same urgency begins. In a storm the first is fixed while the last waits,
    instead of all being probed first. How many of a host are begun at once is limited elsewhere.

    Slots are for the processor. Who says that it only waits, for a slow host say, lends its slot
    to the next one, and does not get it back; so there may be more at once, `LENT` times as many.
    """

    #: Who lent its slot still takes memory: 35 to 75 MB for Ansible alone.
    LENT = 4

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._room = slots * self.LENT
        self._turns = FairTurns()
        self._waiting: dict[str, list[_Asked]] = {}
        self._idle: list[_Asked] = []  # they hold a slot that they do not use
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, rank: Rank) -> Iterator[Callable[[bool], bool]]:
        """Hold one for the block; waits for its turn.

        The block may call what it gets, again and again, with whether it only waits just now. The
        answer is whether it still holds its slot: after False there is nothing more to say.
        """
        mine = self._ask(rank)
        try:
            mine.given.wait()
            yield partial(self._note, mine)
        finally:
            self._take_back(mine)

    def _ask(self, rank: Rank) -> _Asked:
        mine = _Asked(rank=rank, number=next(self._numbers))
        with self._lock:
            self._waiting.setdefault(rank.host, []).append(mine)
            self._give()
        return mine

    def _note(self, mine: _Asked, only_waits: bool) -> bool:
        with self._lock:
            if only_waits and not mine.lent and mine not in self._idle:
                self._idle.append(mine)
                self._give()
            elif not only_waits and mine in self._idle:
                self._idle.remove(mine)
            return not mine.lent

    def _give(self) -> None:
        while self._waiting and self._room and (self._free or self._idle):
            if not self._free:  # one that only waits lends its slot
                self._idle.pop(0).lent = True
                self._free += 1
            first = {
                host: min(row, key=lambda one: one.order) for host, row in self._waiting.items()
            }
            ranks = [one.rank for one in first.values()]
            # Without those that another one is ahead of that is as urgent.
            ready = [
                one
                for one in first.values()
                if not any(
                    r.stage < one.rank.stage and r.urgency >= one.rank.urgency for r in ranks
                )
            ]
            ready.sort(key=lambda one: (one.rank.stage, one.rank.incident, one.number))
            host = self._turns.next({one.rank.host: one.rank.urgency for one in ready})
            self._remove(first[host])
            self._free -= 1
            self._room -= 1
            first[host].given.set()

    def _take_back(self, mine: _Asked) -> None:
        with self._lock:
            if mine.given.is_set():
                self._free += 0 if mine.lent else 1
                self._room += 1
                self._idle = [one for one in self._idle if one is not mine]
            else:
                self._remove(mine)
            self._give()

    def _remove(self, one: _Asked) -> None:
        row = self._waiting[one.rank.host]
        row.remove(one)
        if not row:
            del self._waiting[one.rank.host]
