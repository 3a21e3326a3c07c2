"""Alertmanager's API, asked of every peer: what is active now, and how one alert stands.

A peer that does not answer is left out as long as another one does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from runner import config
from runner.errors import RemoteData, RemoteError
from runner.incident import Alert, AlertStatus, Labels
from runner.intake.fingerprint import fingerprint
from runner.intake.payload import (
    MAX_ANNOTATION,
    MAX_FIELD,
    MAX_LABEL,
    Delivery,
    by_fingerprint,
    compose,
    cut_values,
    moment,
    quote,
)
from runner.intake.peer import ApiAlert, Parameters, Peer, PeerStatus
from runner.text import REPLACEMENT, brief, cut

MAX_FILTERS = 30  #: labels that a question names, so that its URL stays short
MAX_FILTER_VALUE = 200  #: characters of a label value that a question names

#: After a restart Alertmanager knows no alert until it is told again, which Prometheus does
#: each `--rules.alert.resend-delay`, a minute unless set, at an evaluation of the rule.
RELEARNS = timedelta(minutes=5)

_ACTIVE = {"active": "true", "silenced": "false", "inhibited": "false", "unprocessed": "false"}
_ANY = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}
_CLASSIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Standing(StrEnum):
    """How Alertmanager holds one alert."""

    FIRING = "firing"  #: active, and nobody asked for quiet
    SILENCED = "silenced"  #: a person asked for quiet
    INHIBITED = "inhibited"  #: another alert explains it
    UNPROCESSED = "unprocessed"  #: so new that silences have not been looked at
    ABSENT = "absent"  #: resolved, or not known: after a restart it knows nothing


@dataclass(frozen=True, kw_only=True)
class AlertState:
    """How one alert stands; of several peers, the answer that allows least."""

    standing: Standing
    reason: str  #: one sentence
    starts_at: datetime | None = None  #: None when absent
    by: tuple[str, ...] = ()  #: ids of silences, or fingerprints of inhibiting alerts

    @property
    def firing(self) -> bool:
        """Whether a run may still be for it. `starts_at` tells whether it is the same firing."""
        return self.standing is Standing.FIRING


class Alertmanagers:
    """All peers of one Alertmanager cluster. Close it, or use it in a `with` block.

    Every question raises RemoteError when no peer answers, RemoteData when
    none answers as Alertmanager does.
    """

    def __init__(
        self,
        peers: Sequence[config.Alertmanager],
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._peers = tuple(Peer(peer, transport) for peer in peers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for peer in self._peers:
            peer.close()

    @property
    def configured(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._peers)

    def active_alerts(
        self, filters: Sequence[str] = (), receiver: str | None = None
    ) -> tuple[Alert, ...]:
        """What fires now and is neither silenced nor inhibited, one alert per fingerprint.

        `filters` are Alertmanager matchers; `receiver` is a name as in alertmanager.yml.
        """
        parameters: Parameters = [*_ACTIVE.items(), *(("filter", text) for text in filters)]
        if receiver is not None:
            parameters.append(("receiver", quote(receiver)))
        answers = self._ask(lambda peer: peer.alerts(parameters))
        found = []
        for alert in (alert for answer in answers for alert in answer):
            if _standing(alert) is not Standing.FIRING:
                continue  # servers like it may ignore the parameters
            names = [each["name"] for each in alert.get("receivers") or ()]
            found.append(
                Alert(
                    fingerprint=fingerprint(alert["labels"]),
                    status=AlertStatus.FIRING,
                    labels=cut_values(alert["labels"], MAX_LABEL),
                    annotations=cut_values(alert.get("annotations"), MAX_ANNOTATION),
                    starts_at=_starts_at(alert),
                    generator_url=cut(alert.get("generatorURL") or "", MAX_FIELD),
                    receiver=receiver if receiver is not None else next(iter(names), ""),
                    source="pull",
                )
            )
        return tuple(by_fingerprint(found).values())

    def all_fingerprints(self) -> frozenset[str]:
        """What any peer holds, silenced or not. RemoteError while every peer was restarted
        lately: it may not have been told again of what fires."""
        answers = self._ask(lambda peer: peer.alerts(list(_ANY.items())))
        if self._forgot(datetime.min.replace(tzinfo=UTC)):
            raise RemoteError(
                "Alertmanager was restarted recently, and may not list all firing alerts."
            )
        return frozenset(fingerprint(each["labels"]) for answer in answers for each in answer)

    def complete(self, group_labels: Labels, receiver: str) -> tuple[Alert, ...]:
        """The active alerts of a group, for a delivery whose `truncated` is not 0.

        It holds those that were delivered, too; labels that a question cannot
        name widen the answer, never narrow it.
        """
        alerts = self.active_alerts(exactly(group_labels), receiver or None)
        return tuple(
            alert
            for alert in alerts
            if all(alert.labels.get(name, "") == value for name, value in group_labels.items())
        )

    def pull(self, filters: Sequence[str] = (), receiver: str | None = None) -> Delivery:
        """All active alerts as one delivery, as if they had come by webhook."""
        alerts = self.active_alerts(filters, receiver)
        return compose(alerts, source="pull", receiver=receiver or "", group_key="pull")

    def state_of(self, wanted: str, labels: Labels, *, since: datetime | None = None) -> AlertState:
        """How the alert of this fingerprint stands at this moment: the last look before a run.

        ABSENT is no proof of a fix. With `since`, when it was known to fire, it is a RemoteError
        instead while every peer was restarted after that and may not have been told again.
        """
        parameters: Parameters = [*_ANY.items(), *(("filter", text) for text in exactly(labels))]
        found = [
            _state(alert)
            for answer in self._ask(lambda peer: peer.alerts(parameters))
            for alert in answer
            if fingerprint(alert["labels"]) == wanted
        ]
        if not found:
            if since is not None and self._forgot(since):
                raise RemoteError(
                    "Alertmanager was restarted a moment ago, and may not have received all "
                    "firing alerts again."
                )
            return AlertState(standing=Standing.ABSENT, reason="Alertmanager does not have it.")
        return min(
            found,
            key=lambda state: (_CAUTION.index(state.standing), state.starts_at or datetime.min),
        )

    def _forgot(self, since: datetime) -> bool:
        """Whether no peer that answers can still know what fired at `since`."""
        started = [peer.started for peer in self.status() if not peer.error]
        lately = max(since, datetime.now(UTC) - RELEARNS)
        return bool(started) and all(at is not None and at > lately for at in started)

    def status(self) -> tuple[PeerStatus, ...]:
        """Each peer's own answer, in the order of the configuration; never raises RemoteError."""
        return tuple(peer.status() for peer in self._peers)

    def _ask(self, question: Callable[[Peer], _T]) -> list[_T]:
        """The answers of those peers that gave one, asked side by side."""
        if not self._peers:
            text = "No Alertmanager is configured: `alertmanagers` is empty."
            raise RemoteError(text, permanent=True)
        with ThreadPoolExecutor(len(self._peers), "alertmanager") as pool:
            futures = [pool.submit(question, peer) for peer in self._peers]
        answers, errors = [], []
        for future in futures:
            try:
                answers.append(future.result())
            except RemoteError as error:
                errors.append(error)
                _log.warning("%s", error, extra={"action": "peer_failed"})
        if not answers:
            raise errors[0]
        return answers


#: The answer of the peer that allows least counts.
_CAUTION = (
    Standing.SILENCED,
    Standing.INHIBITED,
    Standing.FIRING,
    Standing.UNPROCESSED,
    Standing.ABSENT,
)


def exactly(labels: Labels) -> list[str]:
    """Matchers that these labels fit, for the `filter` parameter.

    Labels that were altered on their way here, or that an older Alertmanager
    cannot read as a matcher, are left out: compare the fingerprint as well.
    """
    fit = []
    for name, value in sorted(labels.items()):
        plain = value.isprintable() and REPLACEMENT not in value
        if _CLASSIC_NAME.fullmatch(name) and 0 < len(value) <= MAX_FILTER_VALUE and plain:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            fit.append(f'{name}="{quoted}"')
    return fit[:MAX_FILTERS]


def _starts_at(alert: ApiAlert) -> datetime:
    try:
        read = moment(alert["startsAt"])
    except (ValueError, OverflowError):
        read = None
    if read is None:
        raise RemoteData(f"Alertmanager gives no time for alert {alert['fingerprint']}.")
    return read


def _standing(alert: ApiAlert) -> Standing:
    status = alert["status"]
    if status.get("silencedBy"):
        return Standing.SILENCED
    if status.get("inhibitedBy"):
        return Standing.INHIBITED
    return Standing.FIRING if status["state"] == "active" else Standing.UNPROCESSED


def _state(alert: ApiAlert) -> AlertState:
    standing = _standing(alert)
    status: Any = alert["status"]
    by = {"silenced": "silencedBy", "inhibited": "inhibitedBy"}.get(standing, "")
    ids = tuple(brief(each) for each in status.get(by) or ())
    return AlertState(
        standing=standing,
        reason=f"Alertmanager holds it as {standing}{' by ' + ', '.join(ids) if ids else ''}.",
        starts_at=_starts_at(alert),
        by=ids,
    )
