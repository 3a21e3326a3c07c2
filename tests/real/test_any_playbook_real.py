"""A playbook of a team's own repository through a whole incident, with real Ansible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.daemon import Daemon
from runner.execute.run import run
from runner.incident import Outcome, Purpose, State
from runner.project import Project
from tests import small_project as small
from tests.local_hosts import Lab, needs_ansible

pytestmark = needs_ansible

PLAYBOOK = """\
- name: Drain
  hosts: lb
  gather_facts: false
  tasks:
    - name: Take it out
      ansible.builtin.copy:
        dest: "{root}/drained-{{{{ inventory_hostname }}}}"
        content: out
        mode: "0600"

- name: Restart
  hosts: web
  gather_facts: false
  vars_prompt:
    - {{name: release, prompt: Which, private: false}}
    - {{name: token, prompt: Token}}
  tasks:
    - name: Write it
      ansible.builtin.template:
        src: release.j2
        dest: "{root}/release-{{{{ inventory_hostname }}}}"
        mode: "0600"
      notify: Say it
      tags: [release]

    - name: Say too much
      ansible.builtin.debug:
        msg: "token {{{{ token }}}}"
      tags: [release]

    - name: Never
      ansible.builtin.copy: {{dest: "{root}/never", content: x, mode: "0600"}}
      tags: [other]

    - name: Report
      ansible.builtin.set_stats:
        data: {{remediation: {{marked: true}}}}
        per_host: false
        aggregate: false
      tags: [release]
  handlers:
    - name: Say it
      ansible.builtin.copy: {{dest: "{root}/handled", content: x, mode: "0600"}}
"""
ENTRY: dict[str, Any] = {
    "role": None,
    "playbook": "../../site/deploy/restart.yml",
    "skip_tags": ["other"],
    "target": {"also": {"group": "lb"}},
    "parameters": {
        "release": {"from": "label service"},
        "token": {"from": "file ../../site/token"},
    },
    "dry_run": "required",
}
SECRET = "s3cret-of-the-registry"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    local = small.INVENTORY["all"]["vars"]
    inventory = {
        "all": {
            "vars": local,
            "children": {"web": {"hosts": {"web1": {}, "web2": {}}}, "lb": {"hosts": {"lb1": {}}}},
        }
    }
    path = small.make(tmp_path, entry=ENTRY, inventory=inventory)
    files = {
        "site/deploy/restart.yml": PLAYBOOK.format(root=tmp_path),
        "site/deploy/templates/release.j2": "{{ release }} {{ token | length }}\n",
        "site/token": f"{SECRET}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    made = small.project(path)
    daemon = Daemon(made)
    daemon.start()
    yield made
    daemon.stop()
    made.close()


def test_it_runs_as_it_is_on_the_plans_hosts_and_keeps_its_secret(
    project: Project, tmp_path: Path
) -> None:
    """Invariants 6 and 13: each play on its own hosts, and the answer to a prompt nowhere."""
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.FIXED, [t.reason for t in found.transitions]
    assert [run.purpose for run in found.runs] == [Purpose.DRY_RUN, Purpose.REMEDIATION]
    assert {run.hosts for run in found.runs} == {("lb1", "web1")}
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"runner.yml", "drained-lb1", "release-web1", "handled"}
    assert (tmp_path / "release-web1").read_text() == f"shop {len(SECRET)}\n"
    kept = [*(tmp_path / "var").rglob("*")]
    assert kept and not [
        path for path in kept if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert found.plan is not None and "playbook/templates/release.j2" in found.plan.files
    assert "token" not in json.dumps(found.plan.variables)


COLLECTION = {
    "galaxy.yml": "namespace: team\nname: ops\nversion: 1.0.0\n",
    "playbooks/mark.yml": "- {hosts: web, gather_facts: false, roles: [mark]}\n",
    "roles/mark/tasks/main.yml": """\
- ansible.builtin.copy: {dest: "{root}/marked", content: "1", mode: "0600"}
- ansible.builtin.set_stats: {data: {remediation: {marked: true}}, per_host: false}
""",
}


def test_a_collections_playbook_runs_from_a_copy_by_its_name(tmp_path: Path) -> None:
    """Invariant 16: its collection is in the plan as a whole."""
    inventory = {
        "all": {
            "vars": small.INVENTORY["all"]["vars"],
            "children": {"web": {"hosts": {"web1": {}}}},
        }
    }
    entry = {"role": None, "playbook": "team.ops.mark", "parameters": {}}
    settings = small.default_settings()["project"] | {"ansible_config": "ansible.cfg"}
    path = small.make(tmp_path, entry=entry, inventory=inventory, settings={"project": settings})
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncollections_path = collections\n")
    for name, text in COLLECTION.items():
        file = tmp_path / "collections/ansible_collections/team/ops" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{root}", str(tmp_path)))
    made = small.project(path)
    daemon = Daemon(made)
    daemon.start()
    try:
        small.deliver(made, small.alert())
        found = small.wait(made)
    finally:
        daemon.stop()
        made.close()
    assert found.incident.state is State.FIXED, [t.reason for t in found.transitions]
    assert found.plan is not None and "collection team.ops 1.0.0" in found.plan.loaded
    assert (tmp_path / "marked").read_text() == "1"


def test_a_play_that_finds_no_host_fails_the_run(tmp_path: Path) -> None:
    """Nothing is said of a play that only an inventory which changed leaves without hosts."""
    lab = Lab(tmp_path)
    play = lab.write(
        "two.yml",
        """\
        - {name: Drain, hosts: web9, gather_facts: false, tasks: []}
        - {name: Restart, hosts: web1, gather_facts: false, tasks: [{ping: }]}
        """,
    )
    result = run(lab.request(play))
    assert result.outcome is Outcome.FAILED
    assert result.reason == "the play 'Drain' was for no host, and was left out"
    left_out = run(lab.request(play, left_out=("Drain",)))
    assert left_out.outcome is Outcome.NO_CHANGE
