"""One Alertmanager process: its API's answers, checked. The field names of the API stay here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypeVar

import httpx
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # what pydantic asks for before Python 3.12

from runner import client, config
from runner.errors import BadDelivery, RemoteData, RemoteError
from runner.intake.payload import MAX_ALERTS, Fingerprint, Pairs, moment, read_json
from runner.text import brief

MAX_ANSWER = 64 * 1024 * 1024  #: bytes of one answer

_RETRIED = frozenset({408, 425, 429})
_T = TypeVar("_T")
Parameters = list[tuple[str, str | int | float | bool | None]]  # httpx's own type


@dataclass(frozen=True, kw_only=True)
class PeerStatus:
    """One peer's answer to `status`, for `runner check --online`."""

    url: str  #: without credentials
    error: str = ""  #: why it cannot be used; empty when it can
    version: str = ""
    cluster: str = ""  #: ready, settling or disabled
    started: datetime | None = None  #: what it held before that, it has forgotten
    config: str = field(default="", repr=False)  #: alertmanager.yml, its secrets hidden


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Status(TypedDict):
    state: Literal["active", "suppressed", "unprocessed"]
    silencedBy: NotRequired[list[str] | None]
    inhibitedBy: NotRequired[list[str] | None]


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Receiver(TypedDict):
    name: str


@with_config(ConfigDict(strict=True, extra="ignore"))
class ApiAlert(TypedDict):
    fingerprint: Annotated[Fingerprint, Field(min_length=16)]
    status: _Status
    labels: Pairs
    annotations: NotRequired[Pairs | None]
    startsAt: str
    generatorURL: NotRequired[str | None]
    receivers: NotRequired[list[_Receiver] | None]


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Version(TypedDict):
    version: str


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Cluster(TypedDict):
    status: str


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Original(TypedDict):
    original: str


@with_config(ConfigDict(strict=True, extra="ignore"))
class _PeerStatus(TypedDict):
    versionInfo: _Version
    cluster: _Cluster
    config: _Original
    uptime: NotRequired[str]  # in truth the time of its start


_ALERTS = TypeAdapter(Annotated[list[ApiAlert], Field(max_length=MAX_ALERTS, fail_fast=True)])
_STATUS = TypeAdapter(_PeerStatus)


class Peer:
    """One Alertmanager process. Its questions raise RemoteError and RemoteData."""

    def __init__(
        self, peer: config.Alertmanager, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url, self._login = client.split_credentials(peer.url)
        self._base = self.url.rstrip("/")
        self._settings = peer
        self._timeout = peer.timeout
        self._client = client.open_client(peer.timeout, transport, peer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def alerts(self, parameters: Parameters) -> list[ApiAlert]:
        """The checked answer of /api/v2/alerts."""
        return self._checked(_ALERTS, self._get("/api/v2/alerts", parameters))

    def status(self) -> PeerStatus:
        """The answer of /api/v2/status, or why there is none."""
        try:
            answer = self._checked(_STATUS, self._get("/api/v2/status", []))
        except RemoteError as error:
            return PeerStatus(url=self.url, error=str(error))
        try:
            started = moment(answer.get("uptime", ""))
        except (ValueError, OverflowError):
            started = None
        return PeerStatus(
            url=self.url,
            version=brief(answer["versionInfo"]["version"]),
            cluster=brief(answer["cluster"]["status"]),
            started=started,
            config=answer["config"]["original"],
        )

    def _checked(self, adapter: TypeAdapter[_T], body: bytes) -> _T:
        try:
            return adapter.validate_python(read_json(body))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in problem["loc"])
            why = f"{place}: {problem['msg']}"
        except BadDelivery as error:
            why = str(error)
        raise RemoteData(
            f"{self.url} does not answer as Alertmanager does: {brief(why, 160)}", permanent=True
        )

    def _get(self, path: str, parameters: Parameters) -> bytes:
        headers = self._settings.sent() | self._settings.auth.headers()
        login = None if self._settings.auth.configured else self._login
        try:
            with self._client.stream(
                "GET", self._base + path, params=parameters, headers=headers, auth=login
            ) as response:
                body = client.read(response, limit=MAX_ANSWER, timeout=self._timeout)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = client.problem(error) or brief(str(error) or type(error).__name__)
            raise RemoteError(f"Alertmanager {self.url} does not answer: {why}.") from None
        if response.status_code == 200:
            return body
        permanent = response.status_code < 500 and response.status_code not in _RETRIED
        elsewhere = client.redirect(response.status_code, response.headers.get("location"))
        said = elsewhere or client.first_words(body) or "nothing more"
        raise RemoteError(
            f"Alertmanager {self.url} answers {response.status_code} to {path}: {said}.",
            permanent=permanent,
        )
