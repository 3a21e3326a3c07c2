"""Webhook bodies of alerts that nobody can take for real ones."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.intake.fingerprint import fingerprint

PREFIX = "RunnerSimulate"  #: every alert's name begins so
INSTANCE = "runner-simulate.invalid"  #: a name that no DNS and no inventory has
NEVER = "0001-01-01T00:00:00Z"  #: what Alertmanager writes for "has not ended"


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the alerts of one row; those of another call of the program are other alerts."""

    row: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def alert(
        self,
        number: int = 1,
        *,
        resolved: bool = False,
        began: timedelta = timedelta(minutes=-1),
        **labels: str,
    ) -> dict[str, Any]:
        """The `number`th alert of the row, which began `began` from now."""
        name = PREFIX + "".join(word.title() for word in self.row.split("-"))
        everything = {
            "alertname": name,
            "instance": INSTANCE,
            "number": str(number),
            "runner_simulate": self.mark,
            "severity": "none",
            **labels,
        }
        return {
            "status": "resolved" if resolved else "firing",
            "labels": everything,
            "annotations": {"summary": "Sent by `runner simulate`; nothing is wrong."},
            "startsAt": _stamp(self.now + began),
            "endsAt": _stamp(self.now) if resolved else NEVER,
            "generatorURL": f"http://{INSTANCE}/graph",
            "fingerprint": fingerprint(everything),
        }


def message(*alerts: Mapping[str, Any], **fields: Any) -> bytes:
    """A message of version 4 with these alerts, as Alertmanager 0.25 writes it."""
    firing = any(alert["status"] == "firing" for alert in alerts)
    content = {
        "receiver": "runner",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": alerts[0]["labels"]["alertname"]} if alerts else {},
        "commonLabels": {"severity": "none"},
        "commonAnnotations": {},
        "externalURL": f"http://{INSTANCE}:9093",
        "version": "4",
        "groupKey": "{}:{simulated}",
        "truncatedAlerts": 0,
    }
    return json.dumps(content | fields).encode()


def _stamp(at: datetime) -> str:
    """With nine digits behind the second, as the webhook writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"
