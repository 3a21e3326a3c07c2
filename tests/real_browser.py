"""A real Chromium without a window, steered through its debugging pipe."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_missing = shutil.which("chromium") is None and not os.environ.get("CI")


def needs_chromium(test: Any) -> Any:
    """Marks a test that is skipped where there is no Chromium, except in CI."""
    return pytest.mark.real(pytest.mark.skipif(_missing, reason="chromium is missing")(test))


class Page:
    """One open page."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out = os.fdopen(to_browser, "wb", buffering=0)
        self._in = os.fdopen(from_browser, "rb")
        self._number = 0
        self._session: str | None = None

    def open(self, url: str) -> None:
        target = self._ask("Target.createTarget", url=url)["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def narrow(self, width: int) -> None:
        """Make the page as wide as a phone, in CSS pixels."""
        shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self._ask("Emulation.setDeviceMetricsOverride", **shape)

    def value(self, script: str) -> Any:
        """What this expression is in the page; a promise is waited for."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        return self._ask("Runtime.evaluate", **asked)["result"].get("value")

    def sees(self, text: str) -> bool:
        """Whether the page shows this text within ten seconds, over page loads too."""
        loaded = "document.readyState === 'complete'"
        look = f"{loaded} && document.body.innerText.includes({json.dumps(text)})"
        wait = "new Promise((done) => setTimeout(done, 50))"
        return any(self.value(f"{wait}.then(() => {look})") for _ in range(200))

    def close(self) -> None:
        self._session = None
        self._ask("Browser.close")

    def hang_up(self) -> None:
        self._out.close()
        self._in.close()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                # A page that is just being left has no answer; it is asked again.
                return answer.get("result") or {"result": {}}

    def _read(self) -> bytes:
        content = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser ended"
            content += byte
        return bytes(content)


@contextmanager
def browser(url: str) -> Iterator[Page]:
    """A browser that shows this page."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = shlex.join(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                f"--user-data-dir={profile}",
                "--remote-debugging-pipe",
            ]
        )
        started = subprocess.Popen(
            ["bash", "-c", f"exec {command} 3<&{to_read} 4>&{from_write}"],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        page = Page(to_write, from_read)
        try:
            page.open(url)
            yield page
            page.close()
            started.wait(20)
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
            page.hang_up()
