"""Random `kill -9` under live webhooks: what was acknowledged is there, nothing ran twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from runner.incident import State
from runner.store.tables import incidents, runs
from tests import small_project as small
from tests.acceptance.service_lab import REPOSITORY, soon
from tests.real_alertmanager import free_port
from tests.reliability.record import Injected

pytestmark = [pytest.mark.real, pytest.mark.slow]

#: Cheap kills of the intake, for "nothing is lost"; and of a runner that runs real plays. The
#: first number where the page is written.
INTAKE_KILLS, RUN_KILLS = (260, 40), (16, 6)
SENDERS = 3
ALERTS = (12, 5)  #: with a real play each
HOSTS = ("web1", "web2", "db1")
ENTRY = {"dry_run": "none", "limits": {"cooldown": "0s", "timeout": "60s", "max_runs": "1000/1h"}}
SETTINGS = {
    "correlation": {"same_host": False, "topology": "runner_nothing"},
    "policy": {"max_runs": "1000/1h", "min_fidelity": 0},
    "store": {"url": "sqlite:///store.db"},
}

#: The play itself counts: a line for each run, with what the alert was about.
RAN = "echo {{{{ mark_text | quote }}}} >> {root}/ran; sleep 0.5"


class Victim:
    """A process that is started again after each kill, on the same port and store."""

    def __init__(self, config: Path, *how: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.reliability.intake", str(config), str(self.port)]
        self._process = subprocess.Popen(
            [*command, *how], cwd=REPOSITORY, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        self._pid = 0

    def start(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._pid = int(self._process.stdout.readline())

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process.stdout is not None
        os.kill(self._pid, signal.SIGKILL)
        assert self._process.stdout.readline() == "ended\n"

    def close(self) -> None:
        self._process.communicate()


class Senders:
    """Post alerts without a pause, each until it is acknowledged, as Alertmanager does."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/alerts"
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self, more: int) -> None:
        """Until so many more were acknowledged; a second at most."""
        wanted, until = len(self.acknowledged) + more, time.monotonic() + 1
        while len(self.acknowledged) < wanted and time.monotonic() < until:
            time.sleep(0.001)

    def _send(self, sender: int) -> None:
        number = 0
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._stop.is_set():
                name = f"{sender}-{number}"
                if self._taken(client, small.body(small.alert("Untouched", service=name))):
                    self.acknowledged.append(name)
                    number += 1

    def _taken(self, client: httpx.Client, body: bytes) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            answer = client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError:
            self._stop.wait(0.01)
            return False
        if not answer.is_success:
            self.refused[str(answer.status_code)] += 1
        return answer.is_success


@contextmanager
def victim(config: Path, *how: str) -> Iterator[Victim]:
    made = Victim(config, *how)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.fault("kill_intake")
def test_no_acknowledged_alert_is_lost(tmp_path: Path, fault: Injected) -> None:
    """Invariant 1: `kill -9` at random moments, hundreds of times, while alerts pour in."""
    config = small.make(tmp_path, settings=SETTINGS)
    chance = random.Random(20)
    with victim(config) as process:
        with Senders(process.port) as senders:
            for _ in range(fault.times(*INTAKE_KILLS)):
                process.start()
                senders.wait(chance.randint(0, 3))
                time.sleep(chance.uniform(0.0, 0.02))
                process.kill()
                fault.failure()
        process.start()  # whatever was stored and not looked at is looked at now
        project = small.project(config)
        soon(lambda: waiting(project) == 0, "every delivery is looked at", 240)
        process.kill()
    told = incidents_of(project)
    assert len(senders.acknowledged) >= fault.injected // 4, senders.refused
    fault.alerts(len(senders.acknowledged), sum(name in told for name in senders.acknowledged))
    fault.saw("alerts acknowledged", len(senders.acknowledged))
    fault.saw("incidents opened twice", sum(number - 1 for number in told.values()))
    assert max(told.values()) == 1 and not senders.refused
    project.close()


def waiting(project: Any) -> int:
    from runner.store import deliveries

    with project.database.read() as tx:
        return deliveries.waiting(tx)


def incidents_of(project: Any) -> Counter[str]:
    """How many incidents there are of each service."""
    with project.database.read() as tx:
        return Counter(
            row["labels"]["service"] for row in tx.execute(sa.select(incidents.c.alert)).scalars()
        )


@pytest.mark.fault("kill_random")
def test_no_playbook_runs_twice(tmp_path: Path, fault: Injected) -> None:
    """Invariants 1, 2 and 3: the whole runner is killed at random, among real plays."""
    extra = RAN.format(root=tmp_path)
    config = small.make(tmp_path, settings=SETTINGS, entry=ENTRY, extra=extra)
    chance = random.Random(21)
    told = [f"shop-{number}" for number in range(fault.times(*ALERTS))]
    with victim(config, "work") as process:
        project = small.project(config)
        for kill in range(fault.times(*RUN_KILLS)):
            process.start()
            if kill < len(told):
                post(process.port, told[kill], HOSTS[kill % 3])
            time.sleep(chance.uniform(0.1, 2.0))
            process.kill()
            fault.failure()
        process.start()
        soon(lambda: ended(project) == len(told), "every incident ends", 300)
        process.kill()
    states = states_of(project)
    ran = Counter((tmp_path / "ran").read_text().split())
    fault.alerts(told=len(told), found=len(states))
    fault.runs(*ran.values())
    fault.ended(*states)
    fault.wrong += sum(
        1 for name, state in by_name(project).items() if state == State.FIXED and not ran[name]
    )
    alone(project)
    project.close()


def post(port: int, service: str, host: str) -> None:
    """Told once, and acknowledged: it is the runner's from here on."""
    body = small.body(small.alert(service=service, host=host))
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/v1/alerts"
    answer = httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text


def by_name(project: Any) -> dict[str, str]:
    """Service → state."""
    with project.database.read() as tx:
        found = tx.execute(sa.select(incidents.c.alert, incidents.c.state))
        return {row.alert["labels"]["service"]: row.state for row in found}


def states_of(project: Any) -> list[str]:
    return list(by_name(project).values())


def ended(project: Any) -> int:
    return sum(State(state).ended for state in states_of(project))


def alone(project: Any) -> None:
    """Invariant 3: no two runs on one host overlap."""
    with project.database.read() as tx:
        every = tx.execute(sa.select(runs.c.hosts, runs.c.started_at, runs.c.ended_at)).all()
    for host in HOSTS:
        of_host = sorted((r for r in every if host in r.hosts), key=lambda row: row.started_at)
        for before, after in pairwise(of_host):
            assert before.ended_at is not None and before.ended_at <= after.started_at
