from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.project import Project
from tests import web_site
from tests.command_line import answered, call
from tests.small_project import make, project

EVIL = "\x1b]0;owned\x07\u202egpj.exe"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    yield made
    made.close()


def test_it_lists_the_newest_first(path: Path, opened: Project) -> None:
    web_site.fixed(opened)
    web_site.waiting(opened, web_site.alert("b" * 16))
    lines = call(path, "incident", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "CHANGED", "STATE", "ALERT", "HOST", "ENTRY", "REASON"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "1"]
    assert "waiting" in lines[1]


def test_it_lists_only_some_states(path: Path, opened: Project) -> None:
    web_site.fixed(opened)
    web_site.waiting(opened, web_site.alert("b" * 16))
    assert [each["id"] for each in answered(path, "incident", "list", "--state", "fixed")] == [1]
    assert [each["id"] for each in answered(path, "incident", "list", "--open")] == [2]
    assert len(answered(path, "incident", "list", "--limit", 1)) == 1


def test_an_empty_list_says_so_beside_the_answer(path: Path) -> None:
    result = call(path, "incident", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No incidents found" in result.stderr


def test_show_tells_the_whole_story(path: Path, opened: Project) -> None:
    text = call(path, "incident", "show", web_site.fixed(opened)).stdout
    for part in ("Alert", "Evidence", "Decision of rules", "Verdict: approve", "Plan",
                 "Dry run: changed", "Approval 1", "Remediation, attempt 1: changed",
                 "Timeline"):  # fmt: skip
        assert f"\n{part}\n" in text
    for fact in ("not clean_disk", "> approve   earned", "+workers 4", "fidelity",
                 "verified: fixed", "approved by user:anna",
                 "service_restart_unit=app", "part          unit app.service"):  # fmt: skip
        assert fact in text


def test_show_gives_the_text_of_evidence_on_demand(path: Path, opened: Project) -> None:
    number = web_site.fixed(opened)
    assert "restarted 3 times" not in call(path, "incident", "show", number).stdout
    assert "restarted 3 times" in call(path, "incident", "show", number, "--evidence").stdout
    assert "restarted 3 times" in call(path, "incident", "show", number, "--all").stdout


def test_show_says_what_to_type_next(path: Path, opened: Project) -> None:
    number, question = web_site.waiting(opened)
    assert f"runner approval approve {question}" in call(path, "incident", "show", number).stdout


def test_a_label_cannot_act_on_the_terminal(path: Path, opened: Project) -> None:
    """Invariant 5: what an alert says is shown, and does nothing."""
    labels = {"alertname": f"Down{EVIL}", "instance": f"web-1{EVIL}"}
    number, _ = web_site.waiting(opened, web_site.alert(labels=labels), text=f"log {EVIL}\r\x1b[2J")
    for words in (["list"], ["show", number, "--all"]):
        text = call(path, "incident", *words).stdout
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\r"}
        assert "\\x1b" in text


def test_show_for_a_program_is_the_bundle(path: Path, opened: Project) -> None:
    found = answered(path, "incident", "show", web_site.fixed(opened), "--all")
    assert found["incident"]["state"] == "fixed"
    assert {"evidence", "decisions", "verdict", "plan", "runs", "transitions"} <= set(found)


def test_cancel_keeps_who_and_why(path: Path, opened: Project) -> None:
    number, _ = web_site.waiting(opened)
    words = ("incident", "cancel", number, "--reason", "maintenance", "--as", "ann")
    assert call(path, *words).stdout == f"incident {number} is cancelled\n"
    found = answered(path, "incident", "show", number)
    assert found["transitions"][-1]["actor"] == "user:ann"
    assert "maintenance" in found["incident"]["reason"]


def test_cancel_of_what_has_ended_is_6(path: Path, opened: Project) -> None:
    number = web_site.fixed(opened)
    assert call(path, "incident", "cancel", number, "--reason", "x").exit_code == 6


def test_cancel_needs_a_reason(path: Path, opened: Project) -> None:
    number, _ = web_site.waiting(opened)
    assert call(path, "incident", "cancel", number).exit_code == 2


def test_retry_opens_another_and_says_that_nobody_works(path: Path, opened: Project) -> None:
    number = web_site.fixed(opened)
    result = call(path, "incident", "retry", number, "--reason", "again")
    assert result.exit_code == 0
    assert f"incident {number + 1} handles it again" in result.stdout
    assert "No worker is running" in result.stderr
