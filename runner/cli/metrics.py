"""The runner's own metrics as the web wants them: an answer of the webhook is what it knows."""

from __future__ import annotations

from collections.abc import Sequence

from runner.incident import Alert, AlertStatus
from runner.store.database import Database
from runner.telemetry import Metrics

#: HTTP status → why a delivery was refused.
REFUSED = {400: "bad_delivery", 401: "unauthorized", 403: "unauthorized", 413: "too_large",
           408: "too_slow", 415: "bad_delivery", 503: "store"}  # fmt: skip


class WebMetrics:
    """Metrics of a process with a web server."""

    def __init__(self, database: Database) -> None:
        self.metrics = Metrics(database)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return self.metrics.render()

    def answered(self, status: int, seconds: float, alerts: Sequence[Alert] = ()) -> None:
        """Count one answer of the webhook, and the alerts that it acknowledged."""
        if status < 300:
            firing = sum(alert.status is AlertStatus.FIRING for alert in alerts)
            resolved = len(alerts) - firing
            self.metrics.delivered("webhook", firing=firing, resolved=resolved, seconds=seconds)
        else:
            self.metrics.refused(REFUSED.get(status, "other"))

    def login_failed(self) -> None:
        """Count one credential that was wrong."""
        self.metrics.login_failed()

    def closed(self, why: str) -> None:
        """Count one connection that we closed."""
        self.metrics.connection_closed(why)
