"""From an alert to its verified fix through the real server, beside the bare playbook.

Hosts are this machine, by a local connection or by SSH into a network namespace of the bench.
"""

from __future__ import annotations

import itertools
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import rulebook
from bench.measure import Measure, compare, seconds
from tests import small_project as small
from tests.reliability.ssh_host import SshHost

BIN = Path(sys.executable).parent
STORM = int(os.environ.get("BENCH_STORM", "30"))
DEADLINE = 900.0
LOCAL: Mapping[str, Any] = small.INVENTORY["all"]["vars"]  # type: ignore[assignment]


def measure() -> Iterator[Measure]:
    full = "full incident (dry run, run, verification)"
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as name, _by_ssh(Path(name)) as site:
            yield compare(f"{full}, SSH", site.incident, "bare playbook", site.bare, goal="<= 1.5")
    else:
        yield Measure(name=f"{full}, SSH", value=None, goal="<= 1.5", note="needs root")
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as site:
        yield compare(f"{full}, local", site.incident, "bare playbook", site.bare, goal="<= 1.5")
        alone = min(site.incident() for _ in range(2))
        first, rate = site.storm()
        yield Measure(
            name=f"storm of {STORM}: the first fix",
            value=first / alone,
            control="one incident",
            goal="<= 3",
        )
        yield Measure(
            name=f"storm of {STORM}: rate",
            value=rate * seconds(site.bare),
            control="bare playbooks, one after the other",
            goal=">= 1.2",
        )
        if (command := rulebook.program()) is None:
            yield Measure(name="ansible-rulebook", value=None, goal="", note="not installed")
            return
        with rulebook.listening(command, Path(name, "rulebook"), STORM) as other:
            yield compare(f"{full}, local", site.incident, "ansible-rulebook", other.one, goal="")
            yield Measure(
                name=f"storm of {STORM}: rate",
                value=rate * other.several(STORM) / STORM,
                control="ansible-rulebook",
                goal=">= 1.2",
            )


class Site:
    """A server at work, and a look into its store."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.url = url
        self._numbers = itertools.count()

    def bare(self) -> float:
        """Seconds of the same playbook without us."""
        command: list[str | Path] = [
            BIN / "ansible-playbook",
            "-i",
            self._folder / "inventory",
            "--limit",
            "web0",
            "-e",
            f"mark_text=bare{next(self._numbers)}",
            self._folder / "playbooks/mark/playbook.yml",
        ]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(self._folder / "roles")}
        return seconds(
            lambda: subprocess.run(command, check=True, capture_output=True, env=environment)
        )

    def incident(self) -> float:
        """Seconds from the alert to its verified fix."""
        began = time.perf_counter()
        after = self._send(["web0"])
        self._wait(after, 1)
        return time.perf_counter() - began

    def storm(self) -> tuple[float, float]:
        """(seconds to the first fix, fixes a second)."""
        began = time.perf_counter()
        after = self._send([f"web{n}" for n in range(STORM)])
        self._wait(after, 1)
        first = time.perf_counter() - began
        self._wait(after, STORM)
        return first, STORM / (time.perf_counter() - began)

    def _send(self, hosts: list[str]) -> int:
        """The newest incident before this message."""
        with closing(self._store()) as store:
            (newest,) = store.execute("select coalesce(max(id), 0) from incidents").fetchone()
        alerts = [small.alert("Down", host, service=f"s{next(self._numbers)}") for host in hosts]
        answer = httpx.post(
            f"{self.url}/api/v1/alerts", content=small.body(*alerts), headers=JSON, timeout=60
        )
        answer.raise_for_status()
        return int(newest)

    def _wait(self, after: int, wanted: int) -> None:
        until = time.monotonic() + DEADLINE
        with closing(self._store()) as store:
            while True:
                rows = store.execute(
                    "select state, reason from incidents where id > ?", (after,)
                ).fetchall()
                states = [state for state, _ in rows]
                if states.count("fixed") >= wanted:
                    return
                if lost := [row for row in rows if row[0] in ("escalated", "suppressed")]:
                    raise SystemExit(f"bench: an incident was not fixed: {lost[0]}")
                if time.monotonic() > until:
                    raise SystemExit(f"bench: after {DEADLINE:.0f} s only {states}")
                time.sleep(0.02)

    def _store(self) -> sqlite3.Connection:
        return sqlite3.connect(self._folder / "var/runner.db", timeout=30)


JSON = {"Content-Type": "application/json"}


@contextmanager
def _by_ssh(folder: Path) -> Iterator[Site]:
    """One whose host is a network namespace with an sshd in it."""
    (folder / "sshd").mkdir()
    host = SshHost(folder / "sshd")
    try:
        with serving(folder / "site", host.variables()) as site:
            yield site
    finally:
        host.close()


@contextmanager
def serving(folder: Path, variables: Mapping[str, object] = LOCAL) -> Iterator[Site]:
    """`runner serve` on hosts with these variables, for the time of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts: dict[str, object] = {f"web{n}": {} for n in range(STORM)}
    everything = {"vars": dict(variables), "hosts": hosts}
    path = small.make(
        folder,
        inventory={"all": everything},
        settings={
            "listen": {"allow_anonymous": True, "port": port},
            "store": {"url": "sqlite:///var/runner.db"},
            "execution": {"warm": True},  # as a project has it that says nothing
            # A storm is to be worked off, not held back.
            "policy": {"min_fidelity": 0, "max_runs": "1000/1h"},
        },
    )
    log = (folder / "log").open("wb")
    server = subprocess.Popen([BIN / "runner", "-c", path, "serve"], stdout=log, stderr=log)
    site = Site(folder, f"http://127.0.0.1:{port}")
    try:
        _await(site, server)
        yield site
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _await(site: Site, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("bench: the server did not start")
        try:
            if httpx.get(f"{site.url}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit("bench: the server is not ready after a minute")
