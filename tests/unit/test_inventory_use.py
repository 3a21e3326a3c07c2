"""What a play may see of the inventory beside its own hosts, told from its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog import Catalog, load
from runner.catalog.installed import Collection
from runner.catalog.inventory_use import InventoryUse, _asking, of_entry, of_text
from tests import small_project as small


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("{{ groups['lb'] | first }}", {"lb"}),
        ('{{ groups["lb"][0] }} {{ groups.web | length }}', {"lb", "web"}),
        ("{{ groups['all'] }} {{ groups.all | length }}", {"all"}),
        ("{{ inventory_dir }} {{ inventory_file }}", set()),
        (r'{"msg": "{{ groups[\"lb\"] }}"}', {"lb"}),
        ("when: \"'lb' in groups\"", set()),
        ("when: \"'lb' not in groups and x\"", set()),
        ("ansible.builtin.user: {name: web, groups: [adm]}", set()),
        ("ansible.builtin.user: name=web groups=adm", set()),
        ("{{ group_names }} {{ play_hosts }} {{ ansible_play_hosts }}", set()),
        ("vars:\n  port: 80", set()),
        ("{{ vars['port'] }} {{ lookup('vars', 'port') }}", set()),
        ("{{ lookup('file', 'x.txt') }}", set()),
    ],
)
def test_what_names_groups_literally_needs_their_hosts_by_name(text: str, groups: set[str]) -> None:
    assert of_text(text) == InventoryUse(groups=frozenset(groups))


@pytest.mark.parametrize(
    "text",
    [
        "{{ hostvars['db1'].port }}",
        "{{ groups['web'] | map('extract', hostvars, 'port') }}",
        "{{ groups[role] }}",
        "{{ groups | dict2items }}",
        "{{ groups.keys() }}",
        "{% for name in groups %}{{ name }}{% endfor %}",
        "when: \"'db1' in groups[role]\"",
        "when: \"'db1' in groups | dict2items\"",
        "{{ lookup('vars', 'groups') }}",
        "{{ vars | to_json }}",
        "{{ vars }}",
        "ansible.builtin.debug: {var: vars}",
        "ansible.builtin.debug: var=vars",
        "{{ ansible_inventory_sources }}",
        "with_inventory_hostnames: web",
        "ansible.builtin.add_host: {name: x}",
        "ansible.builtin.group_by: {key: x}",
        "ansible.builtin.meta: refresh_inventory",
        "{{ lookup('ansible.builtin.template', path) }}",
        "with_template: x.j2",
        "def run(self, tmp, task_vars):\n    return task_vars['groups']",
    ],
)
def test_what_may_see_other_hosts_needs_the_whole_inventory(text: str) -> None:
    assert of_text(text).whole


@given(st.text(alphabet="groups hostvars['\"].|{}in ", max_size=40))
def test_text_that_speaks_of_hostvars_never_passes(text: str) -> None:
    assert of_text(f"{text} hostvars {text}").whole


def _catalog(root: Path, tasks: str, **files: str) -> Catalog:
    small.make(root)
    for name, text in {"roles/mark/tasks/main.yml": tasks, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load(root / "playbooks", (root / "roles",))


def _use(root: Path, tasks: str = "- ansible.builtin.ping:\n", **files: str) -> InventoryUse:
    catalog = _catalog(root, tasks, **files)
    return of_entry(catalog, catalog.get("mark"), {})


def test_an_ordinary_role_needs_its_own_hosts(tmp_path: Path) -> None:
    assert _use(tmp_path) == InventoryUse(patterns=("all",))


def test_every_file_of_the_role_counts(tmp_path: Path) -> None:
    found = _use(tmp_path, **{"roles/mark/templates/x.j2": "{{ groups['lb'] }}"})
    assert found.groups == {"lb"} and not found.whole
    assert _use(tmp_path, **{"roles/mark/vars/x.yml": "x: '{{ hostvars.db1 }}'"}).whole


@pytest.mark.parametrize(
    "tasks",
    [
        "- ansible.builtin.include_tasks: '{{ which }}.yml'\n",
        "- ansible.builtin.include_vars: '{{ which }}.yml'\n",
        "- ansible.builtin.include_vars: ../../../elsewhere.yml\n",
        "- ansible.builtin.include_role: {name: of_somebody}\n",
        "- ansible.builtin.template: {src: /etc/x.j2, dest: /tmp/x}\n",
        "- ansible.builtin.template: {src: '{{ which }}', dest: /tmp/x}\n",
        "- ansible.builtin.ping:\n  delegate_to: '{{ other }}'\n",
        "- ansible.builtin.include_tasks: {file: x.yml, apply: {delegate_to: db1}}\n",
        "- ansible.builtin.ping:\n  vars: {ansible_host: 192.0.2.1}\n",
    ],
)
def test_what_only_a_run_knows_needs_the_whole(tmp_path: Path, tasks: str) -> None:
    more = {"roles/mark/tasks/x.yml": "- ansible.builtin.ping:\n"}
    assert _use(tmp_path, tasks, **more).whole


@pytest.mark.parametrize(
    "name",
    ["playbooks/mark/group_vars/all.yml", "playbooks/mark/host_vars/web1.yml",
     "roles/mark/vars_plugins/x.py"],
)  # fmt: skip
def test_variables_beside_a_play_keep_their_place(tmp_path: Path, name: str) -> None:
    """Ansible puts them above those of the inventory's groups, which are no longer to be told."""
    assert _use(tmp_path, **{name: "x: 1\n"}).whole


def test_each_play_names_its_hosts(tmp_path: Path) -> None:
    play = json.dumps([{"hosts": "all", "roles": ["mark"]}, {"hosts": "db", "tasks": []}])
    found = _use(tmp_path, **{"playbooks/mark/playbook.yml": play})
    assert (found.patterns, found.whole) == (("all", "db"), "")


def test_a_play_names_its_hosts(tmp_path: Path) -> None:
    play = json.dumps([{"hosts": "web:!db,&prod", "roles": ["mark"]}])
    assert _use(tmp_path, **{"playbooks/mark/playbook.yml": play}).patterns == (
        "web", "!db", "&prod",
    )  # fmt: skip


def test_plugins_of_a_collection_that_see_other_hosts_are_known_by_name(tmp_path: Path) -> None:
    """Of what runs on a host, and of modules' own code, nothing is to be feared."""
    found = Collection(name="ns.coll", folder=tmp_path)
    for name in ("lookup/merge.py", "action/sync.py", "modules/own.py", "lookup/plain.py"):
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1" if "plain" in name else "def run(v): return v['hostvars']")
    assert _asking(found.folder, "digest") == {"merge", "sync"}
