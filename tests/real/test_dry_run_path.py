"""What a dry run showed, or did not, on the whole path: level, question, second look, exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.cli.follow import exit_code
from runner.daemon import Daemon
from runner.incident import Outcome, Purpose, Shown, State
from runner.incident_report.approval_request import load
from runner.project import Project
from tests import small_project as small
from tests.command_line import call, process
from tests.local_hosts import needs_ansible

real, with_ansible = needs_ansible
Start = Callable[..., Project]

#: Four reads and one change that check mode skips; a second one once a file is there.
READS = """\
- name: Read
  ansible.builtin.command: "true"
  check_mode: false
  changed_when: false
  loop: [1, 2, 3, 4]
- name: Look for a second
  ansible.builtin.stat: {{path: "{root}/second"}}
  register: second
- name: Write
  ansible.builtin.copy: {{content: "{{{{ mark_text }}}}", dest: "{root}/marked", mode: "0600"}}
- name: Change unseen
  ansible.builtin.raw: "echo run >> {root}/count-{{{{ inventory_hostname }}}}"
  changed_when: true
- name: Change unseen, too
  ansible.builtin.raw: "echo run >> {root}/count-{{{{ inventory_hostname }}}}"
  changed_when: true
  when: second.stat.exists
- name: Report
  ansible.builtin.set_stats:
    data: {{remediation: {{marked: true}}}}
    per_host: false
    aggregate: false
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a daemon on a small project with these tasks; ends it."""
    started: list[tuple[Project, Daemon]] = []

    def begin(tasks: str, **options: Any) -> Project:
        path = small.make(tmp_path, **options)
        (tmp_path / "roles/mark/tasks/main.yml").write_text(tasks.format(root=tmp_path))
        project = small.project(path)
        daemon = Daemon(project)
        daemon.start()
        started.append((project, daemon))
        return project

    yield begin
    for project, daemon in started:
        daemon.stop()
        project.close()


@real
@with_ansible
def test_a_change_that_only_the_second_look_finds_unshown_cancels_the_run(
    start: Start, tmp_path: Path
) -> None:
    """Invariant 19: at auto a person is asked for what was not shown, and the look before the
    approved run compares what was hidden, not the diff alone."""
    project = start(READS, settings={"policy": {"min_fidelity": 0.6}})
    small.deliver(project, small.alert())
    found = small.wait(project, until=small.waiting)
    dry = found.runs[0]
    assert dry.fidelity.share == 0.5
    assert "The dry run showed 50% of the changes (1 skipped)" in str(found.verdict)
    assert "not shown: mark : Change unseen" in dry.reason and "as wanted" not in dry.reason
    question = found.approvals[0]
    with project.database.read() as tx:
        words = load(tx, question.id).fidelity
    assert words == (
        "50% of 2 changes shown: 1 shown by its diff; 1 not shown: skipped by check mode"
    )
    (tmp_path / "second").touch()
    acts.answer(project, question.id, answer="approved", by="user:ann")
    ended = small.wait(project)
    assert ended.incident.state is State.CANCELLED
    assert (
        "other changes than those approved: web1 · mark : Change unseen, too"
        in ended.incident.reason
    )
    assert small.runs(tmp_path) == 0


NO_CHECKS = {"verify": {"within": "9m", "checks": []}, "undo": "unmark"}


@real
@with_ansible
def test_an_entry_without_checks_goes_to_a_person_at_once_and_undoes_nothing(
    start: Start, tmp_path: Path
) -> None:
    """Invariant 10: nothing can show whether it helped, now or in nine minutes."""
    small.make(tmp_path, entry={"match": [], "level": "auto"})
    (tmp_path / "playbooks/mark").rename(tmp_path / "playbooks/unmark")
    project = start(small.TASKS.replace("{extra}", "true"), entry=NO_CHECKS)
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    acts.answer(project, question.id, answer="approved", by="user:ann", plan=question.plan)
    found = small.wait(project, seconds=60)  # far below the nine minutes
    assert found.incident.state is State.ESCALATED
    assert found.incident.reason == (
        "Unknown: mark has no checks (verify.checks in its entry.yml); a person must check "
        "whether it helped."
    )
    assert [run.purpose for run in found.runs] == [
        Purpose.DRY_RUN, Purpose.RECHECK, Purpose.REMEDIATION,
    ]  # fmt: skip
    assert small.runs(tmp_path) == 1


FAILS = """\
- name: Preflight
  ansible.builtin.assert:
    that: not mark_text.startswith('-')
    fail_msg: "{{{{ mark_text }}}} is no unit"
"""


@real
@with_ansible
def test_a_check_whose_dry_run_failed_does_not_exit_with_0(tmp_path: Path) -> None:
    """`runner run … -p unit=--force --check` once said 0 for a preflight that refused."""
    path = small.make(tmp_path, settings={"level": "dry-run"})
    (tmp_path / "roles/mark/tasks/main.yml").write_text(FAILS.format())
    ended = process(path, "run", "mark", "--host", "web1", "-p", "mark_text=--force", "--check")
    assert ended.returncode == 1, ended.stdout
    assert "incident 1: ByHand on web1: dry_run" in ended.stdout
    handled = process(path, "alert", "handle", "-",
                      input=small.body(small.alert(service="--force")).decode())  # fmt: skip
    assert handled.returncode == 1 and "dry_run" in handled.stdout


def test_the_exit_code_of_a_dry_run_is_that_of_its_last_run(tmp_path: Path) -> None:
    from dataclasses import replace

    from tests import web_site

    project = small.project(small.make(tmp_path))
    number, _ = web_site.waiting(project)
    found = small.look(project, number)
    project.close()
    dry = replace(found, incident=replace(found.incident, state=State.DRY_RUN))
    run = next(run for run in found.runs if run.purpose is Purpose.DRY_RUN)
    for outcome, code in [(Outcome.CHANGED, 0), (Outcome.NO_CHANGE, 0), (Outcome.FAILED, 1),
                          (Outcome.UNREACHABLE, 1), (Outcome.TIMEOUT, 1), (None, 1)]:  # fmt: skip
        assert exit_code([replace(dry, runs=(replace(run, outcome=outcome),))]) == code
    assert exit_code([replace(dry, runs=())]) == 0


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "mark needs a value for mark_text: give it with -p mark_text=VALUE"),
        (
            {"parameters": {"mark_text": {"from": "choice"}}},
            "mark needs a value for mark_text: give it with -p mark_text=VALUE",
        ),
    ],
    ids=["label", "choice"],
)
def test_a_value_that_a_run_by_hand_needs_is_asked_of_the_person(
    tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    """There is no alert that could have had a label."""
    path = small.make(tmp_path, entry=entry)
    ended = call(path, "run", "mark", "--host", "web1", "--check")
    assert ended.exit_code == 2
    assert said in ended.stderr and "alert" not in ended.stderr


def test_rows_of_an_older_version_stay_readable(tmp_path: Path) -> None:
    import sqlalchemy as sa

    from tests import web_site

    project = small.project(small.make(tmp_path))
    number, _ = web_site.waiting(project)
    old = [{"task": kind, "kind": kind, "hosts": 1} for kind in ("simulated", "really_ran")]
    with project.database.write() as tx:
        tx.execute(sa.text("update runs set fidelity = :old"), {"old": json.dumps(old)})
    found = small.look(project, number)
    project.close()
    kinds = [task.kind for task in found.runs[0].fidelity.tasks]
    assert kinds == [Shown.SHOWN, Shown.READ]
