"""The runner's own intake behind a gate that can refuse, drop or hold, fed by real Alertmanagers.

Every test has alerts of its own name, so that one Alertmanager serves them all.
"""

from __future__ import annotations

import http.server
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from runner import acts
from runner.daemon import Daemon
from runner.incident import Incident
from runner.project import Project
from runner.store import incidents
from runner.store.tables import incidents as rows
from runner.web.app import create_app
from runner.web.serve import Server
from tests import small_project as small
from tests.acceptance.service_lab import soon
from tests.real_alertmanager import RealAlertmanager, _Server, eventually, free_port
from tests.web_site import Counted

TOKEN = "a-token-of-the-kit"

#: Routes by the label `t`, whose intervals are as short as Alertmanager lets them be.
ROUTES = """
route:
  receiver: runner
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
  - {{matchers: ['t="repeat"'], repeat_interval: 1s}}
  - {{matchers: ['t="capped"'], receiver: capped}}
  - {{matchers: ['t="both"'], receiver: ok.rcv, continue: true}}
  - {{matchers: ['t=~"both"'], receiver: runner}}
  - {{matchers: ['t="quiet"'], receiver: quiet}}
  - {{matchers: ['t="waits"'], group_wait: 1s}}
  - {{matchers: ['t="long"'], group_interval: 2s}}
receivers:
- {{name: runner, webhook_configs: [{{url: "{url}", http_config: {http}}}]}}
- {{name: capped, webhook_configs: [{{url: "{url}", http_config: {http}, max_alerts: 2}}]}}
- {{name: ok.rcv, webhook_configs: [{{url: "{url}", http_config: {http}}}]}}
- {{name: quiet, webhook_configs: [{{url: "{url}", http_config: {http}, send_resolved: false}}]}}
inhibit_rules:
- source_matchers: [alertname="Cause"]
  target_matchers: [t="inhibited"]
"""


@dataclass(frozen=True, kw_only=True)
class Post:
    """One message as it came through the gate."""

    at: float
    body: bytes
    status: int  #: what the sender was answered; 0 when it was cut off

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def delivered(self) -> bool:
        return 200 <= self.status < 300


class Gate(_Server):
    """Stands between Alertmanager and the runner, with a mode for each alert's name."""

    def __init__(self, target: str) -> None:
        self.posts: dict[str, list[Post]] = defaultdict(list)
        #: Name → status to answer without telling the runner, or "drop" to close at once.
        self.refuses: dict[str, int | str] = {}
        #: Name → seconds that an answer is held back after the runner was told.
        self.holds: dict[str, float] = {}
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = json.loads(body)["groupLabels"].get("alertname", "")
                status = gate.refuses.get(name) or gate.forward(target, self.headers, body)
                time.sleep(gate.holds.get(name, 0.0))
                number = status if isinstance(status, int) else 0
                gate.posts[name].append(Post(at=time.monotonic(), body=body, status=number))
                if number:
                    self.send_response(number)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    pass  # the sender gave up first

        super().__init__(Handler)

    def forward(self, target: str, headers: Any, body: bytes) -> int:
        names = ("Authorization", "Content-Type")
        kept = {name: headers[name] for name in names if headers[name]}
        answer = httpx.post(target, content=body, headers=kept, timeout=30, trust_env=False)
        return answer.status_code

    def delivered(self, name: str) -> list[Post]:
        """What the runner acknowledged."""
        return [post for post in self.posts[name] if post.delivered]


class Site:
    """A runner that takes alerts in and works on none, and an Alertmanager that tells it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        port = free_port()  # of Alertmanager: each must know the other before it starts
        token = root / "token"
        token.write_text(TOKEN)
        settings = {
            "alertmanagers": [{"url": f"http://127.0.0.1:{port}"}],
            "listen": {"port": 0, "auth": {"bearer_token_file": str(token)}},
        }
        self.project = made(root, settings)
        self.daemon = Daemon(self.project)
        self.project.delivered = self.daemon._inbox.wake
        self.daemon._inbox.start()
        self.metrics = Counted()
        self.server = Server(create_app(self.project, self.metrics), self.project.config.listen)
        self.server.start()
        self.url = f"{self.server.url}/api/v1/alerts"
        self.gate = Gate(self.url)
        http = json.dumps({"authorization": {"credentials": TOKEN}})
        self.routes = ROUTES.format(url=self.gate.url, http=http)
        self.alertmanager = RealAlertmanager(root / "am", self.routes, port=port)

    def close(self) -> None:
        self.alertmanager.stop()
        self.server.stop()
        self.gate.stop()
        self.daemon._inbox.stop()
        self.project.close()

    def post(self, body: bytes, token: str = TOKEN) -> httpx.Response:
        """Send a recorded body past the gate."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.post(self.url, content=body, headers=headers, timeout=30, trust_env=False)

    def settle(self) -> None:
        """Wait until everything that was stored has been looked at."""
        from runner.store import deliveries

        def idle() -> bool:
            with self.project.database.read() as tx:
                return deliveries.waiting(tx) == 0

        soon(idle, "every delivery has been looked at", 120)

    def incidents(self, name: str) -> list[Incident]:
        """All of this alert, in the order of their arrival."""
        with self.project.database.read() as tx:
            ids = tx.execute(sa.select(rows.c.id).where(rows.c.alertname == name).order_by("id"))
            return [incidents.get(tx, number) for number in ids.scalars()]

    def deliveries(self, name: str) -> list[int]:
        """How often each incident of this alert was told."""
        query = sa.select(rows.c.deliveries).where(rows.c.alertname == name).order_by(rows.c.id)
        with self.project.database.read() as tx:
            return list(tx.execute(query).scalars())

    def firing(self, incident: Incident) -> bool:
        with self.project.database.read() as tx:
            return incidents.still_firing(tx, incident.id)

    def opened(self, name: str, count: int = 1) -> list[Incident]:
        """The incidents of this alert once there are so many."""
        eventually(lambda: len(self.incidents(name)) >= count, f"{count} incidents of {name}")
        return self.incidents(name)

    def end(self, incident: Incident) -> None:
        """Let a person end it, so that its alert may open another one."""
        acts.cancel(self.project, incident.id, by="user:test", reason="a test")

    def wait(self, name: str, fits: Callable[[Post], bool] = lambda post: True) -> Post:
        """The first message about this alert that fits."""

        def found() -> list[Post]:
            return [post for post in self.gate.posts[name] if fits(post)]

        eventually(found, f"a message of {name}")
        return found()[0]


def made(root: Path, settings: dict[str, Any]) -> Project:
    return small.project(small.make(root, settings=settings), f"sqlite:///{root}/store.db")


def told(status: str) -> Callable[[Post], bool]:
    """Whether a delivered message has an alert of this status."""

    def fits(post: Post) -> bool:
        return post.delivered and any(a["status"] == status for a in post.content["alerts"])

    return fits


def quiet_for(seconds: float) -> None:
    """Give Alertmanager the time in which it would send something."""
    time.sleep(seconds)
