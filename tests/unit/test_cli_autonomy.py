from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runner.incident import Result, State
from runner.project import Project
from runner.store import workers
from tests.command_line import answered, call
from tests.real import test_learning as lab
from tests.small_project import make, project

EVIL = "Down\x1b]0;owned\x07"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path, settings={"autonomy": lab.EARN})


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    with made.database.write() as tx:
        workers.join(tx, "worker", "here")
    yield made
    made.close()


def test_show_has_a_line_for_each_record(path: Path, opened: Project) -> None:
    lab.fixed(opened)
    lab.fixed(opened)
    head, line = call(path, "autonomy", "show").stdout.splitlines()
    assert head.split() == [
        "LEVEL", "ENTRY", "ALERT", "ENVIRONMENT", "FIXED", "BAD", "UPLIFT", "WHAT",
    ]  # fmt: skip
    assert line.split()[:7] == ["auto", "mark", "Down", "test", "2", "0", "unknown"]
    assert "fixed 100% of 2, baseline unknown" in line
    assert call(path, "autonomy", "show", "other").stdout == ""
    (found,) = answered(path, "autonomy", "show", "mark")
    assert (found["standing"]["level"], found["uplift"]["helps"]) == ("auto", "unknown")


def test_without_a_record_it_says_so_beside_the_answer(path: Path) -> None:
    result = call(path, "autonomy", "show")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No records yet" in result.stderr


def test_it_says_when_records_grant_nothing(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert "autonomy.earn is false" in call(path, "autonomy", "show").stderr
    result = call(path, "autonomy", "set", "mark", "Down", "observe")
    assert result.exit_code == 6 and "autonomy.earn is false" in result.output


def test_history_tells_how_it_came_to_its_level(path: Path, opened: Project) -> None:
    lab.fixed(opened)
    lab.broken(opened)
    call(path, "autonomy", "set", "mark", "Down", "approve", "--reason", "ok", "--as", "ann")
    text = call(path, "autonomy", "history", "mark", "Down").stdout
    for part in ("is at approve", "fixed    incident 1: it ran and was verified",
                 "bad      incident 2: the run was verified as not_fixed",
                 "approve  user:ann set it: ok", "approve to dry-run: mark for Down",
                 "dry-run to approve: mark for Down in test is set: ok (user:ann)"):  # fmt: skip
        assert part in text
    found = answered(path, "autonomy", "history", "mark", "Down")
    assert [each["mark"] for each in found["trials"]] == ["fixed", "bad"]
    assert [each["action"] for each in found["trail"]] == ["demoted", "promoted"]


def test_history_of_nothing_says_so(path: Path) -> None:
    result = call(path, "autonomy", "history", "mark", "Other")
    assert result.exit_code == 0 and "Nothing counted yet" in result.stderr


def test_what_no_alert_is_called_is_refused(path: Path) -> None:
    for name in ("", "x" * 5000):
        assert call(path, "autonomy", "set", "mark", name, "observe").exit_code == 2


def test_set_raises_only_with_a_reason(path: Path, opened: Project) -> None:
    words = ("autonomy", "set", "mark", "Down")
    assert call(path, *words, "auto").exit_code == 2
    assert "is at auto" in call(path, *words, "auto", "--reason", "tried").stdout
    assert answered(path, *words, "dry-run", "--hold")["held"] is True
    assert call(path, "autonomy", "set", "nothing", "Down", "observe").exit_code == 5
    assert call(path, *words, "everything").exit_code == 2


def test_export_is_yaml_that_does_not_change_by_itself(path: Path, opened: Project) -> None:
    lab.fixed(opened)
    lab.fixed(opened)
    lab.ended(opened, lab.opened(opened, alertname=EVIL), State.OBSERVED)
    first, again = (call(path, "autonomy", "export").stdout for _ in "ab")
    assert first == again
    assert not set(first) & {"\x1b", "\x07"}
    (found, evil) = yaml.safe_load(first)["autonomy"]
    assert (found["entry"], found["alertname"], found["level"]) == ("mark", "Down", "auto")
    assert [(each["from"], each["to"]) for each in found["changes"]] == [("approve", "auto")]
    assert evil["alertname"] == "Down\\x1b]0;owned\\x07"
    file = path.parent / "autonomy.yml"
    assert call(path, "autonomy", "export", file).exit_code == 0
    assert file.read_text() == first


def test_report_names_what_is_not_known_to_help(path: Path, opened: Project) -> None:
    lab.fixed(opened)
    text = call(path, "autonomy", "report", "--measure").stdout
    assert "\nToo little is known\n  mark for Down in test: fixed 100% of 1" in text
    assert "\nNo better than waiting\n  none" in text


def test_feedback_is_kept_and_counts(path: Path, opened: Project) -> None:
    number = lab.fixed(opened)
    words = ("incident", "feedback", number)
    assert call(path, *words, "--reason", "x").exit_code == 2
    assert call(path, *words, "--wrong").exit_code == 2
    result = call(path, *words, "--wrong", "--reason", "it was the switch", "--as", "ann")
    assert result.stdout == f"incident {number} is marked wrong\n"
    assert lab.marks(opened) == [lab.Mark.BAD]
    assert answered(path, *words, "--right", "--reason", "x")["right"] is True
    assert "feedback" in call(path, "incident", "show", number).stdout


def test_feedback_on_what_goes_on_is_6(path: Path, opened: Project) -> None:
    number = lab.opened(opened)
    lab.ran(opened, number, Result.FIXED)
    result = call(path, "incident", "feedback", number, "--right", "--reason", "x")
    assert result.exit_code == 6
