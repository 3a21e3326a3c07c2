"""Real Prometheus and Alertmanager processes on free loopback ports, as fixtures.

Use them from a test module with `pytest_plugins = ["tests.real_alertmanager"]`
and mark its tests `real`. PYTEST_DONT_REWRITE, because test modules import names
from here before pytest loads the plugin.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

START_SECONDS = 20.0  # a loaded machine is slow to start a process
WAIT_SECONDS = 20.0

QUIET_CONFIG = """
route: {receiver: none, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: none}]
"""


def require(program: str) -> str:
    """The path of `program`; without it the test is skipped, and fails in CI."""
    found = shutil.which(program)
    if found:
        return found
    reason = f"{program} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def eventually(question: Callable[[], Any], what: str) -> Any:
    """The first true answer of `question`; the test fails when there is none for long."""
    deadline = time.monotonic() + WAIT_SECONDS
    pause = threading.Event()
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        pause.wait(0.05)
    pytest.fail(f"{what} did not happen within {WAIT_SECONDS:.0f} s")


class Process:
    """A server of ours: it is ready when this returns."""

    def __init__(self, command: list[str], url: str, log: Path) -> None:
        self.url = url
        self._output = log.open("wb")
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"{command[0]} does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


class RealAlertmanager(Process):
    """One Alertmanager; without a cluster unless `cluster` says how it joins one."""

    def __init__(
        self,
        folder: Path,
        configuration: str = QUIET_CONFIG,
        cluster: tuple[str, ...] = ("--cluster.listen-address=",),
        port: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._started: dict[tuple[tuple[str, str], ...], str] = {}
        (folder / "alertmanager.yml").write_text(configuration)
        port = port or free_port()
        super().__init__(
            [
                require("prometheus-alertmanager"),
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                *cluster,
            ],
            f"http://127.0.0.1:{port}",
            folder / "log",
        )

    def fire(self, starts_at: str | None = None, annotations: Any = None, **labels: str) -> None:
        """Post one alert that began now, or at `starts_at`, and fires for the next hour."""
        now = datetime.now(UTC)
        started = self._started.setdefault(tuple(sorted(labels.items())), now.isoformat())
        times = {"startsAt": starts_at or started, "endsAt": (now + timedelta(hours=1)).isoformat()}
        self.post([{"labels": labels, "annotations": annotations or {}, **times}])

    def resolve(self, **labels: str) -> None:
        """Post that the alert ended just now."""
        now = datetime.now(UTC).isoformat()
        # Without startsAt Alertmanager takes endsAt for it.
        started = self._started.pop(tuple(sorted(labels.items())), now)
        self.post([{"labels": labels, "startsAt": started, "endsAt": now}])

    def post(self, alerts: list[dict[str, Any]]) -> None:
        """Post alerts as the API takes them."""
        self._post("alerts", alerts)

    def silence(self, **labels: str) -> str:
        """Silence what has these labels; the id of the silence."""
        now = datetime.now(UTC)
        answer = self._post(
            "silences",
            {
                "matchers": [
                    {"name": name, "value": value, "isRegex": False, "isEqual": True}
                    for name, value in labels.items()
                ],
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
                "createdBy": "test",
                "comment": "test",
            },
        )
        return str(answer["silenceID"])

    def alerts(self) -> list[dict[str, Any]]:
        """Everything that the API has, silenced and inhibited included."""
        found = httpx.get(f"{self.url}/api/v2/alerts", trust_env=False).json()
        assert isinstance(found, list)
        return found

    def _post(self, what: str, content: Any) -> Any:
        answer = httpx.post(f"{self.url}/api/v2/{what}", json=content, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


class RealPrometheus(Process):
    """One Prometheus that scrapes one target every second, whose text a test may set."""

    def __init__(
        self, folder: Path, target: Target, rules: str = "", alertmanager: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        configuration: dict[str, Any] = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "900ms",
                "evaluation_interval": "1s",
            },
            "scrape_configs": [
                {"job_name": "test", "static_configs": [{"targets": [target.address]}]}
            ],
            "rule_files": [f"{folder}/rules.yml"],
        }
        if alertmanager:
            targets = [alertmanager.removeprefix("http://")]
            configuration["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": targets}]}]
            }
        (folder / "rules.yml").write_text(rules or "groups: []")
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        self.target = target
        super().__init__(
            [
                require("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            f"http://127.0.0.1:{port}",
            folder / "log",
        )

    def expose(self, text: str) -> None:
        """What the target shows from the next scrape on."""
        self.target.text = text

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The series of an instant query, as the API gives them."""
        answer = httpx.get(
            f"{self.url}/api/v1/query", params={"query": promql}, trust_env=False
        ).json()
        found = answer["data"]["result"]
        assert isinstance(found, list)
        return found

    def wait_for(self, promql: str) -> list[dict[str, Any]]:
        """The series of `promql` once there is one."""
        found = eventually(lambda: self.query(promql), f"a sample of {promql}")
        assert isinstance(found, list)
        return found


class _Server:
    """A small HTTP server in a thread."""

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Target(_Server):
    """An exporter that shows `text`."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = target.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)


class Sink(_Server):
    """A webhook receiver that keeps every body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._arrived = threading.Condition()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with sink._arrived:
                    sink.bodies.append(body)
                    sink._arrived.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)

    def wait(self, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> bytes:
        """The first body that fits, now or when it arrives."""

        def fitting() -> list[bytes]:
            return [body for body in self.bodies if fits(json.loads(body))]

        with self._arrived:
            assert self._arrived.wait_for(fitting, WAIT_SECONDS), "no such body arrived"
            return fitting()[0]


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A webhook receiver that keeps every body."""
    one = Sink()
    yield one
    one.stop()


@pytest.fixture
def start_alertmanager(tmp_path: Path) -> Iterator[Callable[..., RealAlertmanager]]:
    """A function (configuration text) that starts one more Alertmanager."""
    started: list[RealAlertmanager] = []

    def start(configuration: str = QUIET_CONFIG) -> RealAlertmanager:
        folder = tmp_path / f"alertmanager{len(started)}"
        started.append(RealAlertmanager(folder, configuration))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def alertmanager(start_alertmanager: Callable[..., RealAlertmanager]) -> RealAlertmanager:
    """An Alertmanager that notifies nobody."""
    return start_alertmanager()


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[..., RealPrometheus]]:
    """A function (text, rules, alertmanager) that starts one more Prometheus."""
    started: list[RealPrometheus] = []

    def start(text: str = "", rules: str = "", alertmanager: str | None = None) -> RealPrometheus:
        require("prometheus")
        folder = tmp_path / f"prometheus{len(started)}"
        started.append(RealPrometheus(folder, Target(text), rules, alertmanager))
        return started[-1]

    yield start
    for one in started:
        one.stop()
        one.target.stop()


@pytest.fixture
def prometheus(start_prometheus: Callable[..., RealPrometheus]) -> RealPrometheus:
    """A Prometheus without rules; `prometheus.expose` sets what it scrapes."""
    return start_prometheus()
