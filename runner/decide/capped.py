"""An HTTP client whose answers end: by bytes and by the clock, not only between two packets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from runner.client import redirect, trust
from runner.config import Client

#: Bytes of one HTTP answer: far above any answer to a question of ours.
MAX_BYTES = 1024 * 1024


class TooManyBytes(httpx.ReadError):
    """The answer was cut off."""


class CappedClient(httpx.Client):
    """A client for one request, which has `seconds` from `start` on for all of it."""

    def __init__(self, seconds: float, settings: Client | None = None) -> None:
        settings = settings or Client()
        super().__init__(
            timeout=seconds,
            verify=trust(settings),
            proxy=settings.way,
            trust_env=False,
            headers=settings.sent(),
            event_hooks={"request": [self._ask], "response": [self._count]},
        )
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._stream: _Counted | None = None

    def start(self) -> None:
        """The time runs from now on."""
        self._until = time.monotonic() + self._seconds

    def body(self) -> bytes:
        """What came back last, as it came."""
        return bytes(self._stream.kept) if self._stream is not None else b""

    def _ask(self, request: httpx.Request) -> None:
        # Compressed bytes would be counted before they grow.
        request.headers["Accept-Encoding"] = "identity"

    def _count(self, response: httpx.Response) -> None:
        if elsewhere := redirect(response.status_code, response.headers.get("location")):
            raise httpx.RequestError(elsewhere)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TooManyBytes("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = self._stream = _Counted(response.stream, self._until)


class _Counted(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, until: float) -> None:
        self._inner = inner
        self._until = until
        self.kept = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        for part in self._inner:
            self.kept += part
            if len(self.kept) > MAX_BYTES:
                raise TooManyBytes(f"the answer has more than {MAX_BYTES} bytes")
            if time.monotonic() > self._until:
                raise httpx.ReadTimeout("the answer came too slowly")
            yield part

    def close(self) -> None:
        self._inner.close()
