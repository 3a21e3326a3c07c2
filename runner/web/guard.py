"""What every request passes before a route sees it, and every answer on its way out.

In this order: the host it was sent to, who sent it, the page it came from, what they may
do, then the body, of which no more is read than may come.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import time
from typing import Protocol
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.config import Config
from runner.web.auth import OPEN, Actor, Gate, Permission, needed
from runner.web.replies import Refusal, refuse

log = logging.getLogger(__name__)

WEBHOOK = "/api/v1/alerts"
MAX_BODY = 64 * 1024  #: bytes of any body that is not a delivery
BODY_SECONDS = 30.0  #: for a body to arrive
MAX_BODIES = 32  #: deliveries in memory at once; more wait at their socket

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

    def answered(self, status: int, seconds: float) -> None:
        """Count one answer of the webhook."""


class Guard:
    """The one middleware."""

    def __init__(self, app: ASGIApp, *, config: Config, gate: Gate, metrics: Metrics) -> None:
        self._app = app
        self._listen = config.listen
        self._gate = gate
        self._metrics = metrics
        self._public = urlsplit(config.notify.public_url or "")
        self._bodies = anyio.CapacityLimiter(MAX_BODIES)

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
        if scope["path"] == WEBHOOK and scope["method"] == "POST" and answer.status:
            self._metrics.answered(answer.status, answer.seconds)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in OPEN:
            self._admit(scope, headers)
        if scope["path"] != WEBHOOK:
            body = await _body(headers, receive, MAX_BODY)
            return await self._app(scope, _replay(body, receive), send)
        async with self._bodies:
            body = await _body(headers, receive, self._listen.max_body)
            await self._app(scope, _replay(body, receive), send)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        permission = needed(scope["method"], scope["path"])
        self._check_host(headers)
        actor = self._identify(headers, permission)
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            self._check_origin(headers)
        if not actor.may(permission):
            raise Refusal(403, f"This credential's role, {actor.role}, may not do that.")
        scope.setdefault("state", {})["actor"] = actor

    def _check_host(self, headers: Headers) -> None:
        """Where nobody logs in, a name that an attacker made resolve to us must not reach us."""
        if self._listen.allow_anonymous and not self._is_ours(headers.get("host", "")):
            raise Refusal(403, "This host name is not ours; set notify.public_url to allow it.")

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

    def _identify(self, headers: Headers, permission: Permission) -> Actor:
        if self._gate.closed:
            raise Refusal(
                401,
                "Nobody may come in yet: set listen.auth and listen.users in runner.yml, or "
                "listen.allow_anonymous on a loopback address.",
            )
        actor = self._gate.identify(headers.get("authorization"), permission)
        if actor is None:
            raise Refusal(401, "A valid credential is needed.")
        return actor

    def _check_origin(self, headers: Headers) -> None:
        """A browser sends passwords by itself; only our own pages may make it change things."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin", "none"):
            raise Refusal(403, "A page of another site may not do that.")
        if origin is None or site == "same-origin":
            return
        theirs = urlsplit(origin)
        ours = (headers.get("host", ""), self._public.netloc)
        if theirs.scheme not in ("http", "https") or not theirs.netloc or theirs.netloc not in ours:
            raise Refusal(403, "A page of another site may not do that.")


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
            sentence = f"The runner failed here; its log has more under error {number}."
            await refuse(Refusal(500, sentence))(scope, receive, self.send)


async def _body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Refusal 413 as soon as it is known to be longer than `limit`."""
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or len(length) > 15 or int(length) > limit:
        raise Refusal(413, f"The body is longer than {limit} bytes.")
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "The body ended early.")
                body += message.get("body", b"")
                if len(body) > limit:
                    raise Refusal(413, f"The body is longer than {limit} bytes.")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refusal(408, f"The body did not arrive within {BODY_SECONDS:.0f} s.") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
