"""Roles are found as Ansible finds them, whatever they are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.catalog import Catalog, Installed, load
from runner.catalog.lint import lint
from runner.catalog.roles import Roles, collection_of
from runner.catalog.scan import scan
from tests.local_hosts import needs_ansible

INPUTS = Path(__file__).parents[1] / "inputs"
PLAY = "- hosts: all\n  gather_facts: false\n  roles: [{role}]\n"
#: Asks Ansible itself for the folder of each role.
ASK = """\
import sys
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.role.definition import RoleDefinition
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([])
loader = DataLoader()
loader.set_basedir(sys.argv[1])
for name in sys.argv[2:]:
    name, _, collection = name.partition("@")
    role = RoleDefinition(loader=loader, collection_list=[collection] if collection else None)
    try:
        print(role._load_role_path(name)[1])
    except Exception:
        print("-")
"""
#: A role's name, and after @ the collection that a play searches for short names.
NAMES = (
    "plain", "my-role", "author.role", "Author.Role2", "ns.coll.helper", "ns.coll.sub.deep",
    "ns.coll.missing", "three.part.folder", "beside", "plain@ns.coll", "helper@ns.coll", "missing",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folders = (
        "roles/plain", "roles/my-role", "roles/author.role", "roles/Author.Role2",
        "roles/three.part.folder", "roles/beside", "playbooks/heal/roles/beside",
        "collections/ansible_collections/ns/coll/roles/helper",
        "collections/ansible_collections/ns/coll/roles/plain",
        "collections/ansible_collections/ns/coll/roles/sub/deep",
    )  # fmt: skip
    for folder in folders:
        (tmp_path / folder / "tasks").mkdir(parents=True)
        (tmp_path / folder / "tasks/main.yml").write_text("- ansible.builtin.meta: noop\n")
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncollections_path = collections\n")
    return tmp_path


def _roles(root: Path) -> Roles:
    return Roles((root / "roles",), Installed(root / "ansible.cfg", {}))


@pytest.mark.real
def test_each_role_is_the_one_that_ansible_takes(root: Path) -> None:
    assert needs_ansible
    playbook = root / "playbooks/heal/playbook.yml"
    answer = subprocess.run(
        [sys.executable, "-c", ASK, str(playbook.parent), *NAMES],
        env={
            "PATH": os.environ["PATH"], "HOME": str(root), "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_ROLES_PATH": str(root / "roles"),
        },
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    roles = _roles(root).beside(playbook)
    asked = [name.partition("@") for name in NAMES]
    found = [roles.find(name, [collection] if collection else ()) for name, _, collection in asked]
    assert [str(path or "-") for path in found] == answer.stdout.split()


def test_a_full_name_is_a_collections_and_a_path_is_none(root: Path) -> None:
    assert collection_of("ns.coll.role") == "ns.coll"
    assert [collection_of(name) for name in ("author.role", "my-role", "a.b-c.d")] == [None] * 3
    for name in ("../roles/plain", "/etc", "plain/tasks", "", ".", "..", ".hidden"):
        assert _roles(root).find(name) is None


def _project(root: Path, role: str, entry: str) -> Catalog:
    folder = root / "playbooks/heal"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "playbook.yml").write_text(PLAY.format(role=role))
    (folder / "entry.yml").write_text(entry)
    return load(root / "playbooks", (root / "roles",), Installed(root / "ansible.cfg", {}))


def test_a_role_with_a_dot_in_its_name_is_taken(root: Path) -> None:
    """The usual form of Galaxy; its tasks are read like any other's."""
    tasks = root / "roles/author.role/tasks/main.yml"
    tasks.write_text("- name: Ask the other\n  ansible.builtin.ping:\n  delegate_to: web3\n")
    catalog = _project(root, "author.role", (INPUTS / "P1-role-with-dot/entry.yml").read_text())
    found = scan(catalog.get("heal"), catalog.roles)
    assert (found.roles, found.delegates) == (("author.role",), ("web3",))
    said = [str(problem) for problem in lint(catalog)]
    assert any("roles/author.role" in text for text in said)
    assert not any("no role" in text or "role 'author" in text for text in said)


@pytest.mark.real
def test_a_role_of_a_collection_is_taken_with_what_it_includes(root: Path) -> None:
    helper = root / "collections/ansible_collections/ns/coll/roles/helper"
    (helper / "tasks/main.yml").write_text("- ansible.builtin.include_role: {name: plain}\n")
    entry = {"title": "x", "description": "x", "role": "ns.coll.helper"}
    catalog = _project(root, "ns.coll.helper", json.dumps(entry))
    found = scan(catalog.get("heal"), catalog.roles)
    assert found.roles == ("ns.coll.helper", "ns.coll.plain")
    assert found.unknown == ()
    assert not any("ansible_collections" in str(problem) for problem in lint(catalog))


def test_dependencies_of_a_role_may_have_any_name(root: Path) -> None:
    meta = root / "roles/author.role/meta"
    meta.mkdir()
    (meta / "main.yml").write_text("dependencies:\n  - my-role\n  - role: plain\n")
    entry = {"title": "x", "description": "x", "role": "author.role"}
    catalog = _project(root, "author.role", json.dumps(entry))
    found = scan(catalog.get("heal"), catalog.roles)
    assert found.roles == ("author.role", "my-role", "plain")
