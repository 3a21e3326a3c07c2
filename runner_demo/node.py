"""One program of a demo host: `app`, the service, or `agent`, what tells of the host.

Runs by itself, copied into the fleet, with nothing but Python's own library:
`python -I app.py app PORT` in a release's folder, `python -I agent.py agent PORT APP_PORT`
in the host's folder.
"""

from __future__ import annotations

import json
import sys
import traceback
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

QUOTA = 4 * 1024 * 1024  #: bytes that the places of AREA may hold together on one host
MIN_FREE = 0.1  #: share of the quota that must be free
AREA = ("cache", "log")
MAX_WAITING = 10  #: jobs in the queue of a healthy host

Answer = tuple[int, dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    """Answers each path of its program with a status and a small JSON object."""

    program: App | Agent

    def do_GET(self) -> None:
        """Answer, and log what is not well."""
        answer = self.program.answers.get(self.path)
        try:
            status, content = answer() if answer else (404, {"status": "no such page"})
        except Exception:
            traceback.print_exc()
            status, content = 500, {"status": "internal error", "release": self.program.release}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Good answers are not worth a line."""
        if int(code) >= 400:
            super().log_request(code, size)


class App:
    """The service: a shop that shows its prices."""

    def __init__(self, release: str, prices: dict[str, float]) -> None:
        self.release = release
        self.answers = {"/health": self.health, "/": self.page}
        self._prices = prices

    def health(self) -> Answer:
        """The process answers."""
        return 200, {"status": "ok", "release": self.release}

    def page(self) -> Answer:
        """What customers ask for; a release with other prices than it expects fails here."""
        return 200, {"price": self._prices["book"], "release": self.release}


class Agent:
    """Tells of the host, whether the service runs or not."""

    release = "agent"

    def __init__(self, host: Path, app: int) -> None:
        self.answers = {"/disk": self.disk, "/errors": self.errors, "/queue": self.queue}
        self._host = host
        self._app = app

    def disk(self) -> Answer:
        """507 when less than MIN_FREE of the quota is free."""
        files = [file for place in AREA for file in (self._host / place).rglob("*")]
        used = sum(file.stat().st_size for file in files if file.is_file())
        free = round(max(0.0, 1 - used / QUOTA), 3)
        return 200 if free >= MIN_FREE else 507, {"used": used, "quota": QUOTA, "free": free}

    def errors(self) -> Answer:
        """503 while the service answers customers with an error; silence is not one."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._app}/", timeout=1) as reply:
                return 200, {"answered": reply.status}
        except urllib.error.HTTPError as error:
            return 503, {"answered": error.code}
        except OSError as error:
            return 200, {"answered": None, "why": str(error)}

    def queue(self) -> Answer:
        """503 when jobs pile up."""
        waiting = len(list((self._host / "data" / "queue").iterdir()))
        return 200 if waiting <= MAX_WAITING else 503, {"waiting": waiting, "most": MAX_WAITING}


def main(kind: str, port: str, app: str = "0") -> None:
    """Serve on loopback until a signal ends it."""
    here = Path.cwd()
    if kind == "app":
        settings = json.loads((here / "release.json").read_text())
        Handler.program = App(settings["release"], settings["prices"])
    else:
        Handler.program = Agent(here, int(app))
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    print(f"{kind} {Handler.program.release} answers on port {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
