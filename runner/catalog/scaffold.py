"""`runner catalog new`: a playbook, its entry and its role, complete enough to lint clean."""

from __future__ import annotations

from pathlib import Path

from runner import shipped
from runner.catalog.entry import ENTRY_ID
from runner.errors import UsageError


def new(playbooks: Path, roles: Path, id: str) -> tuple[Path, ...]:
    """Write the files of a new entry and of a role of the same name; return their paths.

    Nothing that exists is touched. Raises UsageError for an id that cannot be one or is taken.
    """
    if not ENTRY_ID.fullmatch(id):
        raise UsageError(
            f"{id[:80]!r} cannot be an id; use lower case letters, digits and _, "
            "a letter first, at most 64"
        )
    for folder in (playbooks / id, roles / id):
        if folder.exists():
            raise UsageError(f"{folder} exists already; choose another id or edit what is there")
    title = id.replace("_", " ").capitalize()
    texts = {playbooks / id / name: text for name, text in _ENTRY.items()}
    texts |= {roles / id / name: text for name, text in _ROLE.items()}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@id@", id).replace("@title@", title), encoding="utf-8")
    return tuple(texts)


def copy_of_shipped(playbooks: Path, id: str) -> tuple[Path, ...]:
    """Copy an entry that comes with the runner, without its cases and its role.

    Raises UsageError where the project has one of that name.
    """
    source, target = shipped.playbooks() / id, playbooks / id
    if (target / "entry.yml").exists():
        raise UsageError(f"{target} exists already; edit what is there")
    target.mkdir(parents=True, exist_ok=True)  # cases of incidents may lie there
    made = []
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        made.append(target / path.name)
        made[-1].write_bytes(path.read_bytes())
    return tuple(made)


_ENTRY = {
    "playbook.yml": """\
---
- name: @title@
  hosts: all
  gather_facts: false
  serial: 1
  any_errors_fatal: true
  roles:
    - role: @id@
""",
    "entry.yml": """\
---
title: @title@
description: Say in one sentence what this does, and to what.
not_for: []
match: ['alertname="@title@"']
# Further alerts for which it may be proposed; a person decides about each:
# consider: ['service!=""']
role: @id@
parameters:
  @id@_name: {from: label service}
level: dry-run
risk: medium
verify:
  checks:
    - alert: cleared
""",
    "cases/first.yml": """\
---
title: Say in a sentence what happens
alert:
  labels: {alertname: "@title@", instance: host1.example.com, service: example, severity: warning}
inventory:
  host1.example.com: {groups: [example], runner_level: auto}
expect: {entry: @id@, hosts: [host1.example.com], level: dry-run}
""",
    "README.md": """\
# @title@

## Meaning

What the alert says.

## Impact

Who notices what, and how soon.

## Diagnosis

How a person sees what is wrong, with the commands to type.

## Mitigation

What this playbook does, and what to do when it does not help.

## Rollback

How to undo it, or why there is nothing to undo.
""",
}

_ROLE = {
    "defaults/main.yml": """\
---
# @id@_name: comes from the decision, and has no default.
@id@_directory: /var/lib/@id@
""",
    "meta/main.yml": """\
---
galaxy_info:
  role_name: @id@
  author: your team
  description: @title@.
  license: Apache-2.0
  min_ansible_version: "2.18"
  platforms:
    - name: GenericLinux
      versions: [all]
dependencies: []
""",
    "meta/argument_specs.yml": """\
---
argument_specs:
  main:
    short_description: @title@.
    options:
      @id@_name:
        description: Name of the thing to heal.
        type: str
        required: true
      @id@_directory:
        description: Directory that holds the thing.
        type: path
""",
    "tasks/main.yml": """\
---
- name: Preflight
  ansible.builtin.import_tasks: preflight.yml

- name: Remediate
  ansible.builtin.import_tasks: remediate.yml
""",
    "tasks/preflight.yml": """\
---
- name: Preflight | The name is a plain one
  ansible.builtin.assert:
    that: "@id@_name is match('^[A-Za-z0-9][A-Za-z0-9_.-]*$')"
    fail_msg: "{{ inventory_hostname }}: {{ @id@_name }} is not a plain name"
    quiet: true
""",
    "tasks/remediate.yml": """\
---
- name: Remediate | The thing is there
  ansible.builtin.file:
    path: "{{ @id@_directory }}/{{ @id@_name }}"
    state: directory
    mode: "0755"
""",
    "molecule/default/molecule.yml": """\
---
driver:
  name: default
platforms:
  - name: instance
provisioner:
  name: ansible
  inventory:
    host_vars:
      instance:
        ansible_connection: local
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
        @id@_directory: /tmp/molecule_@id@
        @id@_name: example
""",
    "molecule/default/prepare.yml": """\
---
- name: Prepare breaks it
  hosts: all
  gather_facts: false
  tasks:
    - name: The directory is there
      ansible.builtin.file:
        path: "{{ @id@_directory }}"
        state: directory
        mode: "0755"

    - name: The thing is not
      ansible.builtin.file:
        path: "{{ @id@_directory }}/{{ @id@_name }}"
        state: absent
""",
    "molecule/default/converge.yml": """\
---
- name: Converge heals it
  hosts: all
  gather_facts: false
  roles:
    - role: @id@
""",
    "molecule/default/verify.yml": """\
---
- name: Verify proves it
  hosts: all
  gather_facts: false
  tasks:
    - name: Look for the thing
      ansible.builtin.stat:
        path: "{{ @id@_directory }}/{{ @id@_name }}"
      register: __found

    - name: It is there
      ansible.builtin.assert:
        that: __found.stat.isdir | default(false)
""",
    "README.md": """\
# @id@

Heals one thing on one host.

- Touches: `@id@_directory`
- Example: `runner run @id@ --host HOST`
- Variables: `meta/argument_specs.yml`
- Check mode: yes
- Idempotent: yes
- Rollback: remove the directory
""",
}
