"""A dry run says what its run then does: each entry on a host of the demo inventory, for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BIN / "supervisord").exists() and not os.environ.get("CI"),
        reason="supervisord is not installed beside Python",
    ),
]

APP = """\
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
SUPERVISORD = """\
[unix_http_server]
file=%(here)s/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
pidfile=%(here)s/supervisord.pid
logfile=%(here)s/supervisord.log
[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock
[program:app]
command={python} app.py
directory=%(here)s/app/current
autorestart=false
stopwaitsecs=1
stdout_logfile=%(here)s/log/app.log
stdout_logfile_maxbytes=0
"""


@dataclass(frozen=True)
class Host:
    """The host web1 of the demo inventory, as a directory with a supervisord of its own."""

    path: Path
    inventory: Path

    def control(self, *words: str) -> str:
        config = str(self.path / "supervisord.conf")
        command = [str(BIN / "supervisorctl"), "-c", config, *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def play(
        self, entry: str, *options: str, **variables: object
    ) -> subprocess.CompletedProcess[str]:
        playbook = str(ROOT / "playbooks" / entry / "playbook.yml")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
        }
        command = [str(BIN / "ansible-playbook"), "-i", str(self.inventory), "--limit", "web1"]
        return subprocess.run(
            [*command, "--diff", *options, "-e", json.dumps(variables), playbook],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    def files(self) -> dict[str, tuple[int, int]]:
        """Size and modification time (ns) of what is there, except what supervisord writes."""
        found = {}
        for path in self.path.rglob("*"):
            if not path.name.startswith("supervisord."):
                state = path.lstat()
                found[str(path)] = (state.st_size, state.st_mtime_ns)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lay_out(host: Path, port: int) -> None:
    for name in ("log", "cache", "data"):
        (host / name).mkdir(parents=True)
    for release in ("v1.8.0", "v1.9.0", "v1.10.0"):
        (host / "app/releases" / release).mkdir(parents=True)
        (host / "app/releases" / release / "app.py").write_text(APP.format(port=port))
    (host / "app/current").symlink_to("releases/v1.10.0")
    (host / "supervisord.conf").write_text(SUPERVISORD.format(python=sys.executable))
    (host / "log/app.log").write_text("line\n" * 300_000)
    for name in ("log/app.log.1.gz", "cache/page.tmp", "data/page.tmp"):
        (host / name).write_text("old")
        os.utime(host / name, (0, 0))


@pytest.fixture
def host() -> Iterator[Host]:
    # Its path is short, because that of a socket in it has about 100 characters at most.
    fleet = Path(tempfile.mkdtemp(prefix="fleet"))
    port = free_port()
    made = Host(fleet / "web1", fleet / "inventory")
    lay_out(made.path, port)
    shutil.copytree(ROOT / "inventories/demo", made.inventory)
    variables = {"demo_fleet": str(fleet), "demo_ports": {"web1": port}}
    (made.inventory / "group_vars/all/fleet.yml").write_text(yaml.safe_dump(variables))
    subprocess.run([BIN / "supervisord", "-c", made.path / "supervisord.conf"], check=True)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield made
    made.control("shutdown")
    shutil.rmtree(fleet, ignore_errors=True)


def changes(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The changed tasks and the lines of their diffs."""
    assert result.returncode == 0, result.stdout + result.stderr
    play, _, _ = result.stdout.partition("PLAY RECAP")
    return re.findall(r"^(?:[+-](?![+-]{2}).*|changed: .*)$", play, re.MULTILINE)


@pytest.mark.parametrize(
    ("entry", "variables"),
    [
        ("rollback_release", {"release_rollback_bad": "v1.10.0"}),
        ("clean_disk", {"disk_space_places": ["rotated_logs", "app_cache"]}),
        ("rotate_logs", {"log_rotation_log": "app"}),
    ],
)
def test_dry_run_changes_nothing_and_foretells_the_run(
    host: Host, entry: str, variables: dict[str, object]
) -> None:
    before, process = host.files(), host.control("pid", "app")

    shown = changes(host.play(entry, "--check", **variables))
    assert (host.files(), host.control("pid", "app")) == (before, process)
    run = changes(host.play(entry, **variables))

    assert shown == run != []
    assert changes(host.play(entry, **variables)) == []
    assert (host.path / "data/page.tmp").exists()


def test_hung_service_is_restarted(host: Host) -> None:
    hung = int(host.control("pid", "app"))
    os.kill(hung, signal.SIGSTOP)

    shown = changes(host.play("restart_service", "--check", service_restart_unit="app"))
    assert int(host.control("pid", "app")) == hung
    run = host.play("restart_service", service_restart_unit="app")

    assert shown == changes(run) != []
    assert int(host.control("pid", "app")) != hung
    assert "healthy: true" in run.stdout


def test_service_that_never_answers_again_is_reported_as_unhealthy(host: Host) -> None:
    for app in host.path.glob("app/releases/*/app.py"):
        app.write_text("import time; time.sleep(600)")
    host.control("signal", "KILL", "app")

    result = host.play(
        "restart_service", service_restart_unit="app", service_restart_settle_retries=1
    )

    assert result.returncode == 2
    assert "does not answer" in result.stdout + result.stderr
    assert "healthy: false" in result.stdout


@pytest.mark.parametrize("unit", ["sshd", "nosuch", "--all", "app\n"])
def test_only_an_allowed_unit_is_restarted(host: Host, unit: str) -> None:
    result = host.play("restart_service", service_restart_unit=unit)

    assert result.returncode == 2
    assert "is not a unit that may be restarted here" in result.stdout + result.stderr


def test_rollback_refuses_a_release_that_is_not_served(host: Host) -> None:
    result = host.play("rollback_release", release_rollback_bad="v2.0.0")

    assert result.returncode == 2
    assert "v2.0.0 is blamed" in result.stdout + result.stderr
    assert os.readlink(host.path / "app/current") == "releases/v1.10.0"


def test_diagnostics_hand_back_the_unit_and_its_log(host: Host) -> None:
    result = host.play("collect_diagnostics", diagnostics_unit="app")

    assert changes(result) == []
    assert "name: RUNNING" in result.stdout
    assert result.stdout.count("- line") == 50
