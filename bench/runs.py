"""What our execution costs, as a multiple of bare `ansible-playbook` on the same play.

Both are started in turn, so that a drift of the machine falls on both. The target is 1.05.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bench.measure import Measure, compare, seconds
from runner.execute.request import RunRequest
from runner.execute.run import run
from runner.incident import Outcome

INVENTORY = """\
all:
  hosts:
    web1:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""
MODULE = "    - name: Ping {n}\n      ansible.builtin.ping:\n"
PLAYS = {
    "debug": "    - name: Say\n      ansible.builtin.debug: {msg: hello}\n",
    "one module": MODULE.format(n=1),
    "four modules": "".join(MODULE.format(n=n) for n in range(4)),
}


def measured(folder: Path, name: str, tasks: str) -> Measure:
    """One play, bare and by us."""
    inventory, playbook = folder / "hosts.yml", folder / "play.yml"
    inventory.write_text(INVENTORY)
    playbook.write_text(f"- hosts: web1\n  gather_facts: false\n  tasks:\n{tasks}")

    def bare() -> None:
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(program), "-i", str(inventory), "--limit", "web1", str(playbook)]
        subprocess.run(command, check=True, capture_output=True)

    def ours() -> None:
        request = RunRequest(
            id=uuid.uuid4().hex,
            entry_id="bench",
            playbook=playbook,
            inventory=(inventory,),
            hosts=("web1",),
            artifacts=folder / "artifacts",
            timeout=timedelta(minutes=1),
        )
        assert run(request).outcome is Outcome.NO_CHANGE

    return compare(
        f"run alone: {name}",
        lambda: seconds(ours),
        "bare playbook",
        lambda: seconds(bare),
        goal="<= 1.05",
    )


def measure() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        for play, tasks in PLAYS.items():
            yield measured(Path(name), play, tasks)
