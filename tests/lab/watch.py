"""Prometheus, Alertmanager and the blackbox exporter in the control namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from tests.lab import layout
from tests.lab.layout import Layout
from tests.lab.shell import LabError, inside

PROMETHEUS = "http://127.0.0.1:9090"
ALERTMANAGER = "http://127.0.0.1:9093"
BLACKBOX = "http://127.0.0.1:9115"
RUNNER = "http://127.0.0.1:9095"
_CONFIGURATION = layout.HERE / "monitoring"
_START_SECONDS = 240.0

_COMMANDS = {
    "prometheus-alertmanager": (
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        f"--web.listen-address={ALERTMANAGER.removeprefix('http://')}",
        "--cluster.listen-address=",
    ),
    "prometheus-blackbox-exporter": (
        "--config.file=blackbox.yml",
        f"--web.listen-address={BLACKBOX.removeprefix('http://')}",
        # Of Prometheus' 900 ms it would keep half a second for itself, and call slow hosts dead.
        "--timeout-offset=0.1",
    ),
    "prometheus": (
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        "--storage.tsdb.retention.time=2h",
        f"--web.listen-address={PROMETHEUS.removeprefix('http://')}",
        "--web.enable-lifecycle",
    ),
}
PROGRAMS = tuple(_COMMANDS)
_READY = (f"{PROMETHEUS}/-/ready", f"{ALERTMANAGER}/-/ready", f"{BLACKBOX}/-/healthy")


def start(lab: Layout, token: str) -> list[subprocess.Popen[bytes]]:
    """Start all three with the files of tests/lab/monitoring, watching nothing yet."""
    shutil.copytree(_CONFIGURATION, lab.monitoring)
    (lab.monitoring / "targets").mkdir()
    (lab.monitoring / "webhook_token").write_text(token)
    return [program(lab, name) for name in _COMMANDS]


def program(lab: Layout, name: str) -> subprocess.Popen[bytes]:
    """Start one of them; it ends with the lab, or when a test ends it."""
    with (lab.monitoring / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            ["nsenter", f"--net={lab.namespace}", name, *_COMMANDS[name]],
            cwd=lab.monitoring,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the lab, which ends them in order
        )


def wait(lab: Layout) -> None:
    """Return when all three are ready. Raises LabError when they are not for long."""
    deadline = time.monotonic() + _START_SECONDS
    with inside(lab.namespace):
        for url in _READY:
            while not _answers(url):
                if time.monotonic() > deadline:
                    raise LabError(f"{url} did not answer; see the logs in {lab.monitoring}")
                time.sleep(0.05)


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def watch(lab: Layout, hosts: Sequence[str]) -> None:
    """Write what Prometheus shall look at: these hosts and nothing else."""
    web = [host for host in hosts if not layout.is_storage(host)]
    _targets(lab, "node", [_target(host, 9100) for host in hosts])
    _targets(lab, "app", [_target(host, 8080) for host in web])
    watch_members(lab, [host for host in hosts if host in layout.MEMBERS])
    _targets(lab, "probe", [probe for host in web for probe in _probes(host)])


def watch_members(lab: Layout, hosts: Sequence[str]) -> None:
    """Write which etcd members Prometheus shall look at, as a service discovery would."""
    _targets(lab, "etcd", [_target(host, 2379) for host in hosts])


def _target(host: str, port: int) -> dict[str, object]:
    return {
        "targets": [f"{layout.ADDRESSES[host]}:{port}"],
        "labels": {"host": f"{host}:{port}"},
    }


def _probes(host: str) -> list[dict[str, object]]:
    address = layout.ADDRESSES[host]
    urls = [
        (f"http://{address}:8080/large", "app", "http"),
        (f"http://{address}/alive", "nginx", "http"),
        (f"https://{address}/alive", "nginx", "https"),
    ]
    asked: list[dict[str, object]] = [
        {"targets": [url], "labels": {"host": host, "service": service, "module": module}}
        for url, service, module in urls
    ]
    return [*asked, {"targets": [address], "labels": {"host": host, "module": "icmp"}}]


def _targets(lab: Layout, name: str, content: list[dict[str, object]]) -> None:
    """Replace a file of targets at once, because Prometheus may be reading it."""
    target = lab.monitoring / "targets" / f"{name}.yml"
    new = target.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n")  # JSON is YAML
    os.replace(new, target)
