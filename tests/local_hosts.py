"""Real Ansible on this machine: an inventory of three local hosts, and requests for it."""

from __future__ import annotations

import os
import random
import shutil
import sys
import textwrap
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.execute.request import RunRequest, RunResult
from runner.execute.run import run

_HOST = "{ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'}"
INVENTORY = "all:\n  hosts:\n" + "".join(f"    {n}: {_HOST}\n" for n in ("web1", "web2", "web3"))

_missing = not shutil.which("ansible-playbook", path=f"{os.path.dirname(sys.executable)}:/usr/bin")
needs_ansible = [
    pytest.mark.real,
    pytest.mark.skipif(
        _missing and not os.environ.get("CI"), reason="ansible-playbook is not installed"
    ),
]


class Lab:
    """One folder with an inventory; makes playbooks and requests in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = self.write("hosts.yml", INVENTORY)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def play(self, tasks: str, *, hosts: str = "all") -> Path:
        """A playbook of one play with `tasks` as its task list."""
        head = f"- hosts: {hosts}\n  gather_facts: false\n  tasks:\n"
        body = textwrap.indent(textwrap.dedent(tasks).strip("\n"), "    ")
        return self.write(f"{uuid.uuid4().hex}.yml", head + body + "\n")

    def request(self, playbook: Path, **given: Any) -> RunRequest:
        values: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "entry_id": "lab",
            "playbook": playbook,
            "inventory": (self.inventory,),
            "hosts": ("web1",),
            "artifacts": self.folder / "artifacts",
            "timeout": timedelta(seconds=60),
            "grace": timedelta(seconds=0.5),
        }
        return RunRequest(**values | given)

    def run(self, tasks: str, **given: Any) -> RunResult:
        """Run `tasks` on web1, or as `given` says."""
        return run(self.request(self.play(tasks), **given))

    def sleeping(self, seconds: int) -> tuple[str, Path]:
        """Tasks that leave sleepers of every kind, make a mark, and sleep; and the mark."""
        mark = self.folder / f"mark-{seconds}"
        tasks = f"""
        - ansible.builtin.command: sleep {seconds}
          async: 1000
          poll: 0
        - ansible.builtin.shell: env -i setsid sleep {seconds} </dev/null >/dev/null 2>&1 &
        - ansible.builtin.shell: trap '' TERM; touch {mark}; sleep {seconds}; true
        """
        return tasks, mark


def number() -> int:
    """An unusual number of seconds, by which a sleeper is found."""
    return random.randrange(10_000, 1_000_000)


def sleepers(seconds: int) -> list[psutil.Process]:
    """Living processes whose command line names this unusual number of seconds."""
    found = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    return [p for p in found if f"sleep {seconds}" in " ".join(p.info["cmdline"])]
