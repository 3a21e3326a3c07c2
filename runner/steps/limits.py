"""Every limit at the moment of a run: asked in the transaction that takes its hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from runner import policy
from runner.catalog.entry import Entry
from runner.incident import Incident
from runner.policy import Against, Late, Situation
from runner.project import Project
from runner.steps.judge import by_the_store, placed_plans
from runner.store.runs import NotNow

#: Seconds that what Prometheus said may be old when the hosts are taken.
FRESH = 10.0


class Limited(Exception):
    """A limit stands against the run; `against` says which, and what follows from it."""

    def __init__(self, against: Against) -> None:
        super().__init__(against.text)
        self.against = against


class Limits:
    """The limits of one run, with the facts of Prometheus and the inventory as they are now."""

    def __init__(
        self,
        project: Project,
        incident: Incident,
        *,
        entry: Entry,
        situation: Situation,
        shown: Collection[str] | None,
        waits: Callable[[Against], bool],
        placed: bool = False,
    ) -> None:
        """`entry` is that whose record counts; `shown` are the rules that a person overrides.

        `waits` says whether the run stays and looks again for what passes with time."""
        self._project, self._incident, self._entry = project, incident, entry
        # Other runs do not count for capacity here: the intent waits for them, under its lock.
        self._situation, self._shown = replace(situation, busy=frozenset()), shown
        self._placed, self._waits = placed, waits
        self._looked = time.monotonic()
        self.radius = policy.measure(self._situation)

    def require(self, tx: sa.Connection, now: datetime) -> None:
        """Raise Limited for what stands against the run, and NotNow for what soon passes."""
        if time.monotonic() - self._looked > FRESH:
            raise NotNow("waiting for newer health data of the hosts")
        situation = by_the_store(
            self._project, tx, self._situation, self._incident, self._entry, now
        )
        situation = replace(situation, busy=frozenset())
        if self._placed:
            situation = replace(situation, acting=placed_plans(tx, self._incident.id))
        against = policy.against(situation, self._shown)
        if against is None:
            return
        if against.late is Late.WAIT and self._waits(against):
            raise NotNow(f"waits: {against.text}")
        raise Limited(against)
