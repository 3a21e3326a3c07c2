"""A small real project for tests: one play that appends a line to a file, two local hosts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner import acts, config, incident_report
from runner.incident import Alert, AlertStatus, Incident, Level, State
from runner.incident_report import Bundle
from runner.project import Project
from runner.store import incidents
from tests import fresh_store

PLAYBOOK = """\
- name: Mark a host
  hosts: all
  gather_facts: false
  roles: [mark]
"""

ENTRY: dict[str, Any] = {
    "title": "Mark a host",
    "description": "Appends a line to a file.",
    "match": ['alertname="Down"'],
    "role": "mark",
    "level": "auto",
    "risk": "low",
    "parameters": {"mark_text": {"from": "label service"}},
    "limits": {"cooldown": "0s", "timeout": "60s"},
    "verify": {"within": "5s", "hold": "0s", "checks": [{"result": {"marked": True}}]},
}

SPECS = """\
argument_specs:
  main:
    options:
      mark_text:
        type: str
        required: true
        description: What is written.
"""

#: `lineinfile` shows a diff in check mode; the `raw` task counts real runs, and only those. It
#: is a shell without a module around it, which costs a third of a second each time.
TASKS = """\
- name: Write the text
  ansible.builtin.lineinfile:
    path: "{root}/marked-{{{{ inventory_hostname }}}}"
    regexp: "^"
    line: "{{{{ mark_text }}}} "
    create: true
    mode: "0600"
- name: Count the run
  ansible.builtin.raw: "echo run >> {root}/count-{{{{ inventory_hostname }}}}; {extra}"
  changed_when: true
- name: Report
  ansible.builtin.set_stats:
    data: {{remediation: {{marked: true}}}}
    per_host: false
    aggregate: false
"""

INVENTORY = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        },
        "hosts": {"web1": {}, "web2": {"runner_depends_on": ["db1"]}, "db1": {}},
    }
}


def make(
    root: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    entry: Mapping[str, Any] | None = None,
    extra: str = "true",
    inventory: Mapping[str, Any] | None = None,
    role: str = "mark",
) -> Path:
    """Write the project below `root`; returns its runner.yml."""
    files = {
        "playbooks/mark/playbook.yml": PLAYBOOK.replace("[mark]", f"[{role}]"),
        "playbooks/mark/entry.yml": json.dumps({**ENTRY, "role": role, **(entry or {})}),
        "playbooks/mark/README.md": "# Mark\n\n## Meaning\n\nA line is written.\n",
        f"roles/{role}/meta/argument_specs.yml": SPECS,
        f"roles/{role}/tasks/main.yml": TASKS.format(root=root, extra=extra),
        "inventory/hosts.yml": json.dumps(inventory or INVENTORY),
        "runner.yml": json.dumps(default_settings() | dict(settings or {})),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if "store" not in (settings or {}):
        fresh_store.place(root / "var/runner.db")
    return root / "runner.yml"


def default_settings() -> dict[str, Any]:
    return {
        "level": "auto",
        "environment": "test",
        "project": {"inventory": ["inventory"], "ansible_config": None},
        "listen": {"allow_anonymous": True, "port": 0},
        "notify": {"console": False},
        # A warm process of its own costs more than the plays of one test; see shared_warm.py.
        "execution": {"warm": False},
        # The `raw` task is never shown; where the text is written already, nothing else changes.
        "policy": {"min_fidelity": 0},
        "verification": {"poll": "200ms"},
    }


def project(path: Path, store: str | None = None) -> Project:
    """The project of a runner.yml; `store` replaces its store's URL."""
    overrides = {"store": {"url": store}} if store else {}
    return Project(config.load(path, **overrides))


def alert(
    name: str = "Down",
    host: str = "web1",
    *,
    status: str = "firing",
    starts_at: datetime | None = None,
    fingerprint: str | None = None,
    **labels: str,
) -> dict[str, Any]:
    """One alert of a webhook body."""
    everything = {"alertname": name, "instance": f"{host}:9100", "service": "shop", **labels}
    return {
        "status": status,
        "labels": everything,
        "annotations": {},
        "startsAt": (starts_at or datetime.now(UTC)).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else datetime.now(UTC).isoformat(),
        "generatorURL": "",
        "fingerprint": fingerprint or "",
    }


def body(*alerts: Mapping[str, Any], **fields: Any) -> bytes:
    """A webhook body of version 4."""
    content = {
        "version": "4",
        "groupKey": "{}:{}",
        "receiver": "runner",
        "status": "firing",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
    }
    return json.dumps(content | fields).encode()


def deliver(project: Project, *alerts: Mapping[str, Any]) -> int:
    """Store one delivery."""
    return acts.deliver(project, body(*alerts), source="webhook").delivery


def open_one(project: Project, labels: Mapping[str, str]) -> int:
    """An incident of an alert with these labels, without a delivery; its id."""
    everything = {"alertname": "Down", "instance": "web1:9100", "service": "shop", **labels}
    with project.database.write() as tx:
        opened = incidents.open_incident(
            tx,
            Alert(fingerprint="f" * 16, status=AlertStatus.FIRING, labels=everything,
                  annotations={}, starts_at=datetime.now(UTC)),
            environment="test", ceiling=Level.AUTO, reason="it fires", now=datetime.now(UTC),
        )  # fmt: skip
    assert opened is not None
    return opened


def look(project: Project, incident: int = 1) -> Bundle:
    """Everything of an incident."""
    with project.database.read() as tx:
        return incident_report.load(tx, incident)


def wait(
    project: Project,
    incident: int = 1,
    until: Callable[[Incident], bool] = lambda one: one.state.ended,
    seconds: float = 90.0,
) -> Bundle:
    """The bundle once `until` holds; fails with its trail when it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with project.database.read() as tx:
                one = incidents.get(tx, incident)
        except Exception as error:
            problem = str(error)
        else:
            if until(one):
                return look(project, incident)
            problem = ""
        time.sleep(0.2)  # a look costs as much as a statement of the code that is waited for
    trail = problem or [(t.action, t.reason) for t in look(project, incident).transitions]
    raise AssertionError(f"incident {incident} did not get there: {trail}")


def until(holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Return once `holds` does; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not come to this: {what}"
        time.sleep(0.2)


def waiting(one: Incident) -> bool:
    """Whether a person has been asked."""
    return one.state is State.WAITING


def runs(root: Path, host: str = "web1") -> int:
    """How often the play really ran on a host."""
    path = root / f"count-{host}"
    return len(path.read_text().splitlines()) if path.exists() else 0
