"""The runner's own metrics for the demo's web server."""

from __future__ import annotations

from runner.store.database import Database
from runner.telemetry import Metrics


class Exposition:
    """What the web asks of metrics."""

    def __init__(self, database: Database) -> None:
        self._metrics = Metrics(database)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return self._metrics.render()

    def answered(self, status: int, seconds: float) -> None:
        """The demo's webhook is not measured."""
