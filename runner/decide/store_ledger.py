"""The ledger in the store: bounds hold for all workers together, and over restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from runner.config import Model
from runner.decide.ledger import DAY, opened
from runner.incident.model_call import Failure, ModelCall
from runner.store import model_calls
from runner.store.database import Database


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
