"""Real Ansible on this machine: an inventory of three local hosts, and requests for it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

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
