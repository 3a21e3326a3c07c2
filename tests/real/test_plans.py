"""Plans of several steps, with the real engine and real Ansible on local hosts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.errors import UsageError
from runner.incident import Outcome, Purpose, State
from runner.incident_report import Bundle
from runner.project import Project
from tests import small_plan
from tests import small_project as small

# Those marked store also show that locks, transactions and times are the same on PostgreSQL.
pytestmark = pytest.mark.real

Start = Callable[..., Project]
WHOLE = ["add s4", "retire s4", "clear s1"]


@pytest.fixture
def start(tmp_path: Path, store_url: str) -> Iterator[Start]:
    """Starts a daemon on the small project; ends what it started."""
    started: list[tuple[Project, Daemon]] = []

    def begin(**options: Any) -> Project:
        project = small.project(small_plan.make(tmp_path, **options), store_url)
        daemon = Daemon(project)
        daemon.start()
        started.append((project, daemon))
        return project

    yield begin
    for project, daemon in started:
        daemon.stop()
        project.close()


def ended(project: Project, incident: int = 1) -> Bundle:
    """The bundle at the end: six Ansible runs take their time on a busy machine."""
    return small.wait(project, incident, seconds=400.0)


def inventory(**hosts: dict[str, Any]) -> dict[str, Any]:
    """The usual inventory with variables added to some hosts."""
    changed = copy.deepcopy(small_plan.INVENTORY)
    for group in changed["all"]["children"].values():
        for name in group["hosts"]:
            group["hosts"][name] |= hosts.get(name, {})
    return changed


UNREACHABLE = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 9,
    "ansible_ssh_common_args": "-o ConnectTimeout=2",
}


@pytest.mark.store
def test_every_step_runs_in_order_where_it_belongs(start: Start, tmp_path: Path) -> None:
    """Invariant 6: spare, peer and target are exact names, chosen by code, in the plan."""
    project = start()
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert small_plan.order(tmp_path) == WHOLE
    assert found.plan is not None
    assert found.plan.places == {"target": "s1", "spare": "s4", "peer": "s4"}
    assert [step.touched for step in found.plan.steps] == [("s4",), ("s1", "s4"), ("s1",)]
    assert (tmp_path / "retire-s4").read_text() == "s1 \n"
    assert [(run.purpose, run.step) for run in found.runs] == [
        (Purpose.DRY_RUN, 1), (Purpose.REMEDIATION, 1),
        (Purpose.DRY_RUN, 2), (Purpose.REMEDIATION, 2),
        (Purpose.DRY_RUN, 3), (Purpose.REMEDIATION, 3),
    ]  # fmt: skip
    assert [run.hosts for run in found.runs[2:4]] == [("s1", "s4")] * 2
    said = [t.reason for t in found.transitions if t.action == "step"]
    assert [reason.partition(":")[0] for reason in said] == [
        "step 1 of 3, add on s4",
        "step 2 of 3, retire on s4",
    ]


@pytest.mark.store("nightly")
def test_one_person_approves_all_steps_by_one_hash(start: Start, tmp_path: Path) -> None:
    first = {
        "target": {"host": "spare", "part": "unit add_member"},
        "parameters": {"add_member": {"from": "constant", "value": "s1"}},
    }
    known = inventory(s4={"runner_parts": {"unit": ["s1"]}})
    project = start(settings={"level": "approve"}, entries={"add": first}, inventory=known)
    small.deliver(project, small.alert(host="s1"))
    waiting = small.wait(project, until=small.waiting)
    assert waiting.radius is not None
    assert (waiting.radius.hosts, waiting.radius.part) == (("s1", "s4"), None), "the whole hosts"
    assert "dry run of steps 2 to 3 right before the run" in waiting.transitions[-2].reason
    acts.answer(project, waiting.approvals[0].id, answer="approved", by="user:ann")
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert len(found.approvals) == 1
    assert small_plan.order(tmp_path) == WHOLE
    assert {run.part for run in found.runs if run.step == 1} == {"unit s1.service"}


def test_a_later_step_that_changed_cancels_what_was_approved(start: Start, tmp_path: Path) -> None:
    """Invariant 2: the hash covers the content of every step."""
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert(host="s1"))
    question = small.wait(project, until=small.waiting).approvals[0]
    tasks = tmp_path / "roles/clear/tasks/main.yml"
    tasks.write_text(tasks.read_text() + "# changed\n")
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = ended(project)
    assert found.incident.state is State.CANCELLED
    assert "playbook or role" in found.incident.reason
    assert small_plan.order(tmp_path) == []


@pytest.mark.store("nightly")
def test_a_failing_step_stops_the_plan(start: Start, tmp_path: Path) -> None:
    """What was added stays; what would be removed is not."""
    project = start(extra={"retire": "exit 3"})
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert small_plan.order(tmp_path) == ["add s4", "retire s4"]
    assert found.runs[-1].outcome is Outcome.FAILED
    assert "step 2 of 3, retire on s4" in found.incident.reason


def test_a_step_without_its_effect_stops_the_plan(start: Start, tmp_path: Path) -> None:
    unmet = {"within": "1s", "hold": "0s", "checks": [{"result": {"joined": True}}]}
    project = start(entries={"add": {"verify": unmet}})
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert small_plan.order(tmp_path) == ["add s4"]


def test_a_spare_that_is_not_empty_is_passed_over(start: Start, tmp_path: Path) -> None:
    (tmp_path / "taken-s4").touch()
    project = start()
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert small_plan.order(tmp_path) == ["add s5", "retire s5", "clear s1"]
    planned = next(t for t in found.transitions if t.action == "planned")
    assert "s4 is skipped" in planned.reason and "s4 is not empty" in planned.reason


def test_without_a_free_spare_nothing_runs(start: Start, tmp_path: Path) -> None:
    for host in ("s4", "s5"):
        (tmp_path / f"taken-{host}").touch()
    project = start()
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert small_plan.order(tmp_path) == []


def test_without_a_pool_a_person_is_told_what_is_missing(start: Start) -> None:
    changed = inventory()
    del changed["all"]["children"]["storage"]["vars"]["runner_spares"]
    project = start(inventory=changed)
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert "s1 has no inventory variable runner_spares" in found.incident.reason


@pytest.mark.store("nightly")
def test_a_target_that_is_gone_for_good_is_left_out(start: Start, tmp_path: Path) -> None:
    project = start(inventory=inventory(s1=UNREACHABLE))
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert small_plan.order(tmp_path) == ["add s4", "retire s4"]
    (left_out,) = [t for t in found.transitions if t.action == "left_out"]
    assert "clear on s1: skipped, because its host cannot be reached" in left_out.reason


def test_capacity_is_judged_with_the_spare_that_joined(start: Start, tmp_path: Path) -> None:
    """Invariant 11: three of three must stay, and with the spare they do."""
    changed = inventory()
    changed["all"]["children"]["storage"]["vars"]["runner_min_available"] = 3
    project = start(inventory=changed)
    small.deliver(project, small.alert(host="s1"))
    assert ended(project).incident.state is State.FIXED


def test_a_plan_that_only_takes_away_needs_the_capacity(start: Start, tmp_path: Path) -> None:
    """Invariant 11: without the step that adds, three of three cannot stay."""
    changed = inventory()
    changed["all"]["children"]["storage"]["vars"]["runner_min_available"] = 3
    project = start(inventory=changed, plan={"steps": ["retire", "clear"]})
    small.deliver(project, small.alert(host="s1"))
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert "Group storage would keep 2 of 3 hosts, needs 3" in found.incident.reason
    assert small_plan.order(tmp_path) == []


@pytest.mark.store("nightly")
def test_a_second_plan_in_the_group_is_held_back(start: Start, tmp_path: Path) -> None:
    """Invariant 22: one change at a time; the other looks again when this one may be over."""
    project = start(extra={"add": "sleep 6"})
    small.deliver(project, small.alert(host="s1"))
    small.wait(project, until=lambda one: one.state is State.RUNNING)
    small.deliver(project, small.alert(host="s2"))
    second = small.wait(project, 2, until=lambda one: one.state is State.HELD)
    assert "Incident 1 is changing" in second.incident.reason
    assert ended(project).incident.state is State.FIXED
    assert small_plan.order(tmp_path) == WHOLE
    acts.cancel(project, 2, by="user:ann", reason="not now")
    assert small.look(project, 2).incident.state is State.CANCELLED


def test_what_resolved_after_the_first_step_is_for_a_person(start: Start, tmp_path: Path) -> None:
    """The old node came back: taking it away is no longer what was decided."""
    project = start(extra={"add": "sleep 3"})
    alert = small.alert(host="s1")
    small.deliver(project, alert)
    small.wait(project, until=lambda one: one.state is State.RUNNING)
    small.deliver(project, alert | {"status": "resolved"})
    found = ended(project)
    assert found.incident.state is State.ESCALATED
    assert "what step 1 did stays" in found.incident.reason
    assert small_plan.order(tmp_path) == ["add s4"]


def test_a_person_may_ask_for_a_plan_on_one_host(start: Start, tmp_path: Path) -> None:
    project = start()
    with pytest.raises(UsageError, match="one host at a time"):
        acts.request_run(project, entry="replace", hosts=["s1", "s2"], values={}, by="user:ann")
    acts.request_run(project, entry="replace", hosts=["s2"], values={}, by="user:ann")
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert small_plan.order(tmp_path) == ["add s4", "retire s4", "clear s2"]


def test_an_entry_that_runs_on_a_peer_locks_its_target_too(start: Start, tmp_path: Path) -> None:
    """Invariants 3 and 6: alone, it runs on the first other host of the group."""
    project = start()
    acts.request_run(project, entry="retire", hosts=["s1"], values={}, by="user:ann")
    found = ended(project)
    assert found.incident.state is State.FIXED, found.transitions[-1].reason
    assert small_plan.order(tmp_path) == ["retire s2"]
    assert found.runs[-1].hosts == ("s1", "s2")
