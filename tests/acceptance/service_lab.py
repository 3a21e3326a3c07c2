"""A real service under supervisord, watched by a real Prometheus and Alertmanager, and `serve`.

web1 is supervised and can be killed; web2 and web3 are plain servers that stay up, so that
the inventory's `runner_min_available: 2` holds. All of it is on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from runner import config, shipped
from runner.incident import Purpose
from runner.incident_report import Bundle
from runner.project import Project
from tests import small_project as small
from tests.real_alertmanager import Process, RealAlertmanager, Target, free_port, require

REPOSITORY = Path(__file__).parents[2]
TOKEN = "a-token-of-the-test"
SERVE = "from runner.cli import main; main()"

APP = """\
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"app_is_here 1\\n")
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

SUPERVISORD = """\
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
pidfile=%(here)s/supervisord.pid
logfile=%(here)s/supervisord.log
childlogdir=%(here)s
[supervisorctl]
serverurl=unix://{socket}
[program:app]
command={python} -I %(here)s/app.py {port}
autorestart=false
startsecs=0
stopwaitsecs=2
redirect_stderr=true
stdout_logfile=%(here)s/app.log
"""

ALERTMANAGER = """\
route: {{receiver: runner, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s,
  repeat_interval: 1h}}
receivers:
  - name: runner
    webhook_configs:
      - url: http://127.0.0.1:{port}/api/v1/alerts
        max_alerts: 0
        http_config: {{authorization: {{credentials_file: {token}}}}}
"""


class Service:
    """web1's program `app`, kept by a supervisord that does not bring it back."""

    def __init__(self, fleet: Path) -> None:
        require("ps")
        self.folder = fleet / "web1"
        self.folder.mkdir(parents=True)
        self.port = free_port()
        # A path of its own: the system takes no long one for a socket.
        self._socket = Path("/tmp") / f"runner-app-{os.getpid()}-{self.port}.sock"
        (self.folder / "app.py").write_text(APP)
        text = SUPERVISORD.format(socket=self._socket, python=sys.executable, port=self.port)
        (self.folder / "supervisord.conf").write_text(text)
        program = Path(sys.executable).with_name("supervisord")
        self._process = subprocess.Popen(
            [program, "-c", self.folder / "supervisord.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait(up=True)

    @property
    def up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def wait(self, *, up: bool) -> None:
        soon(lambda: self.up is up, f"the service is {'up' if up else 'down'}")

    def kill(self) -> None:
        """As a segmentation fault or the out-of-memory killer would."""
        control = Path(sys.executable).with_name("supervisorctl")
        command = [control, "-c", self.folder / "supervisord.conf", "pid", "app"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        os.kill(int(found.stdout), signal.SIGKILL)
        self.wait(up=False)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._socket.unlink(missing_ok=True)


class Prometheus(Process):
    """One that scrapes every host each second and tells an Alertmanager at once."""

    def __init__(self, folder: Path, ports: Mapping[str, int], expr: str, alertmanager: str):
        folder.mkdir()
        jobs = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": f"{host}:{port}"}}
            for host, port in ports.items()
        ]
        every = {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"}
        target = alertmanager.removeprefix("http://")
        settings = {
            "global": every,
            "scrape_configs": [{"job_name": "app", "static_configs": jobs}],
            "rule_files": [f"{folder}/rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]},
        }
        rule = {
            "alert": "ServiceDown",
            "expr": expr,
            "labels": {"service": "app", "severity": "page"},
            "annotations": {"summary": "{{ $labels.instance }} does not answer"},
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}))
        port = free_port()
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


class Lab:
    """Everything of one test; `close` ends it."""

    def __init__(self, root: Path, expr: str = 'up{job="app"} == 0', measure_bare: int = 0) -> None:
        """`measure_bare`: so often the bare play is timed, before anybody watches the service."""
        self.root = root
        self._closing: list[Callable[[], None]] = []
        self.service = Service(root / "fleet")
        self._closing.append(self.service.stop)
        others = {name: Target("app_is_here 1\n") for name in ("web2", "web3")}
        self._closing += [target.stop for target in others.values()]
        ports = {name: int(target.address.split(":")[1]) for name, target in others.items()}
        self.ports = {"web1": self.service.port, **ports}
        self.port = free_port()
        self._copy_project()
        self.bare = [self._bare() for _ in range(measure_bare)]
        token = root / "token"
        token.write_text(TOKEN)
        text = ALERTMANAGER.format(port=self.port, token=token)
        self.alertmanager = RealAlertmanager(root / "alertmanager", text)
        self._closing.append(self.alertmanager.stop)
        self.prometheus = Prometheus(root / "prometheus", self.ports, expr, self.alertmanager.url)
        self._closing.append(self.prometheus.stop)

    def _copy_project(self) -> None:
        ignored = shutil.ignore_patterns("__pycache__", "molecule")
        for name in ("playbooks", "inventories/demo"):
            shutil.copytree(REPOSITORY / name, self.root / name, ignore=ignored)
        shutil.copy(REPOSITORY / "ansible.cfg", self.root)
        values = {"demo_fleet": str(self.root / "fleet"), "demo_ports": self.ports}
        target = self.root / "inventories/demo/group_vars/all/fleet.yml"
        target.write_text(json.dumps(values))

    def entry(self, **verify: Any) -> None:
        """Change how the shipped `restart_service` is verified: its hold is made for production."""
        path = self.root / "playbooks/restart_service/entry.yml"
        content = yaml.safe_load(path.read_text())
        content["verify"] |= verify
        path.write_text(json.dumps(content))

    def settings(self, **settings: Any) -> Path:
        """Write runner.yml; its path."""
        everything = {
            "level": "auto",
            "environment": "test",
            "project": {"inventory": ["inventories/demo"]},
            "listen": {"port": self.port, "auth": {"bearer_token_file": "token"}},
            "prometheus": {"url": self.prometheus.url},
            "alertmanagers": [{"url": self.alertmanager.url}],
            "verification": {"poll": "500ms"},
            "notify": {"console": False},
        }
        path = self.root / "runner.yml"
        path.write_text(json.dumps(everything | settings))
        return path

    def serve(self) -> Project:
        """Start `runner serve`; a project that looks into its store."""
        log = (self.root / "runner.log").open("wb")
        self._closing.append(log.close)
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "-c", str(self.root / "runner.yml"), "serve"],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._closing.append(lambda: end(process))
        soon(lambda: self._answers(process), "`runner serve` answers")
        project = Project(config.load(self.root / "runner.yml"))
        self._closing.append(project.close)
        return project

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            pytest.fail((self.root / "runner.log").read_text()[-3000:])
        try:
            url = f"http://127.0.0.1:{self.port}/healthz"
            return httpx.get(url, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _bare(self) -> float:
        """Seconds that `ansible-playbook` itself takes to heal the killed service."""
        variables = json.dumps({"service_restart_unit": "app"})
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "playbooks/restart_service/playbook.yml",
            "-i", "inventories/demo", "--limit", "web1", "-e", variables,
        ]  # fmt: skip
        self.service.kill()
        begun = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.root,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(shipped.collections()),
            },
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - begun
        assert done.returncode == 0 and self.service.up, done.stdout[-2000:] + done.stderr[-2000:]
        return took

    def close(self) -> None:
        for close in reversed(self._closing):
            close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process of ours as its service manager would."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def soon(question: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    """Wait until `question` is true; fails naming `what`."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            pytest.fail(f"it did not come to this: {what}")
        time.sleep(0.05)


def nothing_ran(found: Bundle) -> bool:
    """Whether no run of the incident was more than check mode."""
    return all(run.purpose.check or run.purpose is Purpose.PROBE for run in found.runs)


@contextmanager
def lab(root: Path, **options: Any) -> Iterator[Lab]:
    """A lab for the time of a test."""
    made = Lab(root, **options)
    try:
        yield made
    finally:
        made.close()


__all__ = ["REPOSITORY", "SERVE", "TOKEN", "Lab", "end", "lab", "nothing_ran", "small", "soon"]
