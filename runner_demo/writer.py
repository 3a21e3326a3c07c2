"""A client that writes to an etcd cluster all the time, and knows what was acknowledged."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle

import httpx

_PAUSE = 0.02  #: seconds between two writes


class Writer:
    """Writes numbered keys by any endpoint that takes them, from `start` to `stop`."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = tuple(endpoints)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="storage-writer", daemon=True)
        self.acknowledged: list[int] = []
        self.refused = 0
        self.longest = 0.0  #: seconds between two acknowledgements
        self._last = 0.0

    def start(self) -> None:
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Write no more."""
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        endpoints = cycle(self._endpoints)
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            url, number = next(endpoints), 0
            while not self._stop.is_set():
                if put(client, url, f"n{number}", str(number)):
                    now = time.monotonic()
                    self.longest = max(self.longest, now - self._last)
                    self._last = now
                    self.acknowledged.append(number)
                    number += 1
                    self._stop.wait(_PAUSE)
                else:
                    # Perhaps it was written and only the answer is lost: a new number then.
                    self.refused += 1
                    number += 1
                    url = next(endpoints)

    def _note(self, number: int) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self.acknowledged.append(number)

    def lost(self) -> list[int]:
        """The acknowledged numbers that the cluster does not have any more."""
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            body = {"key": _text("n"), "range_end": _text("o")}
            for url in self._endpoints:
                # One that cannot read with a quorum says so, or nothing.
                with suppress(httpx.HTTPError, ValueError):
                    said = client.post(f"{url}/v3/kv/range", json=body)
                    if said.status_code != 200:
                        continue
                    pairs = said.json().get("kvs", [])
                    kept = {base64.b64decode(pair["value"]).decode() for pair in pairs}
                    return [number for number in self.acknowledged if str(number) not in kept]
        raise RuntimeError("no endpoint answers a read")


def put(client: httpx.Client, url: str, key: str, value: str) -> bool:
    """Whether the cluster acknowledged the write."""
    body = {"key": _text(key), "value": _text(value)}
    try:
        said = client.post(f"{url}/v3/kv/put", json=body)
        return said.status_code == 200 and "header" in said.json()
    except (httpx.HTTPError, ValueError):
        return False


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
