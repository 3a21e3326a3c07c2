"""Bodies of senders other than Alertmanager: by the table of `intake.sources` to alerts.

The table is ours, the body is anybody's with the sender's token: its size and depth, the number
of its alerts and the steps that the expressions take on it are bounded. What comes out is a
message of version 4 in our own words, which is stored and read as any other one.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from runner.config import Sender
from runner.config.senders import RESERVED
from runner.errors import BadDelivery
from runner.incident import AlertStatus
from runner.intake.payload import MAX_PAIR, Delivery, Unread, moment, parse, read_json, stamp
from runner.text import brief

MAX_BODY = 1024 * 1024  #: bytes
MAX_DEPTH = 32  #: lists and objects inside one another
MAX_ALERTS = 1_000  #: in one body
#: Nodes of expressions that are evaluated on one body: about half a second.
MAX_STEPS = 500_000

#: What Amazon's SNS sends beside notifications, before and after there is a subscription.
_SUBSCRIPTIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
_OFFSET_WITHOUT_COLON = re.compile(r"(.{1,40}[+-]\d\d)(\d\d)", re.ASCII)
_NUMBER = re.compile(r"\d{1,17}(\.\d{1,9})?", re.ASCII)


class TooMuch(Exception):
    """The expressions took more steps than one body may cost."""


class Evaluation(TreeInterpreter):  # type: ignore[misc]  # the library has no types
    """JMESPath with a bound on its steps over everything that one object evaluates."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        super().__init__()
        self._left = steps

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        return super().visit(node, *args, **kwargs)

    def of(self, expression: str, content: Any) -> Any:
        """What the expression gives. Raises JMESPathError and TooMuch."""
        try:
            return self.visit(_compiled(expression), content)
        except (TypeError, ValueError, ArithmeticError) as error:
            # The library lets through what Python says of `'x' > 1` or of the ceiling of 1e999.
            raise JMESPathError(str(error)) from None


@functools.lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    """Its tree. Only the configuration has expressions, so they are few."""
    return jmespath.compile(expression).parsed


def read(body: bytes, sender: Sender, at: datetime, *, single: bool = False) -> Delivery:
    """The delivery in a sender's body, which arrived `at`; with `single`, one alert of a body.

    Raises BadDelivery with one short sentence: when it is not what the table describes, breaks a
    bound, or not one of its alerts can be read.
    """
    if len(body) > MAX_BODY:
        raise BadDelivery(f"The body is longer than {MAX_BODY} bytes.")
    content = read_json(body)
    if sender.envelope == "sns" and not single:
        content = _unwrapped(content)
    _check_depth(content)
    table = _Table(sender)
    told: list[tuple[int, Any, dict[str, Any]]] = []  # place and content of each, as version 4
    unread, ignored = [], 0
    try:
        for position, item in enumerate([content] if single else table.alerts_of(content)):
            try:
                alert = table.alert(item)
            except BadDelivery as error:
                unread.append(_unread(position, item, str(error)))
                continue
            if alert is None:
                ignored += 1
            else:
                told.append((position, item, alert))
    except TooMuch:
        raise BadDelivery("The body takes too many steps to read.") from None
    if unread and not told and not ignored:
        raise BadDelivery(unread[0].reason)
    written = json.dumps({"version": "4", "alerts": [alert for _, _, alert in told]})
    delivery = parse(written.encode(), source=sender.name, at=at)
    # What breaks a bound of every alert is named by its place in the sender's body.
    for each in delivery.unread:
        position, item, _ = told[each.position]
        unread.append(_unread(position, item, each.reason))
    return replace(delivery, unread=tuple(unread), quiet=ignored)


def _unread(position: int, content: Any, reason: str) -> Unread:
    return Unread(position=position, content=json.dumps(content).encode(), reason=reason)


def _unwrapped(content: Any) -> Any:
    """What Amazon's SNS carries. The envelope is data: no address in it is called, and its
    signature would have to be checked with a certificate that it names itself."""
    kind = content.get("Type") if isinstance(content, dict) else None
    if kind in _SUBSCRIPTIONS:
        raise BadDelivery(
            "SNS asks to confirm a subscription; the runner calls no address from a message. Check "
            "the TopicArn in this body, then confirm by hand: `aws sns confirm-subscription`."
        )
    if kind != "Notification" or not isinstance(content.get("Message"), str):
        raise BadDelivery("The body is not an SNS notification with a Message.")
    return read_json(content["Message"].encode())


def _check_depth(content: Any) -> None:
    level, depth = [content], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadDelivery(f"The body is nested more than {MAX_DEPTH} deep.")
        level = [
            below for each in level for below in (each.values() if isinstance(each, dict) else each)
        ]


class _Table:
    """A sender's table, applied to one body."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._evaluation = Evaluation()

    def alerts_of(self, content: Any) -> list[Any]:
        """The alerts as the sender wrote them. Raises BadDelivery."""
        found = self._value("alerts", self._sender.alerts, content)
        if found is None:
            raise BadDelivery("alerts: gives nothing.")
        items = found if isinstance(found, list) else [found]
        if len(items) > MAX_ALERTS:
            raise BadDelivery(f"The body has more than {MAX_ALERTS} alerts.")
        return items

    def alert(self, item: Any) -> dict[str, Any] | None:
        """One alert as version 4 has it; None for what `ignored` names. Raises BadDelivery."""
        sender = self._sender
        status = _status(self._text("status", sender.status, item), sender)
        if status is None:
            return None
        annotations = {
            name: self._text(f"annotations.{name}", expression, item)
            for name, expression in sender.annotations.items()
        }
        alert: dict[str, Any] = {
            "status": status,
            "labels": self._labels(item),
            "annotations": {name: given for name, given in annotations.items() if given},
        }
        if pair := self._text("id", sender.id, item):
            if len(pair) > MAX_PAIR:
                raise BadDelivery(f"id: is longer than {MAX_PAIR} characters.")
            alert["pair"] = pair
        started = _time(self._text("starts", sender.starts, item))
        alert["startsAt"] = stamp(started) if started else None
        return alert

    def _labels(self, item: Any) -> dict[str, str]:
        labels: dict[str, str] = {}
        if self._sender.labels_from is not None:
            found = self._value("labels_from", self._sender.labels_from, item)
            if not isinstance(found, dict):
                raise BadDelivery("labels_from: gives no object.")
            for name, value in found.items():
                # The names are the sender's: those that steer the runner are left out.
                if not name.startswith(RESERVED) and (given := _text(f"labels_from.{name}", value)):
                    labels[name] = given
        for name, expression in self._sender.labels.items():
            if given := self._text(f"labels.{name}", expression, item):
                labels[name] = given
        if not labels.get("alertname"):
            raise BadDelivery("labels.alertname: gives nothing, and an alert needs a name.")
        return labels

    def _text(self, key: str, expression: str | None, item: Any) -> str | None:
        return None if expression is None else _text(key, self._value(key, expression, item))

    def _value(self, key: str, expression: str, content: Any) -> Any:
        try:
            return self._evaluation.of(expression, content)
        except JMESPathError as error:
            raise BadDelivery(f"{key}: {brief(str(error), 120)}.") from None


def _status(said: str | None, sender: Sender) -> AlertStatus | None:
    """What the sender says of the alert; None for what is none. Raises BadDelivery."""
    word = (said or "").casefold()
    for words, status in (
        (sender.firing, AlertStatus.FIRING),
        (sender.resolved, AlertStatus.RESOLVED),
        (sender.ignored, None),
    ):
        if word in (each.casefold() for each in words):
            return status
    shown = "nothing" if said is None else brief(repr(said), 40)
    raise BadDelivery(f"status: gives {shown}, none of firing, resolved and ignored of the source.")


def _text(key: str, value: Any) -> str | None:
    """A value as a label has it: numbers and booleans as JSON writes them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        kind = "a list" if isinstance(value, list) else "an object"
        raise BadDelivery(f"{brief(key, 60)}: gives {kind}, not a text.")
    try:
        return json.dumps(value)
    except ValueError:  # a sum may have more digits than Python writes
        raise BadDelivery(f"{brief(key, 60)}: gives a number of too many digits.") from None


def _time(text: str | None) -> datetime | None:
    """A time as senders write it; None when there is none. Raises BadDelivery."""
    if not text:
        return None
    try:
        if _NUMBER.fullmatch(text):
            seconds = float(text)
            while seconds >= 1e11:  # milliseconds, microseconds …
                seconds /= 1000
            return datetime.fromtimestamp(seconds, UTC)
        if offset := _OFFSET_WITHOUT_COLON.fullmatch(text):
            text = f"{offset[1]}:{offset[2]}"
        return moment(text)
    except (ValueError, OverflowError, OSError):
        raise BadDelivery(f"starts: {brief(repr(text), 60)} is no time.") from None
