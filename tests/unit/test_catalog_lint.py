"""Lint: what a catalog that loads still must not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.catalog import Catalog, load
from runner.catalog.entry import Entry
from runner.catalog.lint import HEADINGS, lint
from runner.catalog.lint_choice import alike, of_considered
from runner.catalog.scaffold import new
from runner.catalog.scan import Scan
from runner.errors import UsageError
from tests.policy_case import entry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new(tmp_path / "playbooks", tmp_path / "roles", "heal")
    return tmp_path


def _lint(project: Path) -> list[str]:
    problems = lint(load(project / "playbooks", (project / "roles",)))
    return [str(problem).replace(f"{project}/", "") for problem in problems]


def _edit(project: Path, file: str, old: str, new_text: str) -> None:
    path = project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new_text, 1))


def test_a_new_entry_loads_and_lints_clean(project: Path) -> None:
    assert _lint(project) == []


def test_a_new_entry_never_overwrites_one(project: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        new(project / "playbooks", project / "roles", "heal")


@pytest.mark.parametrize("id", ["", "Heal", "../heal", "a-b", "1a", "a" * 65, "a\n"])
def test_a_new_entry_needs_an_id(tmp_path: Path, id: str) -> None:
    with pytest.raises(UsageError, match="cannot be an id"):
        new(tmp_path / "playbooks", tmp_path / "roles", id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_readme_has_its_headings(project: Path, heading: str) -> None:
    _edit(project, "playbooks/heal/README.md", f"## {heading}\n", "")
    assert _lint(project) == [f"playbooks/heal/README.md: has no heading {heading}"]


def test_no_dry_run_needs_a_word(project: Path) -> None:
    _edit(project, "playbooks/heal/entry.yml", "risk:", "dry_run: none\nrisk:")
    assert "does not say why the entry has no dry run" in _lint(project)[0]
    _edit(project, "playbooks/heal/README.md", "What this", "Check mode shows nothing. What this")
    assert _lint(project) == []


@pytest.mark.parametrize(
    ("old", "new_text", "said"),
    [
        ("hosts: all", "hosts: web", "needs hosts: all"),
        ("  gather_facts: false\n", "", "must say gather_facts"),
        ("- role: heal", "- role: heal\n    - role: heal", "must run the one role heal"),
        ("  roles:", "  vars: {a: 1}\n  roles:", "must set no variables"),
        ("  roles:", "  vars_prompt: [{name: a}]\n  roles:", "asks for a (vars_prompt)"),
        ("  roles:", "  tasks: [{ping: }]\n  roles:", "must have no tasks"),
        ("- name: Heal", "- hosts: all\n- name: Heal", "must hold exactly one play"),
    ],
)
def test_a_playbook_is_one_play_with_one_role(
    project: Path, old: str, new_text: str, said: str
) -> None:
    _edit(project, "playbooks/heal/playbook.yml", old, new_text)
    assert [said in problem for problem in _lint(project) if " radius " not in problem] == [True]


def test_a_play_for_several_hosts_stops_at_the_first_failure(project: Path) -> None:
    _edit(project, "playbooks/heal/entry.yml", "risk:", "target: {max_hosts: 2}\nrisk:")
    _edit(project, "playbooks/heal/playbook.yml", "  serial: 1\n", "")
    assert "needs serial and any_errors_fatal" in _lint(project)[0]


@pytest.mark.parametrize("name", ["group_vars", "library", "filter_plugins", "roles"])
def test_nothing_is_used_without_being_named(project: Path, name: str) -> None:
    (project / "playbooks/heal" / name).mkdir()
    assert "would be used by Ansible without being named" in _lint(project)[0]


@pytest.mark.parametrize(
    ("old", "new_text", "said"),
    [
        ("        type: path\n", "", "heal_directory has no type"),
        ("        description: Directory that holds the thing.\n", "", "has no description"),
        ("type: path", "type: path\n        default: /x", "has a default, which sets nothing"),
        ("      heal_directory:", "      heal_other:", "does not describe heal_directory"),
        ("        required: true\n", "", "sets no heal_name"),
    ],
)
def test_specs_and_defaults_say_the_same(project: Path, old: str, new_text: str, said: str) -> None:
    _edit(project, "roles/heal/meta/argument_specs.yml", old, new_text)
    assert any(said in problem for problem in _lint(project))


def test_a_required_variable_has_no_default(project: Path) -> None:
    _edit(project, "roles/heal/defaults/main.yml", "# heal_name: comes", "heal_name: comes")
    assert "sets heal_name, which is required" in _lint(project)[0]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("ping:", "must be a full name such as ansible.builtin.ping"),
        ("ansible.builtin.pause: {prompt: Go on}", "waits for a person (pause without"),
        ("ansible.builtin.pause: {seconds: 5}", "pauses"),
        ("ansible.builtin.ping:\n  ignore_errors: true", "has ignore_errors"),
        ("ansible.builtin.command: {argv: [id]}", "needs changed_when"),
        (
            'ansible.builtin.shell: "rm {{ heal_name }}"\n  changed_when: true',
            "gives heal_name to a shell; it needs the quote filter",
        ),
        (
            'ansible.builtin.shell:\n    cmd: "rm {{ heal_name | quote | upper }}"\n'
            "  changed_when: true",
            "it needs the quote filter",
        ),
        (
            'ansible.builtin.command: "rm {{ heal_name }}"\n  changed_when: true',
            "where a space splits it; use argv",
        ),
        ("block: [{name: Y, ansible.builtin.ping: }]\n  ignore_errors: true", "ignore_errors"),
        ("when: true", "names no module"),
    ],
)
def test_a_task_is_refused(project: Path, task: str, said: str) -> None:
    (project / "roles/heal/tasks/remediate.yml").write_text(f"---\n- name: X\n  {task}\n")
    problems = _lint(project)
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize(
    "task",
    [
        'ansible.builtin.shell: "rm {{ heal_name | quote }}"\n  changed_when: true',
        'ansible.builtin.command: {argv: [rm, "{{ heal_name }}"], creates: /x}',
        "ansible.builtin.ping:\n  ignore_errors: false",
        "heal_module:",
    ],
)
def test_a_task_is_fine(project: Path, task: str) -> None:
    (project / "roles/heal/library").mkdir()
    (project / "roles/heal/library/heal_module.py").touch()
    (project / "roles/heal/tasks/remediate.yml").write_text(f"---\n- name: X\n  {task}\n")
    assert _lint(project) == []


def test_a_role_may_use_the_modules_of_a_role_that_only_carries_code(project: Path) -> None:
    (project / "roles/carrier/library").mkdir(parents=True)
    (project / "roles/carrier/library/carried.py").touch()
    (project / "roles/heal/tasks/remediate.yml").write_text("---\n- name: X\n  carried:\n")
    assert "uses carried, which must be a full name" in _lint(project)[0]
    (project / "roles/heal/meta/main.yml").write_text("dependencies: [carrier]\n")
    assert _lint(project) == []


def test_a_role_has_a_molecule_scenario(project: Path) -> None:
    (project / "roles/heal/molecule/default/molecule.yml").unlink()
    assert "has no molecule/default scenario" in _lint(project)[0]


def test_level_auto_needs_a_play_whose_hosts_are_known(project: Path) -> None:
    """Invariant 6: what may touch unknown hosts does not run without a person."""
    path = project / "roles/heal/tasks/remediate.yml"
    path.write_text('- name: X\n  ansible.builtin.ping:\n  delegate_to: "{{ peer }}"\n')
    (note,) = lint(load(project / "playbooks", (project / "roles",)))
    assert note.note and "blast radius not known, a person is asked" in note.text
    _edit(project, "playbooks/heal/entry.yml", "level: dry-run", "level: auto")
    (problem,) = lint(load(project / "playbooks", (project / "roles",)))
    assert not problem.note and "level auto is too high" in problem.text


def test_a_free_path_does_not_come_from_outside(project: Path) -> None:
    """Invariant 5: nothing from outside is a path."""
    _edit(project, "playbooks/heal/entry.yml", "  heal_name:",
          "  heal_directory: {from: choice}\n  heal_name:")  # fmt: skip
    assert "a free path must not come from outside" in _lint(project)[0]


def test_the_shipped_catalog_lints_clean() -> None:
    if not list((ROOT / "playbooks").glob("*/entry.yml")):
        pytest.skip("playbooks/ has no entry yet")
    assert list(map(str, lint(load(ROOT / "playbooks", ())))) == []


def _remediation(id: str, **changes: Any) -> Entry:
    given = {"id": id, "title": "Restart a service", "description": "Restarts one unit."}
    return entry(**given | {"match": ['alertname="A"'], **changes})


def test_two_entries_that_read_alike_are_noted() -> None:
    entries = [
        _remediation("one"),
        _remediation("two"),
        _remediation("three", description="Empties a directory of old files."),
        _remediation("by_hand", match=[]),
    ]
    known = {each.id: each for each in entries}
    catalog = Catalog(playbooks=Path(), roles=(), entries=known, schemas={})  # type: ignore[arg-type]
    (found,) = alike(catalog)
    assert (found.entry.id, found.text.split(":")[0]) == ("two", "reads like one")


def test_an_entry_that_may_be_proposed_says_what_a_chooser_needs() -> None:
    wide = _remediation("wide", consider=['severity!="info"'])
    said = " ".join(hint.text for hint in of_considered(wide, Scan(unknown=("x includes y",))))
    assert "no not_for" in said
    assert "matches every alert" in said
    assert "its dry run may do something: x includes y" in said
    fine = _remediation("fine", consider=['service!=""'], not_for=["a full disk"])
    assert list(of_considered(fine, Scan())) == []
    assert list(of_considered(_remediation("rules"), Scan(unknown=("x",)))) == []
