"""What our execution costs, as a multiple of bare `ansible-playbook` on the same play.

All are started in turn, so that a drift of the machine falls on each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from bench.measure import Measure, compare, seconds
from runner.execute.request import RunRequest
from runner.execute.run import run
from runner.execute.warm.client import Warm
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
#: Of a fork of the warm process.
GOALS = {"debug": "<= 0.12", "one module": "<= 0.35", "four modules": "<= 0.55"}


def measured(folder: Path, name: str, tasks: str, warm: Warm) -> Iterator[Measure]:
    """One play, bare and by us: as a process of its own, and as a fork of the warm one."""
    inventory, playbook = folder / "hosts.yml", folder / "play.yml"
    inventory.write_text(INVENTORY)
    playbook.write_text(f"- hosts: web1\n  gather_facts: false\n  tasks:\n{tasks}")

    def bare() -> None:
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(program), "-i", str(inventory), "--limit", "web1", str(playbook)]
        subprocess.run(command, check=True, capture_output=True)

    def ours(process: Warm | None) -> None:
        request = RunRequest(
            id=uuid.uuid4().hex,
            entry_id="bench",
            playbook=playbook,
            inventory=(inventory,),
            hosts=("web1",),
            artifacts=folder / "artifacts",
            timeout=timedelta(minutes=1),
        )
        assert run(request, warm=process).outcome is Outcome.NO_CHANGE

    for work in (partial(ours, warm), partial(begun, warm), partial(ours, warm)):
        work()
    for how, process, goal in (("cold", None, "<= 1.05"), ("warm", warm, GOALS[name])):
        yield compare(
            f"run alone, {how}: {name}",
            lambda process=process: seconds(partial(ours, process)),
            "bare playbook",
            lambda: seconds(bare),
            goal=goal,
        )


def begun(warm: Warm) -> None:
    """Return once the warm process listens, which the first run has started."""
    assert warm.folder is not None
    while not (warm.folder / "socket").exists():
        time.sleep(0.1)


def measure() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        warm = Warm(Path(name), keep=True)
        for play, tasks in PLAYS.items():
            yield from measured(Path(name), play, tasks, warm)
        warm.close()
