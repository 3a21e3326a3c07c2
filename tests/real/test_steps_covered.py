"""What a plan's hash covers on the path of an incident, and what it leaves out on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.incident import Decision, Outcome, Purpose, State
from runner.project import Project
from runner.steps.ask import ask
from runner.steps.confirm import confirm, undo
from runner.steps.judge import judge
from runner.steps.rehearse import rehearse
from runner.store import incidents, records, runs, workers
from tests import small_project as small
from tests.local_hosts import needs_ansible
from tests.real.test_learning import opened, ran

Made = Callable[..., Project]
pytestmark = needs_ansible


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Makes a small project with one living worker, in which nobody works."""
    projects: list[Project] = []

    def make(**options: Any) -> Project:
        project = small.project(small.make(tmp_path, **options))
        project.worker = "worker"
        with project.database.write() as tx:
            workers.join(tx, "worker", "here")
        projects.append(project)
        return project

    yield make
    for project in projects:
        project.close()


def rehearsed(project: Project) -> int:
    """An incident whose plan is made."""
    incident = opened(project)
    with project.database.write() as tx:
        chosen = Decision(decider="rules", entry="mark", reason="it fits", confidence=1.0)
        records.put_decision(tx, incident, chosen)
    judge(project, incident)
    rehearse(project, incident)
    return incident


def test_a_password_file_of_vaults_is_no_part_of_a_plan(made: Made, tmp_path: Path) -> None:
    """Invariant 13: not even its digest is kept; and a new password changes nothing that runs."""
    password = tmp_path / "playbooks/prod.pass"
    project = made(settings={"execution": {"vault_ids": {"prod": str(password)}}})
    password.write_text("a secret word\n")
    password.chmod(0o600)
    incident = rehearsed(project)
    found = small.look(project, incident)
    (dry_run,) = found.runs
    assert dry_run.outcome is Outcome.CHANGED, dry_run.reason
    assert str(tmp_path / "roles/mark/tasks/main.yml") in dry_run.loaded
    assert found.plan is not None
    assert str(password) not in {*dry_run.loaded, *found.plan.loaded}


def test_an_undo_that_no_hash_covers_is_not_run(made: Made, tmp_path: Path) -> None:
    """Invariant 16: the person who let the plan through could not have seen what it does."""
    files = {
        "playbook.yml": small.PLAYBOOK.replace("[mark]", "[unmark]"),
        "README.md": "# Unmark\n",
        "entry.yml": json.dumps(small.ENTRY | {"title": "Unmark", "match": ['alertname="Never"'],
                                               "role": "unmark", "parameters": {}}),
    }  # fmt: skip
    (tmp_path / "playbooks/unmark").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "playbooks/unmark" / name).write_text(text)
    (tmp_path / "roles/unmark/tasks").mkdir(parents=True)
    (tmp_path / "roles/unmark/meta").mkdir()
    (tmp_path / "roles/unmark/meta/argument_specs.yml").write_text("argument_specs: {main: {}}\n")
    (tmp_path / "roles/unmark/tasks/main.yml").write_text(
        f"- ansible.builtin.raw: touch {tmp_path}/undone\n"
        "- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'id') }}\"}\n"
    )
    checks = {"within": "1s", "hold": "0s", "checks": [{"result": {"marked": False}}]}
    entry = {"dry_run": "none", "undo": "unmark", "verify": checks}
    project = made(entry=entry, settings={"retry": {"attempts": 1}})
    incident = rehearsed(project)
    assert ask(project, incident)
    ran(project, incident, None)
    with project.database.write() as tx:
        assert incidents.move(tx, incident, State.VERIFYING, "it ran")
    assert confirm(project, incident) == "undo"
    assert not undo(project, incident)
    found = small.look(project, incident).incident
    assert found.state is State.ESCALATED
    assert "The undo unmark was not run: " in found.reason
    assert "lookup pipe" in found.reason
    with project.database.read() as tx:
        assert Purpose.UNDO not in [run.purpose for run in runs.of_incident(tx, incident)]
    assert not (tmp_path / "undone").exists()


def test_a_dry_run_that_failed_says_which_task_and_why(made: Made, tmp_path: Path) -> None:
    """With what a person needs to begin, and no secret in it."""
    project = made()
    (tmp_path / "roles/mark/tasks/main.yml").write_text(
        "- name: Look for the unit\n"
        "  ansible.builtin.fail: {msg: 'no such unit, password=hunter2'}\n"
    )
    found = small.look(project, rehearsed(project)).incident
    assert found.state is State.ESCALATED
    said = "a task failed on web1: mark : Look for the unit: no such unit, password=[masked]"
    assert (
        found.reason
        == f"level dry-run: The dry run ended failed, so the run does not start: {said}."
    )
