"""A small real project whose plan has three steps on three hosts: spare, peer and target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import small_project as small

#: Each role marks a file and appends a line to it at every real run.
TASKS = """\
- name: It must be free
  ansible.builtin.assert:
    that: ("{root}/taken-" + inventory_hostname) is not exists
    fail_msg: "{{{{ inventory_hostname }}}} is not empty"
- name: Write the member
  ansible.builtin.lineinfile:
    path: "{root}/{role}-{{{{ inventory_hostname }}}}"
    regexp: "^"
    line: "{{{{ {role}_member }}}} "
    create: true
    mode: "0600"
- name: Count the run
  ansible.builtin.raw: "echo {role} {{{{ inventory_hostname }}}} >> {root}/order; {extra}"
  changed_when: true
- name: Report
  ansible.builtin.set_stats:
    data: {{remediation: {{done: true}}}}
    per_host: false
    aggregate: false
"""

SPECS = """\
argument_specs:
  main:
    options:
      {role}_member:
        type: str
        required: true
        description: Whom it is about.
"""

STEPS = {"add": "spare", "retire": "peer", "clear": "target"}

LOCAL = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}
INVENTORY: dict[str, Any] = {
    "all": {
        "vars": LOCAL,
        "children": {
            "storage": {
                "hosts": {"s1": {}, "s2": {}, "s3": {}},
                "vars": {
                    "runner_spares": "pool",
                    "runner_peers": "storage",
                    "runner_min_available": 2,
                },
            },
            "pool": {"hosts": {"s4": {}, "s5": {}}},
        },
    }
}


def entry(role: str, place: str) -> dict[str, Any]:
    return {
        "title": f"The step {role}",
        "description": f"Runs {role}.",
        "role": role,
        "level": "auto",
        "risk": "low",
        "target": {"host": place},
        "parameters": {f"{role}_member": {"from": "host target"}},
        "limits": {"cooldown": "0s", "timeout": "60s"},
        "verify": {"within": "3s", "hold": "0s", "checks": [{"result": {"done": True}}]},
    }


PLAN: dict[str, Any] = {
    "title": "Replace a node",
    "description": "Adds a spare, retires the old node, clears it.",
    "match": ['alertname="Down"'],
    "level": "auto",
    "risk": "low",
    "limits": {"cooldown": "0s"},
    "steps": [
        {"entry": "add", "host": "spare"},
        "retire",
        {"entry": "clear", "host": "target", "unreachable": "skip"},
    ],
    "verify": {"within": "2s", "hold": "0s", "checks": [{"result": {"done": True}}]},
}


def make(
    root: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    inventory: Mapping[str, Any] | None = None,
    extra: Mapping[str, str] | None = None,
    entries: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write the project below `root`; returns its runner.yml. `extra` is shell of a role."""
    files = {
        "playbooks/replace/entry.yml": json.dumps({**PLAN, **(plan or {})}),
        "inventory/hosts.yml": json.dumps(inventory or INVENTORY),
        "runner.yml": json.dumps(small.default_settings() | dict(settings or {})),
    }
    for role, place in STEPS.items():
        changed = (entries or {}).get(role, {})
        more = (extra or {}).get(role, "true")
        files |= {
            f"playbooks/{role}/entry.yml": json.dumps(entry(role, place) | dict(changed)),
            f"playbooks/{role}/playbook.yml": small.PLAYBOOK.replace("mark", role),
            f"roles/{role}/meta/argument_specs.yml": SPECS.format(role=role),
            f"roles/{role}/tasks/main.yml": TASKS.format(root=root, role=role, extra=more),
        }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "runner.yml"


def order(root: Path) -> list[str]:
    """`ROLE HOST` of every real run, in order."""
    path = root / "order"
    return path.read_text().splitlines() if path.exists() else []
