"""The whole path: an alert that arrives until its playbook is done, as a multiple of that playbook.

A dry run and a run at `auto`, of a role of one task on a local host, by a daemon in this process:
without the warm process, with it, and `ansible-playbook` alone. All in turn, so that a drift of
the machine falls on each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import Measure, compare, seconds
from runner.daemon import Daemon
from runner.project import Project
from tests import small_project as small

TASKS = """\
- name: Write the text
  ansible.builtin.lineinfile:
    path: "{root}/marked"
    regexp: "^"
    line: "{{{{ mark_text }}}} {{{{ 99999 | random }}}}"
    create: true
    mode: "0600"
- name: Report
  ansible.builtin.set_stats: {{data: {{remediation: {{marked: true}}}}, per_host: false}}
"""


class Working:
    """A daemon on a small project."""

    def __init__(self, root: Path) -> None:
        settings = {
            "correlation": {"same_host": False},
            "execution": {"warm": True},
            "policy": {"min_fidelity": 0, "max_runs": "99/1h"},
        }
        entry: dict[str, Any] = {"dry_run": "required", "limits": {"cooldown": "0s"}}
        path = small.make(root, settings=settings, entry=entry)
        (root / "roles/mark/tasks/main.yml").write_text(TASKS.format(root=root))
        self.project: Project = small.project(path)
        warm = self.project.warm
        assert warm is not None
        warm.keep = True
        self.warm = warm
        self.daemon = Daemon(self.project)
        self.daemon.start()
        self._count = 0

    def heal(self, *, warm: bool = True) -> None:
        """One incident, from its alert to its end."""
        self.project.__dict__["warm"] = self.warm if warm else None
        self._count += 1
        small.deliver(self.project, small.alert(number=str(self._count)))
        found = small.wait(self.project, self._count)
        assert found.incident.state == "fixed", found.transitions[-1]

    def close(self) -> None:
        self.project.__dict__["warm"] = self.warm
        self.daemon.stop()
        self.project.close()


def bare(root: Path) -> None:
    """The same role by itself."""
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [program, "-i", "inventory", "-e", "mark_text=x", "-l", "web1"]
    environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(root / "roles")}
    subprocess.run(
        [*map(str, command), "playbooks/mark/playbook.yml"],
        cwd=root, env=environment, check=True, capture_output=True,
    )  # fmt: skip


def measure() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        working = Working(root)
        working.heal()
        assert working.warm.folder is not None
        while not (working.warm.folder / "socket").exists():
            time.sleep(0.1)
        for warm in (False, True):
            yield compare(
                f"dry run and run, local, {'warm' if warm else 'cold'}",
                lambda warm=warm: seconds(lambda: working.heal(warm=warm)),
                "bare playbook",
                lambda: seconds(lambda: bare(root)),
                goal="<= 1.5",
            )
        working.close()
