"""Transitions as they happen, by server-sent events.

One thread asks the store once a second, while anybody listens, and hands what is new to
every listener. A listener that cannot keep up is let go; it comes back with the number of
the last event that it saw and misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from runner.config import WebLimits
from runner.incident import Transition
from runner.store import audit_log, incidents
from runner.store.database import Database
from runner.web.replies import Json, Refusal, documented

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
LIFETIME_SECONDS = 900.0  #: after that the listener has to come back and show its credential
MAX_WAITING = 500  #: transitions waiting for one listener
MAX_MISSED = 1000  #: transitions that are sent again; after more, `reset` says to read anew

_NUMBER = re.compile(r"[0-9]{1,18}")

router = APIRouter()


@dataclass(eq=False)
class Listener:
    """One open connection. `None` in the queue ends it."""

    loop: asyncio.AbstractEventLoop
    user: str = ""
    since: float = field(default_factory=time.monotonic)
    queue: asyncio.Queue[Transition | None] = field(
        default_factory=lambda: asyncio.Queue(MAX_WAITING + 1)
    )

    def give(self, transition: Transition | None) -> None:
        """Called in the listener's loop."""
        if transition is None or self.queue.qsize() >= MAX_WAITING:
            while not self.queue.empty():
                self.queue.get_nowait()
            transition = None
        self.queue.put_nowait(transition)


class Feed:
    """Who listens, and the thread that asks for them."""

    def __init__(self, database: Database, limits: WebLimits) -> None:
        self._database = database
        self._limits = limits
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def join(self, listener: Listener) -> None:
        """Add a listener. Raises Refusal 429 when there are too many, in all or of its user."""
        with self._lock:
            # A connection that broke before its first byte never says goodbye.
            oldest = time.monotonic() - 2 * LIFETIME_SECONDS
            self._listeners = {item for item in self._listeners if item.since > oldest}
            own = sum(1 for item in self._listeners if item.user == listener.user)
            if own >= self._limits.streams_per_user:
                raise _too_many(f"{listener.user} has {own} event streams open; close one.")
            if self._closed.is_set() or len(self._listeners) >= self._limits.streams:
                raise _too_many("Too many event streams; try again later.")
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="web-events", daemon=True)
                self._thread.start()
        self._wanted.set()

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners and not self._closed.is_set():
                self._wanted.clear()

    def close(self) -> None:
        """End every listener and the thread."""
        with self._lock:
            self._closed.set()
        self._wanted.set()
        self._tell(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        last: int | None = None
        while not self._closed.wait(POLL_SECONDS if self._wanted.is_set() else 0):
            if not self._wanted.is_set():
                last = None
                self._wanted.wait()
                continue
            try:
                last = self._look(last)
            except Exception as error:  # the thread has to outlive whatever the store does
                log.warning("live events wait for the store: %s", error)

    def _look(self, last: int | None) -> int:
        with self._database.read() as tx:
            if last is None:
                # Whoever joined before this was read may already have seen some of them.
                return max(0, incidents.last_change(tx) - MAX_WAITING // 2)
            new = audit_log.after(tx, last)
        for transition in new:
            self._tell(transition)
        return new[-1].sequence if new else last

    def _tell(self, transition: Transition | None) -> None:
        with self._lock:
            for listener in self._listeners:
                if not listener.loop.is_closed():
                    listener.loop.call_soon_threadsafe(listener.give, transition)


def _too_many(sentence: str) -> Refusal:
    return Refusal(429, sentence, {"Retry-After": "30"})


@router.get(
    "/api/v1/events",
    response_class=StreamingResponse,
    responses={
        **documented(429),
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    },
    tags=["incidents"],
)
async def events(request: Request) -> Response:
    """Transitions from now on, or from the one after `Last-Event-ID`."""
    feed: Feed = request.app.state.feed
    listener = Listener(asyncio.get_running_loop(), user=request.state.actor.name)
    feed.join(listener)
    try:
        seen, missed = await anyio.to_thread.run_sync(
            _missed, request.app.state.project.database, request.headers.get("last-event-id", "")
        )
    except BaseException:
        feed.leave(listener)
        raise
    return StreamingResponse(_stream(feed, listener, seen, missed), media_type="text/event-stream")


def _missed(database: Database, header: str) -> tuple[int, list[Transition] | None]:
    """(last sequence number that counts as seen, what to send again, or None for a reset)."""
    with database.read() as tx:
        newest = incidents.last_change(tx)
        seen = int(header) if _NUMBER.fullmatch(header) else newest
        if seen > newest or newest - seen > MAX_MISSED:
            return newest, None
        return seen, [item for item in audit_log.after(tx, seen) if item.sequence <= newest]


async def _stream(
    feed: Feed, listener: Listener, seen: int, missed: list[Transition] | None
) -> AsyncIterator[bytes]:
    ends = listener.loop.time() + LIFETIME_SECONDS
    try:
        yield b"retry: 3000\n\n" if missed is not None else b"event: reset\ndata: {}\n\n"
        for transition in missed or ():
            seen = transition.sequence
            yield written(transition)
        while listener.loop.time() < ends:
            try:
                given = await asyncio.wait_for(listener.queue.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if given is None:
                return
            if given.sequence > seen:
                seen = given.sequence
                yield written(given)
    finally:
        feed.leave(listener)


def written(transition: Transition) -> bytes:
    """One event. JSON has no line end of its own, so nothing inside can end it early."""
    data = Json(transition).body
    return b"id: %d\nevent: transition\ndata: %s\n\n" % (transition.sequence, bytes(data))
