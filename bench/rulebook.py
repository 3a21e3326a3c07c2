"""The same playbook by ansible-rulebook, where it is installed: from an event to its end.

It neither diagnoses nor dry-runs nor verifies, so this is what the whole path is measured against.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import small_project as small

DEADLINE = 600.0
PLAYBOOK = small.PLAYBOOK.replace("hosts: all", 'hosts: "{{ where }}"')


def program() -> str | None:
    """The command, or None: on the PATH, or what BENCH_RULEBOOK names."""
    return shutil.which(os.environ.get("BENCH_RULEBOOK", "ansible-rulebook"))


class Rulebook:
    """One that listens, and a look at what its playbooks did."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._sent = 0

    def one(self) -> float:
        """Seconds from an event to the end of its playbook."""
        return self.several(1)

    def several(self, count: int) -> float:
        """Seconds from events, each for a host of its own, to the end of all their playbooks."""
        began, before = time.perf_counter(), self._ran()
        for number in range(count):
            self._sent += 1
            event = {"where": f"web{number}", "text": f"s{self._sent}"}
            httpx.post(self._url, json=event, timeout=60).raise_for_status()
        until = time.monotonic() + DEADLINE
        while self._ran() < before + count:
            if time.monotonic() > until:
                raise SystemExit("bench: ansible-rulebook does not finish its playbooks")
            time.sleep(0.02)
        return time.perf_counter() - began

    def _ran(self) -> int:
        return sum(len(file.read_text().split()) for file in self._folder.glob("count-*"))


@contextmanager
def listening(command: str, folder: Path, hosts: int) -> Iterator[Rulebook]:
    """`ansible-rulebook` with one rule that runs the small project's playbook, in parallel."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = small.INVENTORY["all"]["vars"]
    inventory = {"all": {"vars": variables, "hosts": {f"web{n}": {} for n in range(hosts)}}}
    small.make(folder, inventory=inventory)
    (folder / "playbook.yml").write_text(PLAYBOOK)
    action = {
        "name": str(folder / "playbook.yml"),
        "extra_vars": {
            "where": "{{ event.payload.where }}",
            "mark_text": "{{ event.payload.text }}",
        },
    }
    source = {"eda.builtin.webhook": {"host": "127.0.0.1", "port": port}}
    rule = {
        "name": "Mark",
        "condition": "event.payload.where is defined",
        "action": {"run_playbook": action},
    }
    ruleset = {
        "name": "Alerts",
        "hosts": "all",
        "execution_strategy": "parallel",
        "sources": [source],
        "rules": [rule],
    }
    (folder / "rulebook.yml").write_text(json.dumps([ruleset]))
    log = (folder / "log").open("wb")
    words = [command, "-r", folder / "rulebook.yml", "-i", folder / "inventory/hosts.yml"]
    environment = os.environ | {"ANSIBLE_ROLES_PATH": str(folder / "roles")}
    process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _await(process, port)
        yield Rulebook(folder, f"http://127.0.0.1:{port}/endpoint")
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("bench: ansible-rulebook did not start")
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("bench: ansible-rulebook does not listen after a minute")
