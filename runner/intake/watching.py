"""Looking, again and again: one thread for each watch, until it is told to stop."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import httpx

from runner import client
from runner.config import Watch
from runner.errors import ConfigError, RemoteData, RemoteError, RunnerError
from runner.incident import Alert, Labels
from runner.intake.payload import Delivery, compose
from runner.intake.watches import MAX_SERIES, Sighting, WatchState, evaluate, remembered
from runner.text import brief, duration

FAILURES_BEFORE_WARNING = 3  #: evaluations in a row whose source said nothing

#: Errors that are about this machine or the way out of it, not about the target.
_OURS = frozenset(
    {
        errno.EACCES,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,
    }
)

#: OpenSSL's codes for a certificate whose authority is not known here.
_NO_ISSUER = frozenset({18, 19, 20, 21})

_log = logging.getLogger(__name__)


class Sample(Protocol):
    """One series of an instant query's answer."""

    @property
    def labels(self) -> Labels: ...

    @property
    def value(self) -> float: ...


Query = Callable[[str], Sequence[Sample]]
Look = Callable[[], list[Sighting]]


class WatchLoop:
    """Evaluates every watch at its interval and delivers what fires and what clears.

    `query` answers PromQL and raises RemoteError when it cannot; `deliver` stores; `note` is told
    how often in a row a watch could not look, whenever that changes.
    `firing` are the alerts of watches that were firing before this start. A
    delivery that fails is made again at the next evaluation.
    """

    def __init__(
        self,
        watches: Sequence[Watch],
        deliver: Callable[[Delivery], object],
        *,
        query: Query | None = None,
        note: Callable[[str, int], None] = lambda watch, failures: None,
        firing: Sequence[Alert] = (),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._stopping = threading.Event()
        self._followers = []
        for watch in watches:
            known = remembered(a for a in firing if a.source == "watch" and a.name == watch.name)
            looks = look(watch, query, transport)
            self._followers.append(Follower(watch, looks, deliver, known, note))
        self._threads = [
            threading.Thread(
                target=follower.follow, args=(self._stopping,), name=f"watch-{name}", daemon=True
            )
            for follower in self._followers
            for name in (follower.watch.name,)
        ]

    def start(self) -> None:
        """Begin; every watch is evaluated at once, then at its interval."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop evaluating; whether every thread ended within `timeout` seconds."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


class Follower:
    """One watch with what it remembers. Used by one thread only."""

    def __init__(
        self,
        watch: Watch,
        look: Look,
        deliver: Callable[[Delivery], object],
        states: Mapping[str, WatchState],
        note: Callable[[str, int], None] = lambda watch, failures: None,
    ) -> None:
        self.watch = watch
        self.states = states
        self.failures = 0
        self._look = look
        self._deliver = deliver
        self._note = note

    def follow(self, stopping: threading.Event) -> None:
        """Evaluate at the watch's interval until `stopping` is set."""
        while not stopping.is_set():
            try:
                self.evaluate(datetime.now(UTC))
            except Exception as error:
                # Whatever it was, a watch that stops looking is worse than one that tries again.
                expected = isinstance(error, RunnerError)
                _log.warning(
                    "Watch %s could not deliver and tries again: %s",
                    self.watch.name,
                    error,
                    exc_info=None if expected else error,
                    extra={"action": "watch_failed"},
                )
            stopping.wait(self.watch.every.total_seconds())

    def evaluate(self, now: datetime) -> None:
        """Look once and deliver what changed; nothing is remembered if that fails."""
        before = self.failures
        sightings: list[Sighting] | None = None
        try:
            sightings = self._look()
        except RemoteError as error:
            self.failures += 1
            if self.failures == FAILURES_BEFORE_WARNING:
                _log.warning(
                    "Watch %s cannot see, so it neither fires nor clears: %s",
                    self.watch.name,
                    error,
                    extra={"action": "watch_blind"},
                )
        else:
            if self.failures >= FAILURES_BEFORE_WARNING:
                _log.info("Watch %s sees again.", self.watch.name, extra={"action": "watch_sees"})
            self.failures = 0
        done = evaluate(self.watch, self.states, sightings, now)
        if self.failures != before:
            self._note(self.watch.name, self.failures)
        if done.alerts:
            key = f"watch:{self.watch.name}"
            self._deliver(compose(done.alerts, source="watch", group_key=key))
        self.states = done.states


def look(watch: Watch, query: Query | None, transport: httpx.BaseTransport | None = None) -> Look:
    """How to look for the trouble that `watch` is about. Raises ConfigError."""
    if watch.http is not None:
        return _http(watch, watch.http, transport)
    promql = watch.promql
    if query is None or promql is None:
        raise ConfigError(f"Watch {watch.name} asks Prometheus; set prometheus.url.")

    def ask() -> list[Sighting]:
        samples = query(promql)
        if len(samples) > MAX_SERIES:
            raise RemoteData(f"Watch {watch.name} gives more than {MAX_SERIES} series; narrow it.")
        return [Sighting(labels=one.labels, seen=f"value {one.value:g}") for one in samples]

    return ask


def _http(watch: Watch, address: str, transport: httpx.BaseTransport | None) -> Look:
    url, login = client.split_credentials(address)

    def look() -> list[Sighting]:
        try:
            # A new connection each time: an old one may outlive a server that takes no new ones.
            with (
                client.open_client(watch.timeout, transport, watch) as opened,
                opened.stream("GET", url, auth=login, headers=watch.sent()) as response,
            ):
                status = response.status_code
                elsewhere = client.redirect(status, response.headers.get("location"))
        except httpx.TimeoutException:
            seen = f"no answer within {duration.write(watch.timeout)}"
        except httpx.TransportError as error:
            if _is_ours(error):
                why = client.problem(error) or brief(str(error))
                raise RemoteError(f"{url} cannot be asked: {why}.") from None
            seen = client.problem(error) or brief(str(error)) or "the connection broke"
        else:
            if status == watch.status:
                return []
            seen = f"HTTP {status} instead of {watch.status}"
            seen += f": {elsewhere}" if elsewhere else ""
        return [Sighting(labels={}, seen=seen)]

    return look


def _is_ours(error: BaseException) -> bool:
    """Whether the question failed on this side: then nothing is known of the target."""
    if isinstance(error, httpx.LocalProtocolError | httpx.ProxyError):
        return True
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError() if cause.verify_code in _NO_ISSUER:
                return True  # a certificate that expired is the target's trouble
            case ssl.SSLError():
                pass  # its errno is another kind of number
            case socket.gaierror():
                return True
            case OSError() if cause.errno in _OURS:
                return True
        cause = cause.__cause__ or cause.__context__
    return False
