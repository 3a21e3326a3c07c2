"""What every request passes before a route sees it, and every answer on its way out.

In this order: the host it was sent to, who sent it, the page it came from, what they may
do, then the body, of which no more is read than may come.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.config import Config
from runner.incident import Alert
from runner.intake import senders
from runner.web.auth import OPEN, Actor, Gate, Permission, needed
from runner.web.body import Body, Places
from runner.web.connections import address_of
from runner.web.logins import FailedLogins
from runner.web.replies import Refusal, refuse

log = logging.getLogger(__name__)

WEBHOOK = "/api/v1/alerts"
SOURCES = "/api/v1/sources/"  #: and the name of another sender
MAX_BODY = 64 * 1024  #: bytes of any body that is not a delivery

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Metrics(Protocol):
    """What the web needs of the runner's own metrics."""

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""

    def answered(self, status: int, seconds: float, alerts: Sequence[Alert]) -> None:
        """Count one answer of the webhook, and the alerts that it acknowledged."""

    def login_failed(self) -> None:
        """Count one credential that was wrong."""

    def closed(self, why: str) -> None:
        """Count one connection that we closed."""


class Guard:
    """The one middleware."""

    def __init__(self, app: ASGIApp, *, config: Config, gate: Gate, metrics: Metrics) -> None:
        self._app = app
        self._listen = config.listen
        self._gate = gate
        self._metrics = metrics
        self._public = urlsplit(config.notify.public_url or "")
        self._places = Places()
        self._failed = FailedLogins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _Answer(send, since=time.perf_counter())
        try:
            await self._pass(scope, receive, answer.send)
        except Refusal as refusal:
            await refuse(refusal)(scope, receive, answer.send)
        except Exception:
            await answer.fail(scope, receive)
        brings = scope["path"] == WEBHOOK or scope["path"].startswith(SOURCES)
        if brings and scope["method"] == "POST" and answer.status:
            alerts = scope.get("state", {}).get("alerts", ())
            self._metrics.answered(answer.status, answer.seconds, alerts)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        address = address_of(scope.get("client"))
        if {"content-length", "transfer-encoding"} <= {name.lower() for name in headers}:
            # A proxy may read the one and we the other: what follows would be a second request.
            sentence = "A request has Content-Length or Transfer-Encoding, not both."
            raise Refusal(400, sentence, {"Connection": "close"})
        if scope["path"] not in OPEN:
            permission = needed(scope["method"], scope["path"])
            # Where nobody logs in, a name that an attacker made resolve to us must not reach us.
            if self._listen.allow_anonymous and not self._is_ours(headers.get("host", "")):
                raise Refusal(403, "Unknown host name; set notify.public_url to allow it.")
            actor = await self._identify(headers, permission, address)
            if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                self._check_origin(headers)
            if not actor.may(permission):
                raise Refusal(403, f"Role {actor.role} does not allow this.")
            scope.setdefault("state", {})["actor"] = actor
        limit = MAX_BODY
        if scope["path"] == WEBHOOK:
            limit = self._listen.max_body
        elif scope["path"].startswith(SOURCES):
            limit = min(self._listen.max_body, senders.MAX_BODY)
        body = Body(headers, receive, limit, self._listen.limits.body.total_seconds())
        await body.beginning()
        async with self._places.place(address) if body.large else nullcontext():
            waiting: list[Message] = [
                {"type": "http.request", "body": await body.all(), "more_body": False}
            ]

            async def replayed() -> Message:
                return waiting.pop() if waiting else await receive()

            await self._app(scope, replayed, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in ("localhost", self._listen.host, self._public.hostname):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    async def _identify(self, headers: Headers, permission: Permission, address: str) -> Actor:
        if self._gate.closed:
            raise Refusal(
                401,
                "Access is not configured: set listen.auth and listen.users in runner.yml, or "
                "listen.allow_anonymous on a loopback address.",
            )
        header = headers.get("authorization")
        actor = self._gate.identify(header, permission)
        if actor is None:
            if header is not None:  # a browser asks without one first
                self._metrics.login_failed()
                delay = self._failed.delay(address)
                try:
                    await anyio.sleep(delay)
                finally:
                    self._failed.answered(address)
            raise Refusal(401, "A valid credential is needed.")
        return actor

    def _check_origin(self, headers: Headers) -> None:
        """A browser sends passwords by itself; only our own pages may make it change things."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin", "none"):
            raise Refusal(403, "Cross-site requests are rejected.")
        if origin is None or site == "same-origin":
            return
        theirs = urlsplit(origin)
        ours = (headers.get("host", ""), self._public.netloc)
        if theirs.scheme not in ("http", "https") or not theirs.netloc or theirs.netloc not in ours:
            raise Refusal(403, "Cross-site requests are rejected.")


class _Answer:
    """Puts our headers on an answer and remembers what it was."""

    def __init__(self, send: Send, *, since: float) -> None:
        self._send = send
        self._since = since
        self.status = 0
        self.seconds = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.seconds = time.perf_counter() - self._since
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def fail(self, scope: Scope, receive: Receive) -> None:
        """A defect of ours: the log has it whole, the answer only its number."""
        number = secrets.token_hex(4)
        log.exception("request failed (error %s)", number, extra={"action": "web_error"})
        if not self.status:
            sentence = f"Internal error {number}; see the log of the runner."
            await refuse(Refusal(500, sentence))(scope, receive, self.send)
