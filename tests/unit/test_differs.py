"""A dry run that may be another thing than the run: what of it cannot be counted is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import policy
from runner.catalog import Catalog, load
from runner.catalog.content import read
from runner.catalog.scan import scan
from runner.config import Policy
from runner.incident import Fidelity, Level, Outcome, Verdict
from runner.plan import watched
from tests import small_project as small
from tests.policy_case import entry
from tests.unit.test_plan import draft, inventory

COUNTED = "- ansible.builtin.command: touch x\n  changed_when: true\n"


def _catalog(root: Path, tasks: str, **files: str) -> Catalog:
    small.make(root)
    (root / "roles/mark/tasks/main.yml").write_text(tasks)
    for name, text in files.items():
        path = root / "roles/mark" / name / "main.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return load(root / "playbooks", (root / "roles",))


def _differs(root: Path, tasks: str, **files: str) -> tuple[str, ...]:
    catalog = _catalog(root, tasks, **files)
    return scan(catalog.get("mark"), catalog.roles).differs


@pytest.mark.parametrize(
    "tasks",
    [
        f'{COUNTED}  loop: "{{{{ [] if ansible_check_mode else [1] }}}}"\n',
        "- ansible.builtin.meta: end_play\n  when: ansible_check_mode\n" + COUNTED,
        "- ansible.builtin.meta: end_host\n  when: ansible_check_mode | bool\n" + COUNTED,
        "- ansible.builtin.set_fact: {dry: '{{ ansible_check_mode }}'}\n" + COUNTED,
        "- vars: {dry: '{{ ansible_check_mode }}'}\n  block:\n  - ansible.builtin.ping:\n",
        "- ansible.builtin.command: \"true {{ '' if ansible_check_mode else 'x' }}\"\n"
        "  changed_when: true\n",
    ],
)
def test_what_goes_by_check_mode_elsewhere_than_in_a_condition_is_named(
    tmp_path: Path, tasks: str
) -> None:
    """Invariant 19: it is in no row of the fidelity, so a person looks at it."""
    (said,) = _differs(tmp_path, tasks)
    assert "ansible_check_mode" in said


def test_variables_of_a_role_that_go_by_check_mode_are_named(tmp_path: Path) -> None:
    """Invariant 19."""
    text = 'mark_dry: "{{ ansible_check_mode }}"\n'
    (said,) = _differs(tmp_path, COUNTED + "  when: not mark_dry\n", vars=text)
    assert said.endswith("vars/main.yml sets variables by ansible_check_mode")


@pytest.mark.parametrize(
    "tasks",
    [
        COUNTED + "  when: not ansible_check_mode\n",
        "- ansible.builtin.command: \"true {{ '' if ansible_check_mode else 'x' }}\"\n"
        "  changed_when: false\n  check_mode: false\n",
    ],
)
def test_what_is_counted_or_changes_nothing_is_not_named(tmp_path: Path, tasks: str) -> None:
    assert _differs(tmp_path, tasks) == ()


def test_a_person_is_asked_about_it(tmp_path: Path) -> None:
    """Invariant 19: whatever share the dry run showed."""
    before = Verdict(level=Level.AUTO, reasons=())
    verdict = policy.judge_dry_run(
        before, Fidelity(), Outcome.NO_CHANGE, Policy(), entry(), differs=["a task goes by it"]
    )
    assert verdict.level is Level.APPROVE
    assert verdict.limiting[0].text.endswith("from its dry run: a task goes by it.")


@pytest.mark.parametrize(
    ("tasks", "lookup"),
    [
        ("- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'cat x') }}\"}\n", "pipe"),
        (
            "- ansible.builtin.debug: {msg: \"{{ query('ansible.builtin.url', 'http://h') }}\"}\n",
            "url",
        ),
        ("- ansible.builtin.debug: {msg: x}\n  with_lines: cat x\n", "lines"),
        (
            "- ansible.builtin.debug: {msg: \"{{ lookup('ns.vault.secret', 'a') }}\"}\n",
            "ns.vault.secret",
        ),
    ],
)
def test_a_lookup_that_reads_what_no_file_says_is_not_covered(
    tmp_path: Path, tasks: str, lookup: str
) -> None:
    """Invariant 16: what it brings can change after the approval, unseen."""
    catalog = _catalog(tmp_path, tasks)
    found = read(catalog, catalog.get("mark")).outside
    assert found == {"roles/mark/tasks/main.yml": frozenset({lookup})}
    plan = watched(draft(tmp_path, inventory()), None, catalog)
    assert plan.uncovered == (
        f"roles/mark/tasks/main.yml: lookup {lookup} reads from outside the plan's files",
    )


def test_a_lookup_in_a_file_beside_the_entry_is_not_covered_either(tmp_path: Path) -> None:
    """Invariant 16."""
    _catalog(tmp_path, "- ansible.builtin.debug: {msg: '{{ word }}'}\n")
    (tmp_path / "shared.yml").write_text("word: \"{{ lookup('ns.vault.secret', 'a') }}\"\n")
    playbook = tmp_path / "playbooks/mark/playbook.yml"
    files = "  gather_facts: false\n  vars_files: [../../shared.yml]\n"
    playbook.write_text(playbook.read_text().replace("  gather_facts: false\n", files))
    catalog = load(tmp_path / "playbooks", (tmp_path / "roles",))
    plan = watched(draft(tmp_path, inventory()), None, catalog)
    said = f"{tmp_path / 'shared.yml'}: lookup ns.vault.secret reads from outside the plan's files"
    assert plan.uncovered == (said,)
