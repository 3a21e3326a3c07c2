"""What the shipped roles cost, as a multiple of a bare play that does only the deed itself.

`restart_service` is held against a play that only restarts, the probe against a single ping. All
are plain `ansible-playbook` on this machine, in turn, with a systemctl of its own. The waiting for
a restarted unit to fall over again is left out: it is as long as it is set.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import ROUNDS, Measure
from runner import shipped

SYSTEMCTL = """\
#!/bin/sh
for word; do
  case "$word" in
    show) printf 'LoadState=loaded\\nSubState=x\\nMainPID=42\\n'; cat {state};;
    restart) echo ActiveState=active > {state};;
  esac
done
"""
PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.{task}\n"
#: Name → the shipped entry, its variables, and the one task that it is held against.
MEASURED = {
    "restart_service": (
        "restart_service",
        {"service_restart_unit": "app", "service_restart_settle_seconds": 0},
        "systemd_service: {name: app, state: restarted}",
    ),
    "probe": ("collect_diagnostics", {"diagnostics_unit": "app"}, "ping:"),
}


def measure() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        for name, (entry, variables, task) in MEASURED.items():
            yield from measured(Path(folder), name, entry, variables, task)


def measured(
    folder: Path, name: str, entry: str, variables: dict[str, object], task: str
) -> Iterator[Measure]:
    """Time and CPU of the entry's play divided by those of the bare one, medians of all rounds."""
    bare = folder / "bare.yml"
    bare.write_text(PLAY.format(task=task))
    own = shipped.playbooks() / entry / "playbook.yml"
    rounds = [(run(folder, bare, {}), run(folder, own, variables)) for _ in range(ROUNDS)]
    for at, what in enumerate(("time", "CPU")):
        ratio = statistics.median(ours[at] / theirs[at] for theirs, ours in rounds)
        yield Measure(
            name=f"{name}: {what}", value=ratio, goal="<= 1.5", control=f"a play of {task}"
        )


def run(folder: Path, playbook: Path, variables: dict[str, object]) -> tuple[float, float]:
    """(seconds, CPU seconds) of one run on a unit that has failed."""
    (folder / "state").write_text("ActiveState=failed\n")
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL.format(state=folder / "state"))
    program.chmod(0o755)
    host = {"ansible_connection": "local", "ansible_become": False}
    host["ansible_python_interpreter"] = sys.executable
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"here": host}}}))
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8",
        "ANSIBLE_PIPELINING": "true", "ANSIBLE_COLLECTIONS_PATH": str(shipped.collections()),
    }  # fmt: skip
    program = Path(sys.executable).parent / "ansible-playbook"
    command = [program, "-i", folder / "hosts.json", playbook, "-e", json.dumps(variables)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, cpu
