"""The table: what Alertmanager does, what is sent for it, and what a receiver must answer.

A row is data: tests/conformance plays all of them to the runner's own intake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from runner.intake.simulate.bodies import Maker, message

HOUR = timedelta(hours=1)
BURST = 40  #: deliveries at once
LARGE = 300  #: alerts of one large group


class Expected(StrEnum):
    """What a receiver must answer."""

    TAKEN = "2xx"  #: anything else makes Alertmanager send it again, or forget it
    REFUSED = "4xx, not 429"  #: it is no message of version 4
    STRANGER = "401 or 403"  #: the sender showed no token
    TAKEN_OR_TOO_LARGE = "2xx or 413"

    def fits(self, status: int) -> bool:
        """Whether this status is it."""
        if self is Expected.REFUSED:
            return 400 <= status < 500 and status != 429
        if self is Expected.STRANGER:
            return status in (401, 403)
        large = self is Expected.TAKEN_OR_TOO_LARGE and status == 413
        return 200 <= status < 300 or large


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that Alertmanager does."""

    name: str
    words: str  #: what happens, in one sentence
    bodies: Callable[[Maker], Iterable[bytes]]  #: sent in this order
    expected: Expected = Expected.TAKEN  #: of every body
    opens: int = 1  #: activations that a receiver has been told of in the end
    at_once: bool = False  #: the bodies are sent side by side
    anonymous: bool = False  #: sent without the token; left out when there is none
    reads: bool = True  #: its alerts can be told as resolved afterwards
    requests: int = 1


def _first(make: Maker) -> list[bytes]:
    return [message(make.alert())]


def _resolved(make: Maker) -> list[bytes]:
    return [message(make.alert()), message(make.alert(resolved=True))]


#: What Grafana's own webhook has beside Alertmanager's fields, in the message and in an alert.
GRAFANA = {"version": "1", "orgId": 1, "state": "alerting", "title": "t"}
GRAFANA_ALERT = {"values": {"B": 22.5}, "valueString": "[ var='B' value=22.5 ]", "orgId": 1}
NEWER = {
    "notification_reason": "new alerts added",
    "routeLabels": {"team": "infra"},
    "somethingNewer": [{"any": None}],
}
ODD = "{{ 7 * 7 }} $(id) `id` <b> \u202e \U0001f642 \x1b[2J\n\t' \""

ROWS: tuple[Row, ...] = (
    Row(name="first", bodies=_first,
        words="A firing alert arrives; its endsAt is in the year 1"),
    Row(name="redelivered", requests=3,
        bodies=lambda make: [message(make.alert())] * 3,
        words="The same message arrives again: repeat interval, retry or peer"),
    Row(name="two-peers", requests=2, at_once=True,
        bodies=lambda make: [
            message(make.alert(), externalURL=f"http://{peer}.invalid:9093")
            for peer in ("am-0", "am-1")
        ],
        words="Two peers of a cluster deliver the same alert at the same time"),
    Row(name="mixed-group",
        bodies=lambda make: [message(make.alert(1), make.alert(2, resolved=True))],
        words="One group holds a firing and a resolved alert, and its status says firing"),
    Row(name="resolved", bodies=_resolved, requests=2,
        words="An alert fires, then it resolves"),
    Row(name="resolved-unknown", opens=0,
        bodies=lambda make: [message(make.alert(resolved=True))],
        words="A resolved alert arrives that never arrived as firing"),
    # Twice told, for nobody knows whether the firing came late or the alert fires on: Alertmanager
    # resolves by itself what Prometheus could not tell it of, under the same startsAt.
    Row(name="stale-retry", requests=3, opens=2,
        bodies=lambda make: [*_resolved(make), message(make.alert())],
        words="A retried message says firing after the alert resolved"),
    Row(name="resolved-first", requests=2,
        bodies=lambda make: [message(make.alert(resolved=True)), message(make.alert())],
        words="The message that an alert resolved overtakes the one that it fires"),
    Row(name="fires-again", requests=3, opens=2,
        bodies=lambda make: [*_resolved(make), message(make.alert(began=timedelta(seconds=-5)))],
        words="An alert resolves and fires again: startsAt is another one"),
    Row(name="moved-start", requests=2,
        bodies=lambda make: [
            message(make.alert()), message(make.alert(began=timedelta(seconds=-5)))
        ],
        words="The alert fires on, and its startsAt moves"),
    Row(name="truncated", opens=2,
        bodies=lambda make: [message(make.alert(1), make.alert(2), truncatedAlerts=3)],
        words="A group is cut by max_alerts, and only the number of the rest is sent"),
    Row(name="two-routes", requests=2,
        bodies=lambda make: [
            message(make.alert(), groupKey=key) for key in ('{}/{t="a"}:{}', '{}/{t="b"}:{}')
        ],
        words="One alert comes by two routes with continue: true, under two group keys"),
    Row(name="growing-group", requests=2, opens=2,
        bodies=lambda make: [message(make.alert(1)), message(make.alert(1), make.alert(2))],
        words="A group is sent again with one more alert in it"),
    Row(name="quoted-receiver",
        bodies=lambda make: [message(make.alert(), receiver=r"ok\.receiver \(eu\)")],
        words="The receiver's name is quoted as a regular expression"),
    Row(name="new-fields",
        bodies=lambda make: [message(make.alert() | {"alsoNewer": 1}, **NEWER)],
        words="A newer version adds notification_reason, routeLabels and others"),
    Row(name="absent-fields",
        bodies=lambda make: [message(
            make.alert() | {"annotations": None, "generatorURL": ""},
            groupLabels=None, commonLabels=None, truncatedAlerts=None,
        )],
        words="Maps that are empty come as null"),
    Row(name="same-fingerprint", opens=2,
        bodies=lambda make: [
            message(*(make.alert(n) | {"fingerprint": "00000000000000aa"} for n in (1, 2)))
        ],
        words="Two alerts come with one fingerprint that is none of theirs"),
    Row(name="grafana",
        bodies=lambda make: [message(make.alert() | GRAFANA_ALERT, **GRAFANA)],
        words="Grafana's own webhook: version 1, with values and links of its own"),
    Row(name="numbers",
        bodies=lambda make: [message(make.alert() | {"annotations": {"value": 93.5}})],
        words="An annotation is a number, as scripts and templates send them"),
    Row(name="one-unreadable",
        bodies=lambda make: [message(make.alert(1), make.alert(2) | {"startsAt": "soon"})],
        words="One alert of a group cannot be read, and the other one can"),
    Row(name="clock-ahead",
        bodies=lambda make: [message(make.alert(began=HOUR))],
        words="A sender's clock is an hour fast: startsAt lies in the future"),
    Row(name="old-start",
        bodies=lambda make: [message(make.alert(began=timedelta(days=-30)))],
        words="An alert began a month ago, and arrives after an outage"),
    Row(name="odd-text",
        bodies=lambda make: [message(make.alert(odd=ODD, long="x" * 4000))],
        words="Labels hold templates, commands, control characters and 4,000 letters"),
    Row(name="large-group", opens=LARGE, expected=Expected.TAKEN_OR_TOO_LARGE,
        bodies=lambda make: [message(*(make.alert(number) for number in range(LARGE)))],
        words="A group has three hundred alerts"),
    Row(name="burst", requests=BURST, opens=BURST, at_once=True,
        bodies=lambda make: [message(make.alert(number)) for number in range(BURST)],
        words="Many groups are flushed at the same time; none may be asked to slow down"),
    Row(name="custom-payload", opens=0, reads=False, expected=Expected.REFUSED,
        bodies=lambda make: [json.dumps({"text": f"{make.row}: a payload of one's own"}).encode()],
        words="A custom payload is configured: the body is no message of version 4"),
    Row(name="other-version", opens=0, reads=False,
        bodies=lambda make: [message(make.alert(), version="3")],
        expected=Expected.REFUSED, words="The body says that it is of another version"),
    Row(name="broken-json", opens=0, reads=False, expected=Expected.REFUSED,
        bodies=lambda make: [message(make.alert())[:-20]],
        words="The body ends in the middle"),
    Row(name="no-token", bodies=_first, opens=0, reads=False, anonymous=True,
        expected=Expected.STRANGER, words="A message arrives without the token"),
)  # fmt: skip

BY_NAME: dict[str, Row] = {row.name: row for row in ROWS}


def closing(row: Row, make: Maker) -> bytes | None:
    """A message that resolves whatever the row left firing, so that nothing of it stays."""
    if not row.reads or row.opens == 0:
        return None
    firing: dict[str, dict[str, object]] = {}
    for body in row.bodies(make):
        for alert in json.loads(body)["alerts"]:
            firing[json.dumps(alert["labels"])] = alert | {
                "status": "resolved",
                "endsAt": max(make.alert(resolved=True)["endsAt"], alert["startsAt"]),
            }
    return message(*firing.values())
