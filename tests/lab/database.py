"""The PostgreSQL of this machine on a host of the lab, where it is not installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.lab import layout
from tests.lab.lab import Lab
from tests.lab.shell import call

TASKS = layout.REPOSITORY / ".config/molecule/tasks"


def bring(host: str, folder: Path) -> None:
    """Start one, with a role `nobody`, as the scenarios of the roles do. Raises LabError.

    The caller is in the control namespace; `folder` is that of a project for the lab.
    """
    play = {
        "name": "Bring a PostgreSQL",
        "hosts": host,
        "gather_facts": False,
        "vars": {"host_sql": "CREATE ROLE nobody LOGIN"},
        "tasks": [{"ansible.builtin.import_tasks": str(TASKS / "lab_postgres.yml")}],
    }
    playbook = folder / "bring_database.yml"
    playbook.write_text(json.dumps([play]))  # JSON is YAML
    call(
        "env",
        f"ANSIBLE_CONFIG={folder / 'ansible.cfg'}",
        Path(sys.executable).with_name("ansible-playbook"),
        f"--inventory={folder / 'inventories/lab'}",
        playbook,
        seconds=300,
    )


def end(lab: Lab, host: str) -> None:
    """Stop it, with what it has written."""
    lab.run(host, "systemctl", "stop", "molecule")
    lab.run(host, "rm", "-rf", "/run/postgresql")
