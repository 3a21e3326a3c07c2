"""How a body is read: no more of it than may come, and no longer than it may take.

A body takes no place from others until it has grown large, so slow ones only wait for themselves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from runner.web.replies import Refusal

SMALL = 64 * 1024  #: bytes that a body may have without a place of its own
LARGE = 32  #: bodies that are larger than that, in memory at once
LARGE_OF_ONE = 16  #: of them, of one address
#: Seconds that a large body waits for a place: less than the ten after which it is sent again.
PLACE_SECONDS = 8.0
#: Seconds in which any pace will do.
GRACE_SECONDS = 10.0
SLOWEST = 1024  #: bytes a second of a body that does not say how long it is


class Places:
    """Where large bodies lie until they are stored."""

    def __init__(self) -> None:
        self._all = anyio.Semaphore(LARGE)
        self._of: dict[str, anyio.Semaphore] = {}
        self._wanted: Counter[str] = Counter()  # how many hold or want one, by address

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """Hold one for the block. Raises Refusal 503 when none gets free in time."""
        self._wanted[address] += 1
        own = self._of.setdefault(address, anyio.Semaphore(LARGE_OF_ONE))
        try:
            async with AsyncExitStack() as held:
                try:
                    with anyio.fail_after(PLACE_SECONDS):
                        for semaphore in (own, self._all):
                            await held.enter_async_context(semaphore)
                except TimeoutError:
                    sentence = "Too many large bodies at once; send it again."
                    raise Refusal(503, sentence) from None
                yield
        finally:
            self._wanted[address] -= 1
            if not self._wanted[address]:
                del self._wanted[address], self._of[address]


class Body:
    """One body on its way in."""

    def __init__(self, headers: Headers, receive: Receive, limit: int, within: float) -> None:
        """At most `limit` bytes, in `within` seconds. Raises Refusal 413 when it says more."""
        self._receive = receive
        self._limit = limit
        self._within = within
        self._began = time.monotonic()
        self._read = bytearray()
        self._complete = False
        said = headers.get("content-length")
        if said is not None and not (said.isascii() and said.isdigit() and len(said) <= 15):
            raise self._too_long()
        self._length = int(said) if said else None
        if self._length is not None and self._length > limit:
            raise self._too_long()

    @property
    def large(self) -> bool:
        """Whether it needs a place before more of it is read."""
        return not self._complete and len(self._read) >= SMALL

    async def all(self) -> bytes:
        """The whole body."""
        while not self._complete:
            await self._more()
        return bytes(self._read)

    async def beginning(self) -> None:
        """Read until it is complete or large. Raises Refusal."""
        while not self._complete and not self.large:
            await self._more()

    async def _more(self) -> None:
        # It may take until its pace so far is too slow for the whole to arrive in time.
        pace = SLOWEST if self._length is None else max(1.0, self._length / self._within)
        ends = min(self._within, max(GRACE_SECONDS, len(self._read) / pace))
        left = self._began + ends - time.monotonic()
        try:
            with anyio.fail_after(max(0.0, left)):
                message: Message = await self._receive()
        except TimeoutError:
            raise Refusal(
                408, f"The body came too slowly to arrive within {self._within:.0f} s."
            ) from None
        if message["type"] == "http.disconnect":
            raise Refusal(400, "The body ended early.")
        self._read += message.get("body", b"")
        self._complete = not message.get("more_body", False)
        if len(self._read) > self._limit:
            raise self._too_long()

    def _too_long(self) -> Refusal:
        return Refusal(413, f"The body is longer than {self._limit} bytes.")
