from __future__ import annotations

from typing import Any

import pytest

from runner.execute.rehearsal import fidelity_of
from runner.execute.request import RunResult
from runner.incident import Fidelity
from tests.execute_lab import Lab, needs_ansible

real, with_ansible = needs_ansible


def started(
    uuid: str, *, reads: tuple[str, ...] = (), sets: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {"uuid": uuid, "task": uuid, "reads": list(reads), "sets": list(sets)}


def ended(
    uuid: str, status: str = "ok", action: str = "command", host: str = "web1", **res: Any
) -> dict[str, Any]:
    return {
        "event": f"runner_on_{status}", "uuid": uuid, "host": host, "task": uuid,
        "action": f"ansible.builtin.{action}", "res": res,
    }  # fmt: skip


def fact(uuid: str, *, skipped: str | None = None, check: bool = True) -> dict[str, Any]:
    return {"uuid": uuid, "host": "web1", "check": check, "skipped": skipped}


def kinds(fidelity: Fidelity) -> dict[str, str]:
    return {task.task: task.kind for task in fidelity.tasks}


def test_a_task_without_facts_counts_as_skipped() -> None:
    """Invariant 10: missing data is unknown, and unknown is not shown."""
    assert kinds(fidelity_of([ended("a")], [])) == {"a": "skipped"}


def test_a_result_too_large_to_keep_counts_as_skipped() -> None:
    """Invariant 10: what was lost was not shown."""
    seen = fidelity_of([ended("a", lost=True)], [started("a"), fact("a")])
    assert kinds(seen) == {"a": "skipped"}


def test_a_task_that_failed_was_not_shown() -> None:
    assert kinds(fidelity_of([ended("a", "failed")], [started("a")])) == {"a": "skipped"}


def test_the_taint_of_a_skipped_task_goes_through_facts() -> None:
    events = [ended("a", "skipped"), ended("b", action="set_fact"), ended("c", action="copy")]
    facts = [started("a", sets=("up",)), fact("a", skipped="check"),
             started("b", reads=("up",), sets=("x",)), started("c", reads=("x",))]  # fmt: skip
    assert kinds(fidelity_of(events, facts)) == {"a": "skipped", "c": "fed_by_skipped"}


def test_a_condition_that_rests_on_a_skipped_task_is_flagged() -> None:
    events = [ended("a", "skipped"), ended("b", "skipped")]
    facts = [started("a", sets=("up",)), fact("a", skipped="check"),
             started("b", reads=("up",)), fact("b", skipped="when")]  # fmt: skip
    assert kinds(fidelity_of(events, facts))["b"] == "fed_by_skipped"


def test_a_plain_condition_that_was_false_counts_for_nothing() -> None:
    facts = [started("a"), fact("a", skipped="when")]
    assert fidelity_of([ended("a", "skipped")], facts).tasks == ()


def test_the_worst_host_counts() -> None:
    events = [ended("a"), ended("a", "skipped", host="web2")]
    seen = fidelity_of(events, [started("a"), fact("a")])
    assert kinds(seen) == {"a": "skipped"}
    assert seen.tasks[0].hosts == 1


@pytest.mark.parametrize("action", ["assert", "debug", "set_fact", "meta", "include_tasks"])
def test_tasks_without_an_effect_do_not_count(action: str) -> None:
    assert fidelity_of([ended("a", action=action)], [started("a")]).tasks == ()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    lab = Lab(tmp_path_factory.mktemp("fidelity"))
    lab.write("more.yml", "- name: included\n  ansible.builtin.command: uptime\n")
    return lab.run(
        f"""
        - name: simulated
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/x, mode: "0600"}}
        - name: skipped
          ansible.builtin.command: uptime
          register: __up
        - name: really
          ansible.builtin.command: "true"
          check_mode: false
          changed_when: false
        - name: whole block
          check_mode: false
          block:
            - name: really in a block
              ansible.builtin.command: "true"
              changed_when: false
        - name: fact
          ansible.builtin.set_fact: {{load: "{{{{ __up.stdout | default('') }}}}"}}
        - name: fed
          ansible.builtin.copy: {{content: "{{{{ load }}}}", dest: {lab.folder}/y, mode: "600"}}
        - name: fed by a condition
          ansible.builtin.file: {{path: {lab.folder}, state: directory}}
          when: __up.rc | default(1) == 0
        - name: not wanted
          ansible.builtin.command: uptime
          when: 1 == 2
        - name: loop
          ansible.builtin.command: "echo {{{{ item }}}}"
          loop: [1, 2]
        - name: hidden
          ansible.builtin.command: uptime
          no_log: true
        - name: include
          ansible.builtin.include_tasks: more.yml
        """,
        check=True,
    )


@real
@with_ansible
def test_each_task_is_told_for_what_it_was(rehearsed: RunResult) -> None:
    assert kinds(rehearsed.fidelity) == {
        "simulated": "simulated",
        "skipped": "skipped",
        "really": "really_ran",
        "really in a block": "really_ran",
        "fed": "fed_by_skipped",
        "fed by a condition": "fed_by_skipped",
        "loop": "skipped",
        "hidden": "skipped",
        "included": "skipped",
    }


@real
@with_ansible
def test_its_share_is_what_was_really_shown(rehearsed: RunResult) -> None:
    assert rehearsed.fidelity.share == pytest.approx(3 / 9)
