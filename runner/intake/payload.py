"""The bodies that bring alerts: the only place that knows their field names.

Alertmanager's webhook (version 4), Grafana's (version 1), and a bare list of alerts as
`/api/v2/alerts` and `amtool -o json` write it. A body is refused as a whole, with one short
sentence, when it is none of these or breaks a bound below; an alert that cannot be read costs
only itself. Fields that a newer version adds are ignored.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # what pydantic asks for before Python 3.12

from runner.errors import BadDelivery
from runner.incident import Alert, AlertStatus, Labels
from runner.incident.firing import ahead
from runner.intake.fingerprint import fingerprint, identity
from runner.text import brief, cut, duration, storable

MAX_PARTS = 2_000_000  #: objects, lists and members of one body, which bounds its memory
MAX_ALERTS = 50_000  #: in one body
MAX_LABELS = 500  #: of one alert; the same for its annotations
MAX_NAME = 1_024  #: characters of a label's or annotation's name
MAX_LABEL = 4_096  #: characters of a label's value; the rest is cut off
MAX_ANNOTATION = 16_384  #: characters of an annotation's value; the rest is cut off
MAX_FIELD = 8_192  #: characters of any other text; the rest is cut off
MAX_MESSAGE = 200  #: characters of a refusal: Alertmanager copies it into its log
MAX_PAIR = 128  #: characters of another sender's id of a firing

_EARLIEST = 1970  # Alertmanager writes year 1 for "not yet"
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,30})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
_HAS_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|\x00")
_FINGERPRINT = re.compile("[0-9a-f]{16}")

#: Labels or annotations as they come, within the bounds.
Pairs = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], str],
    Field(max_length=MAX_LABELS),
]
#: The same as scripts and templates send them: a number is taken as its text.
_Values = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], str | bool | int | float],
    Field(max_length=MAX_LABELS),
]
_Count = Annotated[int, Field(ge=0, le=10**9)]
Fingerprint = Annotated[str, Field(pattern="^([0-9a-f]{16})?$")]


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Alert(TypedDict):
    status: Literal["firing", "resolved"]
    labels: _Values
    annotations: NotRequired[_Values | None]
    startsAt: NotRequired[str | None]
    endsAt: NotRequired[str | None]
    generatorURL: NotRequired[str | None]
    fingerprint: NotRequired[Any]
    pair: NotRequired[Any]  # of what we wrote for another sender; nobody else's counts


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Body(TypedDict):
    alerts: Annotated[list[Any], Field(max_length=MAX_ALERTS, fail_fast=True)]
    receiver: NotRequired[str | None]
    groupKey: NotRequired[str | None]
    groupLabels: NotRequired[_Values | None]
    commonLabels: NotRequired[_Values | None]
    truncatedAlerts: NotRequired[_Count | None]
    externalURL: NotRequired[str | None]
    notification_reason: NotRequired[Any]


_BODY = TypeAdapter(_Body)
_ALERT = TypeAdapter(_Alert)

#: Versions of a webhook body that are read: Alertmanager's and Grafana's.
VERSIONS = ("4", "1")


@dataclass(frozen=True, kw_only=True)
class Unread:
    """One alert of a body that could not be read."""

    position: int  #: in the body, from 0
    content: bytes  #: as JSON
    reason: str  #: one short sentence


@dataclass(frozen=True, kw_only=True)
class _Message:
    """What all alerts of one body share."""

    source: str
    at: datetime
    receiver: str
    truncated: int
    group_labels: Labels
    common_labels: Labels


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What one message brought, whichever way it came."""

    alerts: tuple[Alert, ...]
    raw: bytes  #: the body as it came, UTF-8 JSON; `parse` reads it again
    source: str = "webhook"  #: as an alert's
    receiver: str = ""  #: Alertmanager's receiver name, un-escaped
    group_key: str = ""  #: opaque; changes when alertmanager.yml is edited
    group_labels: Labels
    truncated: int = 0  #: alerts of the group that `max_alerts` left out
    external_url: str = ""
    hint: str = ""  #: why it was sent, as newer versions say; never rely on it
    unread: tuple[Unread, ...] = ()  #: alerts that cost only themselves
    quiet: int = 0  #: alerts of a bare list that are silenced or inhibited, and left out


def parse(body: bytes, *, source: str = "webhook", at: datetime | None = None) -> Delivery:
    """The delivery in `body`, which arrived `at` (default: now).

    Raises BadDelivery with one short sentence, and nothing else: when it is no delivery, and
    when not one of its alerts can be read.
    """
    at = at or datetime.now(UTC)
    content = read_json(body)
    quiet = 0
    if isinstance(content, list):
        loud = [each for each in content if not _is_quiet(each)]
        quiet = len(content) - len(loud)
        content = {"alerts": [_of_list(each, at) for each in loud]}
    else:
        _check_version(content)
    try:
        checked = _BODY.validate_python(content)
    except ValidationError as error:
        raise BadDelivery(_explain(error)) from None
    message = _Message(
        source=source,
        at=at,
        receiver=unquote(_field(checked.get("receiver"))),
        truncated=checked.get("truncatedAlerts") or 0,
        group_labels=cut_values(checked.get("groupLabels"), MAX_LABEL),
        common_labels=cut_values(checked.get("commonLabels"), MAX_LABEL),
    )
    alerts, unread = _read_each(checked["alerts"], message)
    if unread and not alerts:
        raise BadDelivery(unread[0].reason)
    hint = checked.get("notification_reason")
    return Delivery(
        alerts=alerts,
        raw=body,
        source=source,
        receiver=message.receiver,
        group_key=_field(checked.get("groupKey")),
        group_labels=message.group_labels,
        truncated=message.truncated,
        external_url=_field(checked.get("externalURL")),
        hint=cut(hint, MAX_NAME) if isinstance(hint, str) else "",
        unread=unread,
        quiet=quiet,
    )


def _read_each(
    contents: Sequence[Any], message: _Message
) -> tuple[tuple[Alert, ...], tuple[Unread, ...]]:
    """The alerts that can be read, and those that cannot."""
    alerts, unread = [], []
    for position, content in enumerate(contents):
        try:
            alerts.append(_alert(_ALERT.validate_python(content), position, message))
        except ValidationError as error:
            reason = _explain(error, ("alerts", position))
        except BadDelivery as error:
            reason = str(error)
        else:
            continue
        written = json.dumps(content).encode()
        unread.append(Unread(position=position, content=written, reason=reason))
    return tuple(alerts), tuple(unread)


def _is_quiet(content: Any) -> bool:
    """Whether an alert of a bare list is silenced or inhibited: somebody wants it quiet."""
    status = content.get("status") if isinstance(content, dict) else None
    if not isinstance(status, dict):
        return False
    held = status.get("silencedBy") or status.get("inhibitedBy")
    return bool(held) or status.get("state") == "suppressed"


def _of_list(content: Any, at: datetime) -> Any:
    """An alert of a bare list as the webhook would write it. Such lists hold what is active, as
    the API writes them, and what Prometheus posts, where only an end in the past says resolved."""
    if not isinstance(content, dict) or isinstance(content.get("status"), str):
        return content
    over = False
    if content.get("status") is None and isinstance(ends_at := content.get("endsAt"), str):
        try:
            over = (moment(ends_at) or at) < at
        except (ValueError, OverflowError):
            over = False  # the time is refused where the alert is read
    return content | {"status": "resolved" if over else "firing"}


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
        "alerts": [
            {
                "status": alert.status.value,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": None if alert.undated else stamp(alert.starts_at),
                "endsAt": stamp(alert.ends_at) if alert.ends_at else "0001-01-01T00:00:00Z",
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
                **({"pair": alert.pair} if alert.pair else {}),
            }
            for alert in alerts
        ],
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


def cut_values(pairs: Mapping[str, str | bool | int | float] | None, limit: int) -> Labels:
    """The same pairs, each value of at most `limit` characters; a cut one ends in `…`."""
    return {name: cut(_text(value), limit) for name, value in (pairs or {}).items()}


def _text(value: str | bool | int | float) -> str:
    """A number as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def read_json(body: bytes) -> Any:
    """The content of `body`, every text in it storable. Raises BadDelivery and nothing else."""

    def refuse_constant(name: str) -> Any:
        raise BadDelivery(f"The body has {name}, which is not JSON.")

    if sum(body.count(mark) for mark in (b"{", b"[", b",")) > MAX_PARTS:
        raise BadDelivery(f"The body has more than {MAX_PARTS} parts.")
    try:
        # The text of `body`, without the byte order mark that Windows writes in front of it.
        utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = body.decode("utf-16" if utf16 else "utf-8-sig")
        content = json.loads(text, object_pairs_hook=_object, parse_constant=refuse_constant)
        return _storable(content) if _HAS_UNSTORABLE.search(text) else content
    except BadDelivery:
        raise
    except UnicodeDecodeError:
        raise BadDelivery("The body is not UTF-8 text.") from None
    except RecursionError:
        raise BadDelivery("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        if not text.strip():
            raise BadDelivery("The body is empty.") from None
        raise BadDelivery(f"The body is not JSON (character {error.pos}).") from None
    except ValueError:  # a number with more digits than Python converts
        raise BadDelivery("The body has a number that is too long.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise BadDelivery("The body has the same key twice in one object.")
    return content


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
        raise BadDelivery("The body is neither an Alertmanager message nor a list of alerts.")
    version = content.get("version")
    if version not in VERSIONS:
        found = f"has version {brief(repr(version), 20)}" if version else "has no version"
        raise BadDelivery(
            f"The body {found}; the runner reads Alertmanager's webhook (version 4), Grafana's "
            "(version 1) and lists of alerts. Remove a custom `payload` from webhook_configs."
        )


def _explain(error: ValidationError, below: tuple[str | int, ...] = ()) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = brief(".".join(str(part) for part in (*below, *problem["loc"])), 80)
    return cut(f"The body is not version 4 at {place}: {brief(problem['msg'], 80)}.", MAX_MESSAGE)


def _alert(alert: _Alert, number: int, message: _Message) -> Alert:
    starts_at = _when(alert.get("startsAt"), number, "startsAt")
    ends_at = _when(alert.get("endsAt"), number, "endsAt")
    status = AlertStatus(alert["status"])
    labels = {name: _text(value) for name, value in alert["labels"].items()}
    computed, given = fingerprint(labels), alert.get("fingerprint") or ""
    own = message.source == "pull"  # we wrote it, when these labels were not cut yet
    if own and isinstance(given, str) and _FINGERPRINT.fullmatch(given):
        computed = given
    read = Alert(
        fingerprint=computed,
        status=status,
        labels=cut_values(labels, MAX_LABEL),
        annotations=cut_values(alert.get("annotations"), MAX_ANNOTATION),
        starts_at=starts_at or message.at,
        ends_at=None if status is AlertStatus.FIRING else ends_at,
        generator_url=_field(alert.get("generatorURL")),
        receiver=message.receiver,
        source=message.source,
        undated=starts_at is None,
    )
    if read.other_sender:
        pair = alert.get("pair")
        read = replace(
            read,
            fingerprint=identity(read.source, read.labels),
            pair=cut(pair, MAX_PAIR) if isinstance(pair, str) else "",
        )
        if status is AlertStatus.RESOLVED:
            # It ends what came with its id, or without one whatever was told before it.
            read = replace(read, starts_at=message.at, ends_at=None, undated=not read.pair)
    if status is AlertStatus.RESOLVED:
        return read
    notes = []  # what is odd about it, and decides nothing
    if given and given != computed:
        notes.append(f"the sender's fingerprint {brief(str(given), 20)} is not that of the labels")
    if passed := ahead(read, message.at):
        minutes = timedelta(minutes=passed.total_seconds() // 60)
        years = passed.days // 365
        span = f"{years} years" if passed.days > 730 else duration.write(minutes)
        notes.append(f"its startsAt is {span} ahead of our clock")
    contradictions = tuple(_contradictions(read, ends_at, message))
    return replace(read, contradictions=contradictions, notes=tuple(notes))


def _contradictions(alert: Alert, ends_at: datetime | None, message: _Message) -> Iterator[str]:
    """Where a message disagrees with itself about a firing alert."""
    if message.truncated:
        yield f"The sender left {message.truncated} alerts of the same group out"
    for field, shared in (
        ("groupLabels", message.group_labels),
        ("commonLabels", message.common_labels),
    ):
        for name, value in shared.items():
            if alert.labels.get(name, "") != value:
                own = brief(alert.labels.get(name, ""), 60)
                text = f'{field} say {brief(name, 40)}="{brief(value, 60)}", the alert "{own}"'
                yield text
                break
    if ends_at is not None and ends_at < message.at:
        yield f"Its status is firing, but it ended at {ends_at:%Y-%m-%d %H:%M:%S} UTC"


def _when(text: str | None, number: int, field: str) -> datetime | None:
    try:
        return moment(text) if text else None
    except (ValueError, OverflowError):
        raise BadDelivery(
            f"The body is not version 4 at alerts.{number}.{field}: not a time in RFC 3339."
        ) from None


def _field(text: str | None) -> str:
    return cut(text or "", MAX_FIELD)


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
