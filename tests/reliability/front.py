"""Stands in front of a real Prometheus or Alertmanager and can be away, slow, or lie."""

from __future__ import annotations

import http.server
import time
from typing import Any

import httpx

from tests.real_alertmanager import _Server

SLOW = 3.0  #: seconds, longer than the timeout of the runner that asks


class Front(_Server):
    """Passes every question on, unless `mode` says otherwise.

    `away` closes the connection, `slow` answers too late, `stale` repeats the last answer that
    was passed on for the same path, as a cache would.
    """

    def __init__(self, target: str) -> None:
        self.mode = "pass"
        self.injected = 0
        self.kept: dict[str, httpx.Response] = {}  #: path → the last true answer
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.answer(self, target)

            def do_POST(self) -> None:
                front.answer(self, target)

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    pass  # who asked did not wait

        super().__init__(Handler)

    def answer(self, request: http.server.BaseHTTPRequestHandler, target: str) -> None:
        """One question."""
        request.close_connection = True
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        if self.mode != "pass":
            self.injected += 1
        if self.mode == "away":
            return
        if self.mode == "slow":
            time.sleep(SLOW)
        said = self._asked(request, target, body)
        request.send_response(said.status_code)
        request.send_header("Content-Type", said.headers.get("Content-Type", "text/plain"))
        request.send_header("Content-Length", str(len(said.content)))
        request.end_headers()
        request.wfile.write(said.content)

    def _asked(
        self, request: http.server.BaseHTTPRequestHandler, target: str, body: bytes
    ) -> httpx.Response:
        key = request.path.partition("?")[0]
        if self.mode == "stale" and key in self.kept:
            return self.kept[key]
        kind = request.headers.get("Content-Type", "")
        said = httpx.request(
            request.command, target + request.path, content=body,
            headers={"Content-Type": kind} if kind else {}, timeout=10, trust_env=False,
        )  # fmt: skip
        if self.mode == "pass":
            self.kept[key] = said
        return said
