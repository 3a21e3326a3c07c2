"""What our execution costs, as a multiple of bare `ansible-playbook` on the same play.

All are started in turn, so that a drift of the machine falls on each. Targets: cold 1.05; forked
off a warm process 0.12 without a module, 0.35 with one, 0.55 with four.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from runner.execute.request import RunRequest
from runner.execute.run import run
from runner.execute.warm.client import Warm
from runner.incident import Outcome

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
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


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(folder: Path, name: str, tasks: str, warm: Warm) -> str:
    """One line of the table: medians of `ROUNDS` interleaved rounds."""
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

    for work in (bare, partial(ours, warm), partial(begun, warm), partial(ours, warm)):
        work()
    rounds = [(timed(bare), timed(partial(ours, None)), timed(partial(ours, warm)))
              for _ in range(ROUNDS)]  # fmt: skip
    base = statistics.median(theirs for theirs, _, _ in rounds)
    cold, hot = (statistics.median(each[at] / each[0] for each in rounds) for at in (1, 2))
    return f"{name:14} bare {base * 1000:6.0f} ms   cold {cold:5.2f}   warm {hot:5.2f} x bare"


def begun(warm: Warm) -> None:
    """Return once the warm process listens, which the first run has started."""
    assert warm.folder is not None
    while not (warm.folder / "socket").exists():
        time.sleep(0.1)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        warm = Warm(Path(name), keep=True)
        for play, tasks in PLAYS.items():
            print(compare(Path(name), play, tasks, warm), flush=True)
        warm.close()


if __name__ == "__main__":
    main()
