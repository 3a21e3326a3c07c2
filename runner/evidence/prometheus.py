"""Prometheus as a source of evidence: bounded, read-only, in sentences when it fails.

Imported only where a Prometheus is configured: prometheus-api-client brings requests.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from runner import config
from runner.client import first_words, problem, redirect, trust
from runner.errors import RemoteData, RemoteError
from runner.evidence.samples import ActiveAlert, AlertingRule, Sample, Series
from runner.incident import Labels
from runner.text import brief
from runner.text.duration import write

MAX_BODY = 16 * 1024 * 1024  #: bytes of one answer, after decompression
_PERMANENT = frozenset({400, 401, 403, 404, 422})
#: Who asks again knows when; a try must end in time.
_NO_RETRY = Retry(0, read=False)


class PrometheusClient:
    """The read API of one Prometheus-compatible server.

    Every method raises RemoteError when the server does not answer in time or
    refuses, and RemoteData when it answers with something else than it promised.
    """

    def __init__(self, settings: config.Prometheus, *, max_body: int = MAX_BODY) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        # Host and port only: a URL may hold a password.
        place = urlsplit(self._url).netloc.rpartition("@")[2] or "an address without a host"
        self.name = f"Prometheus at {place}"
        self._timeout = settings.timeout.total_seconds()
        self._session = _BoundedSession(
            self.name, settings, max_body=max_body, seconds=self._timeout
        )
        self._connect = PrometheusConnect(
            url=self._url,
            session=self._session,
            timeout=self._timeout,
            retry=_NO_RETRY,
        )
        # After it put an adapter of its own there, which trusts a list in a package.
        self._session.mount(self._url, _Trusting(trust(settings)))

    def close(self) -> None:
        self._session.close()

    def query(self, promql: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """The samples of `promql` at `at` (now when None); a scalar is one sample."""
        params = {"timeout": write(self._settings.timeout)}
        if at is not None:
            params["time"] = f"{at.timestamp():.3f}"
        with self._asking():
            answer = self._connect.custom_query(promql, params=params)
            if len(answer) == 2 and not isinstance(answer[0], dict):  # a scalar: [time, value]
                return (Sample(labels={}, value=float(answer[1])),)
            found = []
            for item in answer:
                if "values" in item:
                    raise ValueError("a range, not a moment")
                value = float(item["value"][1]) if "value" in item else math.nan  # a histogram
                found.append(Sample(labels=_labels(item["metric"]), value=value))
            return tuple(found)

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]:
        """The series of `promql` between `start` and `end`, a point each `step`."""
        seconds = f"{max(1.0, step.total_seconds()):g}"
        with self._asking():
            found = []
            for item in self._connect.custom_query_range(promql, start, end, step=seconds):
                points = tuple(
                    (datetime.fromtimestamp(float(at), UTC), float(value))
                    for at, value in item.get("values", ())
                )
                found.append(Series(labels=_labels(item["metric"]), points=points))
            return tuple(found)

    def rules(self, name: str | None = None) -> tuple[AlertingRule, ...]:
        """The alerting rules that the server has loaded, or those of one name."""
        params = {"type": "alert", "exclude_alerts": "true"}
        if name is not None:
            params["rule_name[]"] = name  # servers before 2.44 ignore it
        with self._asking():
            found = [
                AlertingRule(
                    name=str(rule["name"]),
                    query=str(rule["query"]),
                    labels=_labels(rule.get("labels") or {}),
                    duration=timedelta(seconds=float(rule.get("duration") or 0)),
                    keep_firing=timedelta(seconds=float(rule.get("keepFiringFor") or 0)),
                    interval=timedelta(seconds=float(group.get("interval") or 0)),
                )
                for group in self._get("rules", params)["groups"]
                for rule in group["rules"]
                if rule.get("type") == "alerting"
            ]
        return tuple(rule for rule in found if name is None or rule.name == name)

    def rule_of(self, name: str, labels: Labels, expr: str | None = None) -> AlertingRule | None:
        """The rule that made the alert with `name` and `labels`; None when none fits.

        Where several rules share the name, `expr` (as its generatorURL tells) decides,
        then the number of static labels that agree.
        """
        # Every label that the rule writes literally is on the alert.
        fitting = [
            rule
            for rule in self.rules(name)
            if all(labels.get(key) == text for key, text in rule.labels.items() if "{{" not in text)
        ]
        same = [rule for rule in fitting if expr is not None and rule.query == expr]
        return max(same or fitting, key=lambda rule: len(rule.labels), default=None)

    def alerts(self) -> tuple[ActiveAlert, ...]:
        """The alerts that the server itself holds pending or firing."""
        with self._asking():
            found = []
            for item in self._get("alerts", {})["alerts"]:
                text = str(item["activeAt"]).replace("Z", "+00:00")
                began = datetime.fromisoformat(text[:19] + text[-6:]).astimezone(UTC)
                state = str(item["state"])
                found.append(
                    ActiveAlert(labels=_labels(item["labels"]), state=state, active_at=began)
                )
            return tuple(found)

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        response = self._session.get(
            f"{self._url}/api/v1/{path}",
            params=dict(params),
            headers=self._connect.headers,
            timeout=self._timeout,
        )
        return response.json()["data"]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """For a block that asks and reads the answer: says in a sentence what goes wrong there."""
        # Read anew: a token may have been rotated.
        self._connect.headers = self._settings.sent() | self._settings.auth.headers()
        try:
            yield
        except requests.exceptions.JSONDecodeError as error:
            said = first_words(str(error.doc).encode())
            raise RemoteData(f"{self.name} did not answer with JSON but with: {said}") from None
        except requests.exceptions.Timeout:
            limit = write(self._settings.timeout)
            raise RemoteError(f"{self.name} did not answer within {limit}") from None
        except (requests.RequestException, OSError) as error:
            why = problem(error)
            told = f"{self.name}: {why}" if why else f"{self.name} cannot be reached"
            raise RemoteError(told) from None
        except (PrometheusApiClientException, *_NOT_PROMISED):
            raise RemoteData(f"{self.name} did not answer as its API promises") from None


_NOT_PROMISED = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class _BoundedSession(requests.Session):
    """A session whose answers have a greatest size and a latest end."""

    def __init__(
        self, name: str, settings: config.Prometheus, *, max_body: int, seconds: float
    ) -> None:
        super().__init__()
        self.trust_env = False  # neither proxies nor .netrc of whoever started us
        if settings.way is not None:
            self.proxies = {"http": settings.way, "https": settings.way}
        self._name, self._max_body, self._seconds = name, max_body, seconds

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        end = time.monotonic() + self._seconds
        response = super().send(request, **kwargs | {"stream": True, "allow_redirects": False})
        body = bytearray()
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if len(body) > self._max_body:
                response.close()
                raise RemoteData(f"{self._name} answered with more than {self._max_body} bytes")
            if time.monotonic() > end:
                response.close()
                raise requests.exceptions.ReadTimeout()
        response._content = bytes(body)
        code = response.status_code
        if code < 300:
            return response
        try:
            said = brief(str(response.json()["error"]), 200)
        except _NOT_PROMISED:
            elsewhere = redirect(code, response.headers.get("location"))
            said = elsewhere or first_words(response.content)
        permanent = code in _PERMANENT or code < 400
        raise RemoteError(
            f"{self._name} answered {code}{said and ': ' + said}", permanent=permanent
        )


class _Trusting(HTTPAdapter):
    """Trusts what every client of the runner trusts, instead of a list in a package."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=_NO_RETRY)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context: the list would be added to it here."""


def _labels(item: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in item.items()}
