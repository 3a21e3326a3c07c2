"""Who is connected, and for how long a client may keep us waiting.

uvicorn has no limit for a request that never ends its headers, and none for one address; hypercorn
counts from byte to byte, granian has no limit for one address (all were tried). So this is
uvicorn's own protocol with these limits: a connection on which the client owes us bytes is closed
after a time, and the one that has owed longest makes room when there are too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.config import WebLimits

log = logging.getLogger(__name__)

#: Seconds for a client to read on, once so much is written that we have to wait for it.
STALL_SECONDS = 60.0
#: Descriptors for everything else: the store's connections, playbooks, other servers.
RESERVED = 400
#: More is of no use, and programs that close every possible descriptor would take their time.
MAX_DESCRIPTORS = 65_536


def raise_descriptors() -> int:
    """Allow as many open files as the system lets us; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = MAX_DESCRIPTORS if hard == unlimited else min(hard, MAX_DESCRIPTORS)
    if soft != unlimited and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MAX_DESCRIPTORS if soft == unlimited else soft


def room(limits: WebLimits, descriptors: int) -> int:
    """How many connections fit, with so many descriptors."""
    return max(16, min(limits.connections, descriptors - RESERVED))


def address_of(client: tuple[str, int] | None) -> str:
    """Whom a connection counts for: an IPv4 address, or the network of an IPv6 one."""
    if client is None:
        return "unknown"
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Connections:
    """Every open connection by address. Lives in the server's loop and needs no lock."""

    def __init__(self, limits: WebLimits, most: int, closed: Callable[[str], None]) -> None:
        """`most` in all; `closed` is told why we closed one."""
        self.limits = limits
        self.closed = closed
        self._most = most
        self._by_address: dict[str, set[Watched]] = {}
        self._count = 0

    def join(self, newcomer: Watched) -> bool:
        """Whether it may stay; who has owed us bytes for longest makes room for it."""
        own = self._by_address.setdefault(newcomer.address, set())
        own.add(newcomer)
        self._count += 1
        crowd = None
        if len(own) > self.limits.connections_per_address:
            crowd = own
        elif self._count > self._most:
            # Whoever has most of them, so that a single client is never the one to suffer.
            crowd = max(self._by_address.values(), key=len)
        if crowd is None:
            return True
        owing = [one for one in crowd if one.owes_since is not None and one is not newcomer]
        leaving = min(owing, key=lambda one: one.owes_since or 0.0) if owing else newcomer
        self.drop(leaving, "crowded")
        return leaving is not newcomer

    def drop(self, connection: Watched, why: str) -> None:
        """Close a connection now, whatever was written to it."""
        self.leave(connection)
        self.closed(why)
        log.warning("connections of %s are closed: %s", connection.address, _WHY[why])
        connection.transport.abort()

    def leave(self, connection: Watched) -> None:
        """It is closed."""
        own = self._by_address.get(connection.address, set())
        if connection in own:
            own.discard(connection)
            self._count -= 1
            if not own:
                del self._by_address[connection.address]


_WHY = {
    "headers": "no whole request came in time (listen.limits.headers)",
    "stalled": "the answer was not read",
    "crowded": "too many are open (listen.limits.connections, connections_per_address)",
}


class Watched(H11Protocol):
    """One connection. `owes_since` is when the client began to owe us bytes; None while we work."""

    def __init__(self, connections: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._all = connections
        self.address = "unknown"
        self.owes_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = address_of(self.client)
        self.owes_since = self.loop.time()
        if self._all.join(self):
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.leave(self)
        self._stop(self._timer)
        self._stop(self._stall)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._look(idle=True)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_SECONDS, self._all.drop, self, "stalled")

    def resume_writing(self) -> None:
        self._stop(self._stall)
        super().resume_writing()

    def _look(self, *, idle: bool = False) -> None:
        """Note whose turn it is: ours to answer, or the client's to send. The time for a body is
        measured by who reads it, and an idle connection has uvicorn's own limit."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self.cycle.more_body:
            self.owes_since = None
        elif self.owes_since is None:
            self.owes_since = self.loop.time()
        if answering or idle:
            self._stop(self._timer)
            self._timer = None
        elif self._timer is None:
            self._wait_for_headers()

    def _wait_for_headers(self) -> None:
        seconds = self._all.limits.headers.total_seconds()
        self._timer = self.loop.call_later(seconds, self._all.drop, self, "headers")

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
