"""What waits for a person, or would outlive its run, is refused by name before anything starts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.catalog import load
from runner.catalog.scan import scan
from runner.daemon import Daemon
from runner.incident import State
from runner.project import Project
from tests import small_project as small
from tests.command_line import call
from tests.local_hosts import needs_ansible

real, with_ansible = needs_ansible
INPUTS = Path(__file__).parents[1] / "inputs"

PROMPT = (INPUTS / "P2-prompt-hangs/playbook.yml").read_text().replace("{role: p2}", "{role: mark}")
FORGET = (INPUTS / "P3-async-and-forget/remediate.yml").read_text()
PAUSE = "- name: Wait for somebody\n  ansible.builtin.pause: {prompt: Go on?}\n"

#: (playbook, tasks, what is said): every kind of what cannot work where nobody sits
KINDS = [
    pytest.param(PROMPT, "", "the play 'P' asks for x (vars_prompt)", id="vars_prompt"),
    pytest.param("", FORGET, "'Remediate | Start in the background' would outlive the run",
                 id="async and forget"),
    pytest.param("", PAUSE, "'Wait for somebody' waits for a person (pause", id="pause"),
]  # fmt: skip


def project(root: Path, playbook: str = "", tasks: str = "", **settings: str) -> Path:
    path = small.make(root, settings=settings)
    if playbook:
        (root / "playbooks/mark/playbook.yml").write_text(playbook)
    if tasks:
        file = root / "roles/mark/tasks/main.yml"
        file.write_text(file.read_text() + tasks)
    return path


def obstacles(root: Path, tasks: str, playbook: str = "", kind: str = "remediation") -> list[str]:
    """What is said of one entry, without the folder."""
    small.make(root, entry={"kind": kind})
    (root / "roles/mark/tasks/main.yml").write_text(tasks)
    if playbook:
        (root / "playbooks/mark/playbook.yml").write_text(playbook)
    catalog = load(root / "playbooks", (root / "roles",))
    found = scan(catalog.get("mark"), catalog.roles).obstacles
    return [text.replace(f"{root}/", "") for text in found]


@pytest.mark.parametrize(("playbook", "tasks", "said"), KINDS)
def test_run_lint_and_check_all_name_it_and_nothing_is_started(
    tmp_path: Path, playbook: str, tasks: str, said: str
) -> None:
    """Invariant 14: it would wait until the timeout with the host locked, or run on unseen."""
    path = project(tmp_path, playbook, tasks)
    asked = call(path, "run", "mark", "--host", "web1", "-p", "mark_text=x", "--check")
    assert asked.exit_code == 6, asked.output
    assert "mark can never be run" in asked.stderr and said in asked.stderr
    assert len(asked.stderr.splitlines()) == 1
    assert "No incidents found" in call(path, "incident", "list").output
    linted = call(path, "catalog", "lint")
    assert linted.exit_code == 3 and said in " ".join(linted.output.split())
    checked = call(path, "check")
    assert checked.exit_code == 3
    line = next(line for line in checked.output.splitlines() if said in line)
    assert line.startswith("error")


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Project]:
    made = small.project(project(tmp_path, PROMPT))
    daemon = Daemon(made)
    daemon.start()
    yield made
    daemon.stop()
    made.close()


@real
@with_ansible
def test_an_alert_for_it_goes_to_a_person_without_any_run(working: Project) -> None:
    """Invariant 14: not even a dry run is started, which would hang at the question."""
    small.deliver(working, small.alert())
    found = small.wait(working)
    assert found.incident.state is State.ESCALATED
    assert "the play 'P' asks for x (vars_prompt)" in found.incident.reason
    assert found.runs == ()


@pytest.mark.parametrize(
    "pause", ["{seconds: 5}", "{minutes: 1}", "{seconds: '{{ wait }}'}", "seconds=5"]
)
def test_a_pause_with_a_time_ends_by_itself(tmp_path: Path, pause: str) -> None:
    assert obstacles(tmp_path, f"- name: Wait\n  ansible.builtin.pause: {pause}\n") == []


@pytest.mark.parametrize("pause", ["", "{prompt: seconds}", "{echo: false}", "{minutes: null}"])
def test_a_pause_without_one_waits_for_a_person(tmp_path: Path, pause: str) -> None:
    found = obstacles(tmp_path, f"- name: Wait\n  pause: {pause}\n")
    assert len(found) == 1 and found[0].startswith("roles/mark/tasks/main.yml: 'Wait' waits for")


START = """\
- name: Start
  ansible.builtin.command: sleep 5
  async: 10
  poll: {poll}
  register: started
"""
AWAIT = """\
- name: Wait for it
  ansible.builtin.async_status: {{jid: "{{{{ {jid} }}}}"}}
"""


@pytest.mark.parametrize(
    ("tasks", "forgotten"),
    [
        (START.format(poll=5), False),
        (START.format(poll=0), True),
        (START.format(poll="'{{ poll }}'"), True),
        (START.format(poll="²"), True),
        (START.format(poll=0) + AWAIT.format(jid="started.ansible_job_id"), False),
        (START.format(poll=0) + AWAIT.format(jid="other.ansible_job_id"), True),
        (AWAIT.format(jid="started.ansible_job_id") + START.format(poll=0), True),
        (
            START.format(poll=0)
            + "- name: Keep\n  set_fact: {job: '{{ started.ansible_job_id }}'}\n"
            + AWAIT.format(jid="job"),
            False,
        ),
        (
            f"- name: Together\n  block:\n{textwrap.indent(START.format(poll=0), '    ')}"
            + AWAIT.format(jid="started.ansible_job_id"),
            False,
        ),
    ],
    ids=["polled", "forgotten", "templated", "no number", "awaited", "another's", "before",
         "by fact", "block"],
)  # fmt: skip
def test_async_without_poll_needs_a_later_task_that_waits_for_it(
    tmp_path: Path, tasks: str, forgotten: bool
) -> None:
    """Invariant 3: what goes on after the run holds no lock."""
    assert bool(obstacles(tmp_path, tasks)) is forgotten


def test_a_drill_may_leave_its_fault_behind_which_ends_by_itself(tmp_path: Path) -> None:
    assert obstacles(tmp_path, START.format(poll=0), kind="drill") == []
    assert obstacles(tmp_path, PAUSE, kind="drill") != []


@pytest.mark.parametrize(
    ("play", "said"),
    [
        ("  strategy: debug\n", "stops for a person at each failure (strategy: debug)"),
        ("  strategy: ansible.builtin.debug\n", "(strategy: debug)"),
        ("  debugger: on_failed\n", "stops for a person (debugger: on_failed)"),
        ("  debugger: never\n", None),
        ("  vars_prompt: [{name: a}, {name: b, private: true}]\n", "asks for a, b (vars_prompt)"),
        ("  vars_prompt: []\n", None),
    ],
)
def test_the_play_itself_may_wait_for_a_person(tmp_path: Path, play: str, said: str | None) -> None:
    found = obstacles(tmp_path, "[]", small.PLAYBOOK + play)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_a_playbook_that_is_imported_is_read_too(tmp_path: Path) -> None:
    small.make(tmp_path)
    (tmp_path / "playbooks/mark/other.yml").write_text(PROMPT)
    found = obstacles(tmp_path, "[]", "- import_playbook: other.yml\n")
    assert len(found) == 1 and "asks for x (vars_prompt)" in found[0]


def test_a_play_for_windows_or_for_a_switch_is_refused_by_its_connection(tmp_path: Path) -> None:
    playbook = small.PLAYBOOK.replace("  gather_facts", "  connection: network_cli\n  gather_facts")
    [text] = obstacles(tmp_path, "- ansible.builtin.ping:\n", playbook)
    assert "connection network_cli is for network devices, which the runner does not" in text
