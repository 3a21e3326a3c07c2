"""The ledger: every call before it is made, so that bounds hold over restarts and workers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from runner.config import Model
from runner.incident.model_call import Failure, ModelCall, Round
from runner.store import model_calls
from runner.store.database import Database

#: How far back calls count for any bound.
DAY = timedelta(days=1)


class Ledger(Protocol):
    """Where calls are kept. The store has one; offline runs use `Memory`."""

    def open(self, call: ModelCall, settings: Model) -> ModelCall:
        """Keep a call that is about to be made; the call as it is kept.

        With a failure (see `obstacle`) it must not be made. Looking and keeping are one act,
        so that two workers never both take the last call. Until it is closed it counts as lost.
        """

    def close(self, call: ModelCall) -> None:
        """Keep what came of an opened call."""

    def note(self, call: ModelCall) -> None:
        """Keep an answer that was reused."""

    def answered(self, question: str, since: datetime) -> ModelCall | None:
        """The newest call since then that answered the very same question well."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What calls since some moment came to."""

    calls: int
    money: float


def opened(call: ModelCall, earlier: Sequence[ModelCall], settings: Model) -> ModelCall:
    """`call` as a ledger keeps it: about to be made, or with the bound that forbids it."""
    if (found := obstacle(call, earlier, settings)) is not None:
        failure, detail = found
        return replace(call, failure=failure, detail=detail, requests=0)
    return replace(call, failure=None, requests=1)


def obstacle(
    call: ModelCall, earlier: Sequence[ModelCall], settings: Model
) -> tuple[Failure, str] | None:
    """Why `call` may not be made, given those of the last day; None when it may."""
    made = [one for one in earlier if one.requests]
    budget = settings.budget
    mine = sum(one.incident == call.incident for one in made if call.incident is not None)
    if mine >= (most := budget.calls_per_incident):
        return Failure.BUDGET, f"this incident had {mine} calls; the limit is {most}"
    bounds = (
        ("hour", timedelta(hours=1), budget.calls_per_hour, budget.money_per_hour),
        ("day", DAY, budget.calls_per_day, budget.money_per_day),
    )
    for name, span, calls, money in bounds:
        spent = spent_since(made, call.at - span)
        if calls is not None and spent.calls >= calls:
            return Failure.BUDGET, f"{spent.calls} calls within a {name}; the limit is {calls}"
        if money is not None and spent.money >= money:
            text = f"{spent.money:.4g} spent within a {name}; the limit is {money:.4g}"
            return Failure.BUDGET, text
    return _broken(call, made, settings)


def spent_since(calls: Sequence[ModelCall], since: datetime) -> Spent:
    """How many calls were made since then, and what they cost."""
    young = [call for call in calls if call.at > since]
    return Spent(calls=len(young), money=sum(call.money for call in young))


def _broken(
    call: ModelCall, made: Sequence[ModelCall], settings: Model
) -> tuple[Failure, str] | None:
    """The breaker: open while the last calls to this model all failed, not long ago."""
    breaker = settings.breaker
    ended = sorted(
        (
            one
            for one in made
            if (one.provider, one.model) == (call.provider, call.model)
            and one.failure is not Failure.LOST  # perhaps still under way
        ),
        key=lambda one: one.at,
    )
    last = ended[-breaker.failures :]
    bad = [
        one
        for one in last
        if one.at > call.at - breaker.within and one.failure is not None and one.failure.of_provider
    ]
    if len(bad) < breaker.failures:
        return None
    text = f"{call.provider} failed {len(bad)} times in a row, the last time by {bad[-1].failure}"
    return Failure.BREAKER, text


class Memory:
    """A ledger in memory, for offline runs: cases, tests, a question by hand."""

    def __init__(self) -> None:
        self.calls: list[ModelCall] = []
        self._lock = threading.Lock()

    def open(self, call: ModelCall, settings: Model) -> ModelCall:
        """See `Ledger`."""
        with self._lock:
            return self._add(opened(call, self.calls, settings))

    def close(self, call: ModelCall) -> None:
        """See `Ledger`."""
        with self._lock:
            self.calls = [call if one.id == call.id else one for one in self.calls]

    def note(self, call: ModelCall) -> None:
        """See `Ledger`."""
        with self._lock:
            self._add(call)

    def answered(self, question: str, since: datetime) -> ModelCall | None:
        """See `Ledger`."""
        with self._lock:
            good = [one for one in self.calls if one.question == question and useful(one)]
        return next((one for one in reversed(good) if one.at >= since), None)

    def _add(self, call: ModelCall) -> ModelCall:
        call = replace(call, id=len(self.calls) + 1)
        self.calls.append(call)
        return call


def useful(call: ModelCall) -> bool:
    """Whether its answer may count again: it was good, and is no copy itself."""
    return call.failure is None and call.round is not Round.REUSED and bool(call.answer)


class StoreLedger:
    """See `Ledger`. Every method raises StoreError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, call: ModelCall, settings: Model) -> ModelCall:
        """Keep a call that is about to be made, or the bound that forbids it."""
        with self._database.write() as tx:
            model_calls.lock(tx)
            found = opened(call, model_calls.since(tx, call.at - DAY), settings)
            # Whoever never comes back to close it has lost it, and it counts all the same.
            row = found if found.failure else replace(found, failure=Failure.LOST)
            return replace(found, id=model_calls.put(tx, row))

    def close(self, call: ModelCall) -> None:
        """Keep what came of it."""
        with self._database.write() as tx:
            model_calls.replace(tx, call)

    def note(self, call: ModelCall) -> None:
        """Keep an answer that was reused."""
        with self._database.write() as tx:
            model_calls.put(tx, call)

    def answered(self, question: str, since: datetime) -> ModelCall | None:
        """The newest call since then that answered the very same question well."""
        with self._database.read() as tx:
            return model_calls.answered(tx, question, since)
