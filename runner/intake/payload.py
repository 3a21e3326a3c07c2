"""Alertmanager's webhook body, version 4: the only place that knows its field names.

A body is refused as a whole, with one short sentence, when it is not version 4
or breaks a bound below; fields that a newer Alertmanager adds are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # what pydantic asks for before Python 3.12

from runner.errors import BadDelivery
from runner.incident import Alert, AlertStatus, Labels
from runner.intake.fingerprint import fingerprint
from runner.text import brief, cut, storable

MAX_PARTS = 2_000_000  #: objects, lists and members of one body, which bounds its memory
MAX_ALERTS = 50_000  #: in one body
MAX_LABELS = 500  #: of one alert; the same for its annotations
MAX_NAME = 1_024  #: characters of a label's or annotation's name
MAX_LABEL = 4_096  #: characters of a label's value; the rest is cut off
MAX_ANNOTATION = 16_384  #: characters of an annotation's value; the rest is cut off
MAX_FIELD = 8_192  #: characters of any other text; the rest is cut off
MAX_MESSAGE = 200  #: characters of a refusal: Alertmanager copies it into its log

_EARLIEST = 1970  # Alertmanager writes year 1 for "not yet"
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,30})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
_HAS_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

#: Labels or annotations as they come, within the bounds.
Pairs = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], str],
    Field(max_length=MAX_LABELS),
]
_Count = Annotated[int, Field(ge=0, le=10**9)]
Fingerprint = Annotated[str, Field(pattern="^([0-9a-f]{16})?$")]


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Alert(TypedDict):
    status: Literal["firing", "resolved"]
    labels: Pairs
    annotations: NotRequired[Pairs | None]
    startsAt: str
    endsAt: NotRequired[str | None]
    generatorURL: NotRequired[str | None]
    fingerprint: NotRequired[Fingerprint]


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Body(TypedDict):
    alerts: Annotated[list[_Alert], Field(max_length=MAX_ALERTS, fail_fast=True)]
    receiver: NotRequired[str | None]
    groupKey: NotRequired[str | None]
    groupLabels: NotRequired[Pairs | None]
    truncatedAlerts: NotRequired[_Count | None]
    externalURL: NotRequired[str | None]
    notification_reason: NotRequired[Any]


_BODY = TypeAdapter(_Body)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What one message brought, whichever way it came."""

    alerts: tuple[Alert, ...]
    raw: bytes  #: the body as it came, UTF-8 JSON; `parse` reads it again
    source: str = "webhook"  #: webhook, stdin, pull, watch or person
    receiver: str = ""  #: Alertmanager's receiver name, un-escaped
    group_key: str = ""  #: opaque; changes when alertmanager.yml is edited
    group_labels: Labels
    truncated: int = 0  #: alerts of the group that `max_alerts` left out
    external_url: str = ""
    hint: str = ""  #: why it was sent, as newer versions say; never rely on it


def parse(body: bytes, *, source: str = "webhook") -> Delivery:
    """The delivery in `body`. Raises BadDelivery with one short sentence, and nothing else."""
    content = read_json(body)
    _check_version(content)
    try:
        checked = _BODY.validate_python(content)
    except ValidationError as error:
        raise BadDelivery(_explain(error)) from None
    receiver = unquote(_field(checked.get("receiver")))
    return Delivery(
        alerts=tuple(
            _alert(alert, number, receiver, source)
            for number, alert in enumerate(checked["alerts"])
        ),
        raw=body,
        source=source,
        receiver=receiver,
        group_key=_field(checked.get("groupKey")),
        group_labels=cut_values(checked.get("groupLabels"), MAX_LABEL),
        truncated=checked.get("truncatedAlerts") or 0,
        external_url=_field(checked.get("externalURL")),
        hint=_hint(checked.get("notification_reason")),
    )


def compose(
    alerts: Sequence[Alert],
    *,
    source: str,
    receiver: str = "",
    group_key: str = "",
    group_labels: Labels | None = None,
) -> Delivery:
    """A delivery of alerts that came without a body; `parse` reads its `raw` back the same."""
    body = {
        "version": "4",
        "receiver": quote(receiver),
        "groupKey": group_key,
        "groupLabels": dict(group_labels or {}),
        "alerts": [_written(alert) for alert in alerts],
    }
    return Delivery(
        alerts=tuple(alerts),
        raw=json.dumps(body).encode(),
        source=source,
        receiver=receiver,
        group_key=group_key,
        group_labels=dict(group_labels or {}),
    )


def unquote(receiver: str) -> str:
    r"""The receiver's name as written in alertmanager.yml; it arrives as `ok\.name`."""
    return _QUOTED.sub(r"\1", receiver)


def quote(receiver: str) -> str:
    """The receiver's name as a regular expression that fits only itself."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", receiver)


def moment(text: str) -> datetime | None:
    """The UTC time written in RFC 3339, to the millisecond, or None for Alertmanager's year 1.

    The webhook writes nanoseconds and the API milliseconds of the same activation,
    so the finer part is cut off to keep them equal. Raises ValueError.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{brief(text, 40)!r} is not an RFC 3339 time")
    read = datetime.fromisoformat(text.upper())
    if read.year < _EARLIEST:
        return None
    read = read.astimezone(UTC)
    return read.replace(microsecond=read.microsecond // 1000 * 1000)


def cut_values(pairs: Mapping[str, str] | None, limit: int) -> Labels:
    """The same pairs, each value of at most `limit` characters; a cut one ends in `…`."""
    return {name: cut(value, limit) for name, value in (pairs or {}).items()}


def read_json(body: bytes) -> Any:
    """The content of `body`, every text in it storable. Raises BadDelivery and nothing else."""
    if sum(body.count(mark) for mark in (b"{", b"[", b",")) > MAX_PARTS:
        raise BadDelivery(f"The body has more than {MAX_PARTS} parts.")
    try:
        content = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        return _storable(content) if _HAS_UNSTORABLE.search(body) else content
    except BadDelivery:
        raise
    except UnicodeDecodeError:
        raise BadDelivery("The body is not UTF-8 text.") from None
    except RecursionError:
        raise BadDelivery("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise BadDelivery(f"The body is not JSON (character {error.pos}).") from None
    except ValueError:  # a number with more digits than Python converts
        raise BadDelivery("The body has a number that is too long.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise BadDelivery("The body has the same key twice in one object.")
    return content


def _no_constant(name: str) -> Any:
    raise BadDelivery(f"The body has {name}, which is not JSON.")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return _object([(storable(name), _storable(item)) for name, item in value.items()])
    return value


def _check_version(content: Any) -> None:
    if not isinstance(content, dict):
        raise BadDelivery("The body is not a JSON object, as an Alertmanager message is.")
    version = content.get("version")
    if version != "4":
        found = f"version is {brief(repr(version), 20)}" if version else "it has no version"
        raise BadDelivery(
            f"The body is not an Alertmanager message of version 4: {found}; "
            "remove a custom `payload` from webhook_configs."
        )


def _explain(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = brief(".".join(str(part) for part in problem["loc"]), 80)
    return cut(f"The body is not version 4 at {place}: {brief(problem['msg'], 80)}.", MAX_MESSAGE)


def _alert(alert: _Alert, number: int, receiver: str, source: str) -> Alert:
    starts_at = _when(alert["startsAt"], number, "startsAt")
    ends_at = _when(alert.get("endsAt") or "0001-01-01T00:00:00Z", number, "endsAt")
    if starts_at is None:
        raise BadDelivery(f"The body is not version 4 at alerts.{number}.startsAt: before 1970.")
    status = AlertStatus(alert["status"])
    return Alert(
        fingerprint=alert.get("fingerprint") or fingerprint(alert["labels"]),
        status=status,
        labels=cut_values(alert["labels"], MAX_LABEL),
        annotations=cut_values(alert.get("annotations"), MAX_ANNOTATION),
        starts_at=starts_at,
        ends_at=None if status is AlertStatus.FIRING else ends_at,
        generator_url=_field(alert.get("generatorURL")),
        receiver=receiver,
        source=source,
    )


def _when(text: str, number: int, field: str) -> datetime | None:
    try:
        return moment(text)
    except (ValueError, OverflowError):
        raise BadDelivery(
            f"The body is not version 4 at alerts.{number}.{field}: not a time in RFC 3339."
        ) from None


def _field(text: str | None) -> str:
    return cut(text or "", MAX_FIELD)


def _hint(reason: Any) -> str:
    return cut(reason, MAX_NAME) if isinstance(reason, str) else ""


def _written(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status.value,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": stamp(alert.starts_at),
        "endsAt": stamp(alert.ends_at) if alert.ends_at else "0001-01-01T00:00:00Z",
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def stamp(at: datetime) -> str:
    """`at` as Alertmanager's API writes it: UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def by_fingerprint(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """One alert per fingerprint: of several, the one that began first."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        known = found.get(alert.fingerprint)
        if known is None or alert.starts_at < known.starts_at:
            found[alert.fingerprint] = alert
    return found
