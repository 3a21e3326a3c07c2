"""Which lookups a plan's hash covers: a closed list, and no list of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.plugins.loader import lookup_loader

from runner.catalog.lookups import COMPUTED, PURE, uncovered


def found(folder: Path, text: str, name: str = "tasks.yml") -> set[str]:
    path = folder / name
    path.write_text(text)
    return set(uncovered(path, path.read_bytes()))


def test_of_ansible_core_only_what_it_reads_for_itself_is_left_out() -> None:
    """What is new in a later release is named, until somebody has looked at it."""
    every = {Path(path).stem for path in lookup_loader.all(path_only=True)}
    assert every - PURE == {"inventory_hostnames", "lines", "password", "pipe", "random_choice",
                            "url"}  # fmt: skip
    assert every >= PURE


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ lookup('file', 'a') }}", set()),
        ("{{ lookup('ansible.builtin.template', 'a') }}", set()),
        ("{{ query('community.hashi_vault.vault_kv2_get', 'a') }}",
         {"community.hashi_vault.vault_kv2_get"}),
        ('{{ q ( "own" ) }}', {"own"}),
        ("{% for x in lookup('ns.coll.x') %}", {"ns.coll.x"}),
        ("{{ lookup(chosen, 'a') }}", {COMPUTED}),
        ("{{ lookup('file' if x else 'pipe', 'a') }}", {COMPUTED}),
        ("{{ lookup('fi' ~ 'le', 'a') }}", {COMPUTED}),
        ("{{ a }} lookup('ns.coll.x') {{ b }}", set()),
        ("{{ db.query('x') }} {{ 'lookup(x)' }}", set()),
        ("{{ my_lookup('x') }}", set()),
    ],
)  # fmt: skip
def test_lookups_of_a_template_are_found(tmp_path: Path, text: str, names: set[str]) -> None:
    assert found(tmp_path, text, "conf.j2") == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("- debug: {msg: '{{ lookup(''file'', ''a'') }}'}\n", set()),
        ('- debug: {msg: "{{ lookup(\\"ns.coll.x\\", 1) }}"}\n', {"ns.coll.x"}),
        ("- debug: {}\n  when: lookup('ns.coll.x')\n", {"ns.coll.x"}),
        ("- debug: {}\n  when: lookup(name) == 1\n", {COMPUTED}),
        ("- name: Ask it the query (once)\n  debug: {}\n", set()),
        ("- debug: {}\n  with_items: [1]\n", set()),
        ("- debug: {}\n  with_ansible.builtin.dict: {a: 1}\n", set()),
        ("- debug: {}\n  with_community.general.flattened: [1]\n", {"community.general.flattened"}),
        ("- block:\n    - debug: {}\n      with_own: [1]\n", {"own"}),
        ("- hosts: all\n  tasks:\n    - debug: {}\n      with_own: [1]\n", {"own"}),
        # An argument or a variable of that name is no loop.
        ("- ns.coll.act: {with_tls: true}\n", set()),
        ("with_tls: true\n", set()),
        ("- debug: {msg: 'with_pipe'\n", set()),
    ],
)
def test_lookups_of_tasks_are_found(tmp_path: Path, text: str, names: set[str]) -> None:
    assert found(tmp_path, text) == names


def test_python_is_no_template(tmp_path: Path) -> None:
    assert found(tmp_path, "lookup('ns.coll.x')\n", "plugin.py") == set()
