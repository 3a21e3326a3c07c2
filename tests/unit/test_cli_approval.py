from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner import acts
from runner.incident import Purpose
from runner.project import Project
from runner.store import records
from tests import web_site
from tests.command_line import answered, call
from tests.small_project import make, project


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    yield made
    made.close()


@pytest.fixture
def question(opened: Project) -> int:
    return web_site.waiting(opened)[1]


def test_it_lists_what_waits(path: Path, question: int) -> None:
    lines = call(path, "approval", "list").stdout.splitlines()
    assert lines[1].split()[0] == str(question)
    assert "restart_service" in lines[1]
    assert "ServiceDown on web-1" in lines[1]


def test_show_has_hosts_variables_and_diff(path: Path, question: int) -> None:
    text = call(path, "approval", "show", question).stdout
    for part in ("web-1", "service_restart_unit=app", "-workers 2", "+workers 4", web_site.PLAN):
        assert part in text


def test_show_has_what_was_approved_while_it_is_checked_once_more(
    path: Path, opened: Project, question: int
) -> None:
    """The run that goes on has shown nothing yet, and is not what the person saw."""
    acts.answer(opened, question, answer="approved", by="user:ann")
    with opened.database.write() as tx:
        web_site.started(tx, 1, Purpose.RECHECK, datetime.now(UTC))
    text = call(path, "approval", "show", question).stdout
    assert "approved by user:ann" in text
    assert "+workers 4" in text and "100% of 1 change shown" in text
    assert "runner approval approve" not in text, "nothing is left to answer"


def test_approve_wants_a_yes_where_nobody_can_be_asked(path: Path, question: int) -> None:
    result = call(path, "approval", "approve", question)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert answered(path, "approval", "list")


def test_approve_shows_the_plan_and_keeps_the_answer(path: Path, question: int) -> None:
    words = ("approval", "approve", question, "--yes", "--as", "ann", "--comment", "go")
    result = call(path, *words)
    assert result.exit_code == 0
    assert "+workers 4" in result.stdout
    assert "approved by user:ann" in result.stdout
    assert "--work" in result.stderr  # nobody works on this store
    assert answered(path, "incident", "show", 1)["incident"]["state"] == "approved"


def test_the_plan_that_was_shown_is_the_one_that_is_approved(
    path: Path, question: int, opened: Project
) -> None:
    with opened.database.write() as tx:
        plan = records.plan_of(tx, 1)
        assert plan is not None
        records.put_plan(tx, 1, replace(plan, hosts=("web-2",), hash="6" * 64))
    result = call(path, "approval", "approve", question, "--yes")
    assert result.exit_code == 6
    assert "another plan" in result.stderr


def test_a_person_at_a_terminal_is_asked(
    path: Path, question: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("runner.cli.session.can_ask", lambda session: True)
    monkeypatch.setattr("click.confirm", lambda text, **_: asked.append(text))
    assert call(path, "approval", "approve", question).exit_code == 0
    assert asked == ["Approve this plan?"]


def test_the_login_name_is_the_actor(
    path: Path, question: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    said = answered(path, "approval", "deny", question, "--comment", "not today")
    assert (said["answer"], said["answered_by"]) == ("denied", "user:grace")
    assert answered(path, "incident", "show", 1)["incident"]["state"] == "denied"


def test_a_second_answer_is_6(path: Path, question: int) -> None:
    assert call(path, "approval", "deny", question).exit_code == 0
    assert call(path, "approval", "approve", question, "--yes").exit_code == 6


def test_nobody_approves_what_they_asked_for(path: Path, opened: Project) -> None:
    _, own = web_site.waiting(opened, by="user:ann")
    result = call(path, "approval", "approve", own, "--yes", "--as", "ann")
    assert result.exit_code == 6
    assert "another person" in result.stderr


def test_an_actor_has_a_harmless_name(path: Path, question: int) -> None:
    """Invariant 5: a name from the command line cannot write lines of its own."""
    assert call(path, "approval", "deny", question, "--as", "a\nb").exit_code == 2


def test_an_unknown_approval_is_5_also_for_a_program(path: Path) -> None:
    result = call(path, "approval", "show", 9, "-o", "json")
    assert result.exit_code == 5
    assert "no approval 9" in json.loads(result.stderr)["error"]
