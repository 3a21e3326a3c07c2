"""What is read from the files of an entry: its content hash and what its play touches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.catalog import Catalog, document, load
from runner.catalog.content import content_hash
from runner.catalog.scaffold import new
from runner.catalog.scan import Scan, scan
from runner.errors import CatalogError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new(tmp_path / "playbooks", tmp_path / "roles", "heal")
    return tmp_path


def _load(project: Path) -> Catalog:
    return load(project / "playbooks", (project / "roles",))


def _hash(project: Path) -> str:
    catalog = _load(project)
    return content_hash(catalog, catalog.get("heal"))


def _scan(project: Path, tasks: str, file: str = "roles/heal/tasks/remediate.yml") -> Scan:
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tasks)
    catalog = _load(project)
    return scan(catalog.get("heal"), catalog.roles)


def test_the_hash_does_not_depend_on_place_or_time(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    new(other / "playbooks", other / "roles", "heal")
    os.utime(other / "playbooks/heal/entry.yml", (0, 0))
    assert _hash(project) == _hash(other)


@pytest.mark.parametrize(
    "file",
    ["playbooks/heal/entry.yml", "playbooks/heal/playbook.yml", "playbooks/heal/files/x",
     "roles/heal/tasks/remediate.yml", "roles/heal/templates/README.md",
     "roles/heal/files/cases/x", "roles/heal/library/heal.py"],
)  # fmt: skip
def test_any_file_that_acts_changes_the_hash(project: Path, file: str) -> None:
    before = _hash(project)
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n# more\n")
    assert _hash(project) != before


@pytest.mark.parametrize(
    "file",
    ["playbooks/heal/README.md", "playbooks/heal/cases/one.yml", "roles/heal/README.md",
     "roles/heal/molecule/default/verify.yml", "roles/heal/library/__pycache__/x.pyc",
     "playbooks/heal/playbook.retry"],
)  # fmt: skip
def test_texts_and_tests_do_not_change_the_hash(project: Path, file: str) -> None:
    before = _hash(project)
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).write_text("other\n")
    assert _hash(project) == before


def test_a_renamed_file_changes_the_hash(project: Path) -> None:
    (project / "roles/heal/files").mkdir()
    (project / "roles/heal/files/a").write_text("x")
    before = _hash(project)
    (project / "roles/heal/files/a").rename(project / "roles/heal/files/b")
    assert _hash(project) != before


def test_a_role_that_is_only_included_counts_too(project: Path) -> None:
    include = "- name: X\n  ansible.builtin.include_role: {name: second}\n"
    (project / "roles/second/tasks").mkdir(parents=True)
    assert _scan(project, include).roles == ("heal", "second")
    before = _hash(project)
    (project / "roles/second/tasks/main.yml").write_text("[]\n")
    assert _hash(project) != before


def test_a_link_to_a_folder_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "roles/heal/files").symlink_to(tmp_path)
    with pytest.raises(CatalogError, match="is a link to a folder"):
        _hash(project)


def test_a_play_that_stays_on_its_hosts_has_nothing_to_tell(project: Path) -> None:
    catalog = _load(project)
    found = scan(catalog.get("heal"), catalog.roles)
    assert (found.delegates, found.unknown, found.run_once) == ((), (), ())
    assert found.roles == ("heal",)
    assert [path.name for path in found.files] == ["main.yml", "preflight.yml", "remediate.yml"]


@pytest.mark.parametrize(
    ("task", "host"),
    [
        ("ansible.builtin.ping:\n  delegate_to: web3", "web3"),
        ("local_action: ansible.builtin.ping", "localhost"),
        ("local_action: {module: ansible.builtin.ping}", "localhost"),
        ("ansible.builtin.ping:\n  connection: local", "localhost"),
        ("block: [{ansible.builtin.ping: }]\n  delegate_to: web3", "web3"),
        ("block: [{block: [], rescue: [{ping: , delegate_to: web3}]}]", "web3"),
    ],
)
def test_it_sees_the_further_hosts_of_a_task(project: Path, task: str, host: str) -> None:
    """Invariant 6: a delegate is a touched host, so it is known before the run."""
    found = _scan(project, f"- name: X\n  {task}\n")
    assert found.delegates == (host,)
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ('ansible.builtin.ping:\n  delegate_to: "{{ peer }}"', "that only the run knows"),
        ("ansible.builtin.add_host: {name: x}", "adds hosts while it runs"),
        ("action: add_host name=x", "adds hosts while it runs"),
        ("ansible.builtin.set_fact: {ansible_host: x}", "sets ansible_host"),
        ("ansible.builtin.ping:\n  vars: {ansible_connection: local}", "sets ansible_connection"),
        ('ansible.builtin.include_tasks: "{{ x }}.yml"', "cannot be read before the run"),
        ("ansible.builtin.include_tasks: {file: nowhere.yml}", "cannot be read before the run"),
        ("ansible.builtin.import_tasks: ../../../secret.yml", "outside of its folder"),
        ("ansible.builtin.include_role: {name: '{{ x }}'}", "cannot be read here"),
        ("ansible.builtin.include_role: {name: heal, tasks_from: gone}", "is not there"),
    ],
)
def test_it_says_what_only_a_run_could_tell(project: Path, task: str, said: str) -> None:
    """Invariant 10: what cannot be known is told, not taken for nothing."""
    (project / "secret.yml").write_text("[]\n")
    found = _scan(project, f"- name: X\n  {task}\n")
    assert len(found.unknown) == 1
    assert said in found.unknown[0]


def test_acting_on_the_host_itself_is_no_delegation(project: Path) -> None:
    found = _scan(project, '- ping:\n  delegate_to: "{{ inventory_hostname }}"\n')
    assert (found.delegates, found.unknown) == ((), ())


def test_it_follows_files_roles_and_dependencies(project: Path) -> None:
    for role, task in (("second", "import_role: {name: third}"), ("third", "ping:"), ("base", "")):
        (project / f"roles/{role}/tasks").mkdir(parents=True)
        text = f"- {task}\n  delegate_to: on_{role}\n" if task else "[]\n"
        (project / f"roles/{role}/tasks/main.yml").write_text(text)
    (project / "roles/second/meta").mkdir()
    (project / "roles/second/meta/main.yml").write_text("dependencies: [base]\n")
    (project / "roles/heal/tasks/more.yml").write_text("- include_role: {name: second}\n")
    found = _scan(project, "- include_tasks: more.yml\n")
    assert found.roles == ("base", "heal", "second", "third")
    assert found.delegates == ("on_second", "on_third")


def test_roles_that_include_one_another_do_not_hang_it(project: Path) -> None:
    assert _scan(project, "- include_role: {name: heal}\n- include_tasks: main.yml\n").roles


def test_handlers_count(project: Path) -> None:
    found = _scan(project, "- ping:\n  delegate_to: web3\n", "roles/heal/handlers/main.yml")
    assert found.delegates == ("web3",)


def test_every_play_is_read_and_so_is_what_is_imported(project: Path) -> None:
    plays = (
        "- {hosts: all, roles: [heal]}\n- {hosts: db, roles: [heal]}\n- import_playbook: x.yml\n"
    )
    found = _scan(project, plays, "playbooks/heal/playbook.yml")
    assert [play.patterns for play in found.plays] == [("all",), ("db",)]
    assert [text.rpartition(": ")[2] for text in found.unknown] == [
        "imports 'x.yml', which cannot be read here"
    ]


def test_run_once_is_noted(project: Path) -> None:
    assert "'X'" in _scan(project, "- name: X\n  ping:\n  run_once: true\n").run_once[0]


def test_vault_and_other_tags_do_not_break_it(project: Path) -> None:
    text = "- ping:\n  vars: {a: !vault 'x', b: !unsafe '{{ y }}', c: !other {d: [1]}}\n"
    assert _scan(project, text).unknown == ()


@pytest.mark.parametrize("text", ["[", "- a\n b", "x: y", "\x00", "[[[[1]]]]", "- 3\n- null"])
def test_a_file_that_is_no_task_list_does_not_break_it(project: Path, text: str) -> None:
    assert isinstance(_scan(project, text), Scan)


@pytest.mark.parametrize(
    "task",
    [
        "ping:\n  delegate_to: \"{{ groups['lb'][0] }}\"",
        "ping:\n  delegate_to: '{{ groups[\"lb\"] | first }}'\n  run_once: true",
        "ping:\n  delegate_to: '{{ groups.lb | sort | last }}'",
        "ping:\n  delegate_to: '{{ item }}'\n  loop: \"{{ groups['lb'] }}\"",
        "ping:\n  delegate_to: '{{ x }}'\n  loop_control: {loop_var: x}\n"
        "  with_items: '{{ groups.lb }}'",
        "block: [{ping: }]\n  delegate_to: '{{ groups.lb[0] }}'",
    ],
)  # fmt: skip
def test_a_delegate_out_of_a_named_group_may_be_any_of_it(project: Path, task: str) -> None:
    """Invariant 6: which one is not guessed; every host of the group counts as touched."""
    found = _scan(project, f"- name: X\n  {task}\n")
    assert (found.groups, found.delegates, found.unknown) == (("lb",), (), ())


@pytest.mark.parametrize(
    "host",
    ["{{ groups[g][0] }}", "{{ groups['a' + b] }}", "{{ groups.lb[0] }}-x", "{{ groups }}",
     "{{ groups.lb | difference(groups.b) }}", "{{ groups.lb[0] if a else b }}", "{{ item }}"],
)  # fmt: skip
def test_anything_else_about_groups_is_not_known(project: Path, host: str) -> None:
    found = _scan(project, f'- name: X\n  ping:\n  delegate_to: "{host}"\n')
    assert found.groups == ()
    assert "only the run knows" in found.unknown[0]


def test_yaml_is_read_as_ansible_reads_it_and_deep_nesting_ends_nothing(tmp_path: Path) -> None:
    """Invariant 14: the C parser, which Ansible takes, would end the process by recursion."""
    path = tmp_path / "deep.yml"
    path.write_text("- ansible.builtin.pause: {prompt: Go on?}\n")
    assert document.read(path) == [{"ansible.builtin.pause": {"prompt": "Go on?"}}]
    for text in ("[" * 5_000 + "]" * 5_000, "- " * 5_000 + "x", "{a: " * 101 + "}" * 101):
        path.write_text(text)
        with pytest.raises(ValueError, match="nested too deeply"):
            document.read(path)
