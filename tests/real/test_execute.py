from __future__ import annotations

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import Refused, RunnerError
from runner.evidence.mask import Mask
from runner.execute.environment import private_root
from runner.execute.request import RunResult, TaskEvent
from runner.execute.run import run
from runner.incident import Outcome
from tests.local_hosts import Lab, needs_ansible

pytestmark = needs_ansible

TASKS = """
- name: Check the input
  ansible.builtin.assert: {that: "1 == 1"}
- name: Write the file
  ansible.builtin.copy: {content: "{{ text }}\\n", dest: "{{ where }}", mode: "0600"}
- name: Say the secret
  ansible.builtin.command: "echo password=hunter2"
  changed_when: false
- name: Hide what is hidden
  ansible.builtin.command: "echo topsecret"
  changed_when: false
  no_log: true
- name: Report
  ansible.builtin.set_stats: {data: {remediation: {freed: 3, said: "password=hunter2"}}}
"""
VALUES = {"text": "hello from a variable"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("execute"))


class Done:
    """One real run with everything that can be looked at afterwards."""

    def __init__(self, lab: Lab) -> None:
        self.seen: list[TaskEvent] = []
        self.started: list[tuple[int, int]] = []
        self.secret = "hunter2"
        variables = VALUES | {"where": str(lab.folder / "out.txt")}
        self.result = run(
            lab.request(lab.play(TASKS), variables=variables),
            on_event=self.seen.append,
            on_started=lambda pid, group: self.started.append((pid, group)),
            mask=Mask(),
        )


@pytest.fixture(scope="module")
def done(lab: Lab) -> Done:
    return Done(lab)


def test_a_run_that_changed_something_says_so(done: Done, lab: Lab) -> None:
    assert done.result.outcome is Outcome.CHANGED, done.result.reason
    assert (lab.folder / "out.txt").read_text() == "hello from a variable\n"
    assert done.result.stats["web1"]["changed"] == 1
    assert done.result.hosts_seen == {"web1"}


def test_set_stats_is_reported_masked(done: Done) -> None:
    """Invariant 13: secrets are masked in what the play reports."""
    assert done.result.results == {"freed": 3, "said": "password=[masked]"}


def test_the_live_events_are_those_of_the_result(done: Done) -> None:
    assert tuple(done.seen) == done.result.tasks
    statuses = [(event.task, event.status) for event in done.seen]
    assert statuses[:2] == [("Check the input", "ok"), ("Write the file", "changed")]
    assert all(event.duration.total_seconds() > 0 for event in done.seen)


def test_nothing_kept_or_shown_holds_a_secret(done: Done) -> None:
    """Invariant 13: neither a masked text nor a `no_log` one reaches the disk."""
    kept = "".join(p.read_text() for p in done.result.artifacts.rglob("*") if p.is_file())
    for secret in ("hunter2", "topsecret"):
        assert secret not in kept
        assert secret not in repr(done.result)
    assert "password=[masked]" in kept


def test_what_is_kept_is_for_its_owner_and_has_no_variables(done: Done) -> None:
    """Invariant 13: artifacts are private and hold no variables file."""
    folder = done.result.artifacts
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(p.name for p in folder.iterdir())
    assert files == ["ending.json", "events.jsonl", "facts.jsonl", "intent.json", "process.json",
                     "summary.json", "supervisor.log"]  # fmt: skip
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in folder.iterdir())
    assert (folder / "supervisor.log").read_text() == ""


def test_the_private_folder_is_gone(done: Done) -> None:
    """Invariant 14: nothing of a run stays in memory."""
    intent = json.loads((done.result.artifacts / "intent.json").read_text())
    assert intent["private"].startswith(str(private_root()))
    assert not Path(intent["private"]).exists()


def test_the_supervisor_leads_its_own_group(done: Done) -> None:
    assert len(done.started) == 1
    assert done.started[0][0] == done.started[0][1]


def test_the_same_run_is_never_started_twice(done: Done, lab: Lab) -> None:
    """Invariant 2: the folder of a run can be made once only."""
    with pytest.raises(Refused, match="never started again"):
        run(lab.request(lab.play(TASKS), id=done.result.id))


@pytest.fixture(scope="module")
def spied(lab: Lab) -> str:
    """What the run's own processes were started with, seen from inside the run."""
    os.environ["RUNNER_TEST_LEAK"] = "leaked-environment"
    try:
        result = lab.run(
            """
            - name: Look at every process of the run
              ansible.builtin.shell: |
                for p in /proc/[0-9]*; do
                  if tr '\\0' '\\n' < $p/environ 2>/dev/null | grep -q "=$RUNNER_RUN_ID$"
                  then tr '\\0' ' ' < $p/cmdline; tr '\\0' ' ' < $p/environ; echo; fi
                done > {{ where }}; ls $(dirname $RUNNER_TASK_FACTS) >> {{ where }}
            """,
            variables={"secret_value": "in-a-variable", "where": str(lab.folder / "spied.txt")},
        )
    finally:
        del os.environ["RUNNER_TEST_LEAK"]
    assert result.outcome is Outcome.CHANGED, result.reason
    return (lab.folder / "spied.txt").read_text()


def test_variables_are_in_no_argument_list_and_no_environment(spied: str) -> None:
    """Invariant 13: every user of the machine can read argument lists."""
    assert "watched.py" in spied  # which is ansible-playbook, and notes what it loads
    assert "in-a-variable" not in spied


def test_the_variables_file_is_gone_while_the_run_goes_on(spied: str) -> None:
    """Invariant 13: Ansible has read it before its first event."""
    assert "events.jsonl" in spied
    assert "\nvariables.json" not in spied
    assert "\nspec.json" not in spied


def test_the_runners_environment_does_not_reach_the_run(spied: str) -> None:
    """Invariant 5: the environment is closed."""
    assert "leaked-environment" not in spied


HOSTILE = [
    "{{ lookup('pipe', 'touch CANARY') }}",
    "{% set x = lookup('pipe', 'touch CANARY') %}",
    "{{ lookup('ansible.builtin.pipe', 'touch CANARY') }}",
    "!unsafe {{ lookup('pipe', 'touch CANARY') }}",
    "{{ query('pipe', 'touch CANARY') }}",
    "#jinja2: variable_start_string: '[%'\n[% lookup('pipe', 'touch CANARY') %]",
    "{\"__ansible_unsafe\": \"{{ lookup('pipe', 'touch CANARY') }}\"}",
]


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_no_value_is_ever_a_template(lab: Lab, check: bool) -> None:
    """Invariant 5: in strings, nested, in loops, names and conditions; in check mode and out."""
    canary = lab.folder / f"canary-{check}"
    texts = [text.replace("CANARY", str(canary)) for text in HOSTILE]
    nested = {"deep": [{"deeper": texts, "a-b.c": texts[0]}]}
    out = lab.folder / f"hostile-{check}.json"
    result = lab.run(
        """
        - name: "Show {{ texts[0] }}"
          ansible.builtin.debug: {msg: "{{ item }} {{ nested }} {{ one }}"}
          loop: "{{ texts }}"
        - name: Keep them in a fact
          ansible.builtin.set_fact: {kept: "{{ nested.deep[0].deeper }}", also: "{{ one }}"}
        - name: Compare
          ansible.builtin.assert: {that: ["kept == texts", "also == one", "one in texts"]}
        - name: Write them down
          ansible.builtin.copy: {content: "{{ kept | to_json }}", dest: "{{ out }}", mode: "0600"}
        """,
        variables={"texts": texts, "nested": nested, "one": texts[0], "out": str(out)},
        check=check,
    )
    assert result.outcome is Outcome.CHANGED, result.reason
    assert not canary.exists()
    assert check or json.loads(out.read_text()) == texts


def outcome_of(lab: Lab, tasks: str, hosts: str = "all", **given: object) -> RunResult:
    return run(lab.request(lab.play(tasks, hosts=hosts), **given))


def test_delegation_to_a_host_outside_the_plan_fails_the_run(lab: Lab) -> None:
    """Invariant 6: even where `no_log` hides the result, in a loop as well."""
    tasks = """
    - ansible.builtin.command: "true"
      delegate_to: web2
      no_log: true
      changed_when: false
    - ansible.builtin.command: "true"
      delegate_to: "{{ name }}"
      no_log: true
      changed_when: false
      loop: [web1, web3]
      loop_control: {loop_var: name}
    """
    result = outcome_of(lab, tasks, allowed=frozenset({"web2"}))
    assert result.outcome is Outcome.FAILED
    assert "web3" in result.reason
    assert "web2" not in result.reason
    assert result.hosts_seen == {"web1", "web2", "web3"}


def test_a_host_that_the_play_does_not_match_is_no_hosts(lab: Lab) -> None:
    """Invariant 9: ansible-runner calls it successful."""
    assert outcome_of(lab, "- debug:", hosts="web2").outcome is Outcome.NO_HOSTS


def test_a_host_that_the_inventory_does_not_have_is_no_hosts(lab: Lab) -> None:
    """Invariant 6: an unknown limit reaches nothing."""
    result = run(lab.request(lab.play("- debug:"), hosts=("web9",)))
    assert result.outcome is Outcome.NO_HOSTS, result.reason


def test_an_unknown_host_beside_a_known_one_fails_the_run(lab: Lab) -> None:
    """Invariant 6: Ansible would silently run on the known one only."""
    result = run(lab.request(lab.play("- debug:"), hosts=("web1", "web9")))
    assert result.outcome is Outcome.FAILED
    assert "web9" in result.reason


def test_all_skipped_ignored_and_failed_are_told_apart(lab: Lab) -> None:
    """Invariant 9: one play, three hosts, three ends; the worst one counts."""
    tasks = """
    - ansible.builtin.command: "true"
      when: false
    - name: Fall over
      ansible.builtin.command: "false"
      when: inventory_hostname == 'web2'
      ignore_errors: true
    """
    hosts = ("web1", "web2")
    result = run(lab.request(lab.play(tasks), hosts=hosts))
    assert result.outcome is Outcome.TOLERATED_FAILURE
    assert "Fall over" in result.reason
    alone = run(lab.request(lab.play(tasks)))
    assert alone.outcome is Outcome.ALL_SKIPPED


def test_a_play_that_cannot_be_read_never_ran(lab: Lab) -> None:
    result = run(lab.request(lab.write("bad.yml", "- hosts: all\n  tosks: []\n")))
    assert result.outcome is Outcome.FAILED
    assert "tosks" in result.reason


def test_a_slow_display_never_slows_the_run(lab: Lab) -> None:
    """Invariant 14: what a display does not take in time is dropped."""
    free = threading.Event()
    taken: list[TaskEvent] = []

    def slow(event: TaskEvent) -> None:
        taken.append(event)
        free.wait(60)

    result = run(lab.request(lab.play("- debug:\n- debug:\n- debug:")), on_event=slow)
    free.set()
    assert len(taken) == 1
    assert len(result.tasks) == 3


def test_a_failing_display_does_not_fail_the_run(lab: Lab) -> None:
    def broken(event: TaskEvent) -> None:
        raise ValueError("no terminal")

    assert run(lab.request(lab.play("- debug:")), on_event=broken).outcome is Outcome.NO_CHANGE


def test_several_threads_run_at_once(lab: Lab) -> None:
    requests = [lab.request(lab.play("- debug:"), hosts=(h,)) for h in ("web1", "web2")]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, requests))
    assert [set(result.stats) for result in results] == [{"web1"}, {"web2"}]


def test_an_output_beyond_all_bounds_is_cut(lab: Lab) -> None:
    """Invariant 14: a run's artifacts and result are bounded."""
    tasks = "- ansible.builtin.command: seq 1 9000\n- ansible.builtin.command: seq 1 400000"
    result = lab.run(tasks)
    assert result.outcome is Outcome.CHANGED
    assert [event.status for event in result.tasks] == ["changed", "changed"]
    assert "[cut: " in result.tasks[0].text
    assert "too large" in result.tasks[1].text
    assert (result.artifacts / "events.jsonl").stat().st_size < 100_000


def test_a_run_that_cannot_be_started_leaves_nothing(lab: Lab) -> None:
    """Invariant 2: what was refused before the start can be told from what ran."""
    blocked = lab.write("a-file", "")
    with pytest.raises(RunnerError):
        run(lab.request(lab.play("- debug:"), artifacts=blocked / "below"))
