"""The path of an incident, with the real engine and real Ansible on two local hosts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.errors import Refused
from runner.incident import Incident, Level, Outcome, Purpose, Result, State
from runner.incident_report import Bundle
from runner.project import Project
from runner.store import incidents
from tests import small_project as small

# Those marked store also show that locks, transactions and times are the same on PostgreSQL: the
# whole path, a question over restarts, a deadline and the locks of hosts in CI, the rest nightly.
pytestmark = pytest.mark.real

Start = Callable[..., Project]


@pytest.fixture
def start(tmp_path: Path, store_url: str) -> Iterator[Start]:
    """Starts a daemon on a small project; ends what it started."""
    started: list[tuple[Project, Daemon]] = []

    def begin(**options: Any) -> Project:
        project = small.project(small.make(tmp_path, **options), store_url)
        daemon = Daemon(project)
        daemon.start()
        started.append((project, daemon))
        return project

    yield begin
    for project, daemon in started:
        daemon.stop()
        project.close()


def states(project: Project, incident: int = 1) -> list[str]:
    return [transition.action for transition in small.look(project, incident).transitions]


@pytest.mark.store
def test_an_alert_becomes_a_verified_fix(start: Start, tmp_path: Path) -> None:
    """Invariant 9: what Ansible calls successful is fixed only after its verification."""
    project = start()
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert states(project) == [
        "admitted", "located", "gathered", "decided", "judged", "planned",
        "approved", "running", "verifying", "fixed",
    ]  # fmt: skip
    assert [run.purpose for run in found.runs] == [Purpose.DRY_RUN, Purpose.REMEDIATION]
    assert found.incident.hosts == ("web1",)
    assert found.plan is not None and found.plan.hosts == ("web1",)
    assert "shop" in found.runs[0].diff
    assert (small.runs(tmp_path), small.runs(tmp_path, "web2")) == (1, 0)


def test_a_template_in_a_label_is_text_in_every_step(start: Start, tmp_path: Path) -> None:
    """Invariant 5: a label never becomes code, neither in check mode nor in the run."""
    canary = tmp_path / "canary"
    text = "{{ lookup('pipe', 'touch " + str(canary) + "') }}"
    project = start()
    small.deliver(project, small.alert(service=text, other=text))
    found = small.wait(project)
    assert found.incident.state is State.FIXED
    assert (tmp_path / "marked-web1").read_text() == text + " \n"
    assert not canary.exists()


@pytest.mark.parametrize(
    ("level", "state", "purposes"),
    [("observe", State.OBSERVED, []), ("dry-run", State.DRY_RUN, [Purpose.DRY_RUN])],
)
def test_a_level_ends_the_path_where_it_says(
    start: Start, tmp_path: Path, level: str, state: State, purposes: list[Purpose]
) -> None:
    project = start(settings={"level": level})
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is state
    assert [run.purpose for run in found.runs] == purposes
    assert small.runs(tmp_path) == 0


def test_the_delivery_can_only_lower_the_level(start: Start, tmp_path: Path) -> None:
    project = start()
    acts.deliver(project, small.body(small.alert()), source="stdin", ceiling=Level.OBSERVE)
    assert small.wait(project).incident.state is State.OBSERVED


@pytest.mark.store("nightly")
def test_a_person_approves_the_plan_of_the_dry_run(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    with pytest.raises(Refused, match="another plan"):
        acts.answer(project, question.id, answer="approved", by="user:ann", plan="0" * 64)
    acts.answer(
        project, question.id, answer="approved", by="user:ann", plan=question.plan, comment="ok"
    )
    found = small.wait(project)
    assert found.incident.state is State.FIXED
    assert Purpose.RECHECK in [run.purpose for run in found.runs]
    approved = next(t for t in found.transitions if t.action == "approved")
    assert (approved.actor, approved.reason) == ("user:ann", "approved by user:ann: ok")
    with pytest.raises(Refused, match="was approved by user:ann"):
        acts.answer(project, question.id, answer="approved", by="user:bob")


def test_a_changed_host_cancels_what_was_approved(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    (tmp_path / "marked-web1").write_text("somebody was here")
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert "other changes than those approved: web1 · " in found.incident.reason
    assert str(tmp_path / "marked-web1") in found.incident.reason
    assert small.runs(tmp_path) == 0


def test_a_changed_playbook_cancels_what_was_approved(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    tasks = tmp_path / "roles/mark/tasks/main.yml"
    tasks.write_text(tasks.read_text().replace("echo run", "echo other"))
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert "playbook or role (roles/mark/tasks/main.yml)" in found.incident.reason
    assert small.runs(tmp_path) == 0


def test_a_changed_role_of_somebody_else_cancels_what_was_approved(
    start: Start, tmp_path: Path
) -> None:
    """Invariant 16: a role may have any name that Ansible takes."""
    project = start(settings={"level": "approve"}, role="author.role")
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    tasks = tmp_path / "roles/author.role/tasks/main.yml"
    tasks.write_text(tasks.read_text() + "- ansible.builtin.raw: echo one task more\n")
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert "playbook or role (roles/author.role/tasks/main.yml)" in found.incident.reason
    assert small.runs(tmp_path) == 0


def test_what_no_hash_can_cover_stops_at_the_dry_run(start: Start, tmp_path: Path) -> None:
    """Invariant 16: which role it is would be known only once the run has begun."""
    project = start()
    tasks = tmp_path / "roles/mark/tasks/main.yml"
    chosen = (
        "- ansible.builtin.raw: echo other\n"
        "  register: said\n"
        "- ansible.builtin.include_role: {name: '{{ said.stdout | trim }}'}\n"
        "  when: said.stdout is defined and said.stdout\n"
    )
    tasks.write_text(tasks.read_text() + chosen)
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert "includes '{{ said.stdout | trim }}', which depends on said" in found.incident.reason
    assert [run.purpose for run in found.runs] == [Purpose.DRY_RUN]
    assert small.runs(tmp_path) == 0


def test_a_changed_inventory_cancels_what_was_approved(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"}, extra="echo {{ mark_mode | default(1) }}")
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    variables = tmp_path / "inventory/group_vars/all.yml"
    variables.parent.mkdir()
    variables.write_text("mark_mode: 2\nunrelated: 3\n")
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert "inventory variable (mark_mode of web1)" in found.incident.reason
    assert small.runs(tmp_path) == 0


def test_a_state_that_only_says_approved_starts_nothing(start: Start, tmp_path: Path) -> None:
    """A forged approval: the incident was moved, but nobody's answer is stored."""
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    with project.database.write() as tx:
        incidents.move(tx, 1, State.APPROVED, "forged", actor="user:ann")
        project.queue.proceed(tx, 1, question.id)
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert "nobody has approved this plan" in found.incident.reason
    assert small.runs(tmp_path) == 0


@pytest.mark.store
def test_a_question_and_its_answer_survive_restarts(tmp_path: Path, store_url: str) -> None:
    """The question is asked by one process, answered without any, and carried out by a third."""
    path = small.make(tmp_path, settings={"level": "approve"})

    def work(until: Callable[[Incident], bool]) -> Bundle:
        project = small.project(path, store_url)
        daemon = Daemon(project)
        daemon.start()
        try:
            return small.wait(project, until=until)
        finally:
            daemon.stop()
            project.close()

    between = small.project(path, store_url)
    small.deliver(between, small.alert())
    question = work(small.waiting).approvals[0]
    assert question.brief is not None and question.brief.title == "Mark a host"
    acts.answer(between, question.id, answer="approved", by="user:ann", plan=question.plan)
    between.close()
    assert work(lambda one: one.state.ended).incident.state is State.FIXED
    assert small.runs(tmp_path) == 1


def test_a_dry_run_that_touches_a_stranger_is_refused(start: Start, tmp_path: Path) -> None:
    """Invariant 6: what the files did not tell is seen in the dry run's events."""
    inventory = json.loads(json.dumps(small.INVENTORY))
    inventory["all"]["hosts"]["web1"]["peer"] = "db1"
    tasks = tmp_path / "roles/mark/tasks/main.yml"
    small.make(tmp_path)
    written = tasks.read_text() + '- ansible.builtin.ping:\n  delegate_to: "{{ peer }}"\n'
    project = start(inventory=inventory)
    tasks.write_text(written)
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert found.verdict is not None and found.runs[0].seen == ("db1", "web1")
    assert "radius" in [reason.rule for reason in found.verdict.limiting]
    assert "The dry run touched db1, which the plan does not name." in found.incident.reason
    assert small.runs(tmp_path) == 0


@pytest.mark.store("nightly")
def test_a_denied_plan_does_not_run(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    acts.answer(project, question.id, answer="denied", by="user:ann", comment="not now")
    assert small.wait(project).incident.state is State.DENIED
    assert small.runs(tmp_path) == 0


@pytest.mark.store
def test_an_unanswered_question_expires(start: Start, tmp_path: Path) -> None:
    """Invariant 14: everything that waits has a deadline."""
    project = start(settings={"level": "approve", "approval": {"expires": "1s"}})
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.EXPIRED
    with pytest.raises(Refused, match="expired"):
        acts.answer(project, found.approvals[0].id, answer="approved", by="user:ann")
    assert small.runs(tmp_path) == 0


def test_nobody_approves_what_they_asked_for(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    values = {"mark_text": "by hand"}
    acts.request_run(project, entry="mark", hosts=["web1"], values=values, by="user:ann")
    question = small.wait(project, until=small.waiting).approvals[0]
    with pytest.raises(Refused, match="another person"):
        acts.answer(project, question.id, answer="approved", by="user:ann")
    acts.answer(project, question.id, answer="approved", by="user:bob")
    assert small.wait(project).incident.state is State.FIXED
    assert (tmp_path / "marked-web1").read_text() == "by hand \n"


def test_no_fitting_entry_is_for_a_person(start: Start) -> None:
    project = start()
    small.deliver(project, small.alert("SomethingElse"))
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert found.evidence and found.runs == ()


def test_a_host_that_is_not_in_the_inventory_is_for_a_person(start: Start) -> None:
    """Invariant 6: only exact inventory names are hosts."""
    project = start()
    for number, host in enumerate(["all", "web*", "web1,web2", "~web.*", "nowhere"], start=1):
        small.deliver(project, small.alert(host=host, n=str(number)))
        found = small.wait(project, number)
        assert found.incident.state is State.ESCALATED
        assert "not located" in found.incident.reason
        assert not found.evidence  # nothing is gathered where nothing will be decided


def test_what_resolved_by_itself_does_not_run(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    begun = datetime.now(UTC)
    small.deliver(project, small.alert(starts_at=begun))
    small.wait(project, until=small.waiting)
    small.deliver(project, small.alert(status="resolved", starts_at=begun))
    found = small.wait(project)
    assert found.incident.state is State.RESOLVED
    with pytest.raises(
        Refused, match="is closed, nothing is left to answer: incident 1 has ended resolved"
    ):
        acts.answer(project, found.approvals[0].id, answer="approved", by="user:ann")
    assert small.runs(tmp_path) == 0


@pytest.mark.store("nightly")
def test_a_redelivery_starts_nothing(start: Start, tmp_path: Path) -> None:
    project = start()
    alert = small.alert()
    for _ in range(5):
        small.deliver(project, alert)
    found = small.wait(project)
    small.wait(project, until=lambda one: one.deliveries == 5)
    assert found.incident.state is State.FIXED
    assert small.runs(tmp_path) == 1


@pytest.mark.store("nightly")
def test_a_symptom_joins_the_incident_of_its_cause(start: Start) -> None:
    """web2 depends on db1 by the inventory, so one incident handles both."""
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert(host="db1"))
    small.wait(project, until=small.waiting)
    small.deliver(project, small.alert(host="web2"), small.alert(host="db1", extra="second"))
    for number in (2, 3):
        found = small.wait(project, number)
        assert found.incident.state is State.SUPPRESSED
        assert found.incident.joined == 1
        assert not found.evidence


@pytest.mark.store("nightly")
def test_a_pause_stops_what_was_approved(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "approve"})
    small.deliver(project, small.alert())
    question = small.wait(project, until=small.waiting).approvals[0]
    acts.pause(project, by="user:ann", reason="maintenance")
    acts.answer(project, question.id, answer="approved", by="user:ann")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert "maintenance" in found.incident.reason
    acts.resume(project, by="user:ann")
    small.deliver(project, small.alert(host="web2"))
    small.wait(project, 2, until=small.waiting)
    assert small.runs(tmp_path) == 0


def test_a_failed_run_is_never_called_fixed(start: Start, tmp_path: Path) -> None:
    project = start(extra="exit 3")
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert found.runs[-1].outcome is Outcome.FAILED


def test_what_only_the_play_could_have_told_is_handed_over_at_once(start: Start) -> None:
    """Looking again for the ten minutes of the entry would outlast the waiting for it."""
    checks = [{"result": {"marked": True}}]
    verify = {"within": "10m", "hold": "0s", "checks": checks}
    project = start(extra="exit 3", entry={"verify": verify})
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert "the play did not report marked" in found.incident.reason


@pytest.mark.store("nightly")
def test_what_was_not_fixed_is_tried_again_and_then_undone(start: Start, tmp_path: Path) -> None:
    undo = tmp_path / "playbooks/unmark"
    undo.mkdir(parents=True)
    (undo / "playbook.yml").write_text(small.PLAYBOOK)
    (undo / "README.md").write_text("# Unmark\n")
    entry = small.ENTRY | {"match": ['alertname="Never"'], "title": "Unmark"}
    (undo / "entry.yml").write_text(json.dumps(entry))
    checks = {"within": "1s", "hold": "0s", "checks": [{"result": {"marked": False}}]}
    project = start(
        settings={"retry": {"attempts": 2, "wait": "0s"}},
        entry={"verify": checks, "undo": "unmark"},
    )
    small.deliver(project, small.alert())
    found = small.wait(project)
    purposes = [run.purpose for run in found.runs if not run.purpose.check]
    assert purposes == [Purpose.REMEDIATION, Purpose.REMEDIATION, Purpose.UNDO]
    assert [v.result for v in found.verifications.values()] == [Result.NOT_FIXED] * 2
    assert found.incident.state is State.ESCALATED
    assert "The undo unmark ended changed" in found.incident.reason


def test_what_cannot_be_verified_is_not_fixed(start: Start) -> None:
    """Invariant 10: without anybody to ask whether the alert cleared, the effect is unknown."""
    project = start(entry={"verify": {"within": "1s", "hold": "0s"}})
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.incident.state is State.ESCALATED
    assert next(iter(found.verifications.values())).result is Result.UNKNOWN


@pytest.mark.store("nightly")
def test_a_run_can_be_cancelled(start: Start, tmp_path: Path) -> None:
    project = start(extra="sleep 300")
    small.deliver(project, small.alert())
    small.wait(project, until=lambda _: small.runs(tmp_path) == 1)
    acts.cancel(project, 1, by="user:ann", reason="wrong host")
    found = small.wait(project)
    assert found.incident.state is State.CANCELLED
    assert found.runs[-1].outcome is Outcome.CANCELLED


@pytest.mark.store
def test_two_incidents_on_one_host_never_run_at_once(start: Start, tmp_path: Path) -> None:
    """Invariant 3: the second run waits for the first."""
    settings = {"correlation": {"same_host": False}, "execution": {"concurrency": 4, "warm": False}}
    project = start(settings=settings, extra="sleep 1")
    small.deliver(project, *(small.alert(n=str(number)) for number in range(3)))
    real = []
    for number in (1, 2, 3):
        found = small.wait(project, number)
        assert found.incident.state is State.FIXED
        real += found.runs
    real.sort(key=lambda run: run.started_at)
    for first, second in itertools.pairwise(real):
        assert first.ended_at is not None and first.ended_at <= second.started_at
    assert small.runs(tmp_path) == 3


def test_an_old_activation_needs_a_person(start: Start) -> None:
    project = start()
    small.deliver(project, small.alert(starts_at=datetime.now(UTC) - timedelta(hours=8)))
    found = small.wait(project, until=small.waiting)
    assert found.verdict is not None
    assert [reason.rule for reason in found.verdict.limiting] == ["alert_age"]


@pytest.mark.store("nightly")
def test_an_ended_incident_can_be_handled_again(start: Start, tmp_path: Path) -> None:
    project = start(settings={"level": "dry-run"})
    small.deliver(project, small.alert())
    assert small.wait(project).incident.state is State.DRY_RUN
    again = acts.retry(project, 1, by="user:ann", reason="once more")
    found = small.wait(project, again)
    assert found.incident.state is State.DRY_RUN
    assert found.transitions[0].actor == "user:ann"


def test_without_a_dry_run_a_file_elsewhere_does_not_stop_the_run_halfway(
    start: Start, tmp_path: Path
) -> None:
    """Invariant 16: no dry run completed the list, so only the watched folders are held to it."""
    beside = tmp_path / "elsewhere.txt"
    beside.write_text("x")
    extra = "echo {{ lookup('file', '" + str(beside) + "') | length }}"
    project = start(entry={"dry_run": "none"}, extra=extra)
    small.deliver(project, small.alert())
    found = small.wait(project)
    assert found.plan is not None and found.plan.uncovered == ()
    assert found.incident.state is State.FIXED, found.incident.reason
