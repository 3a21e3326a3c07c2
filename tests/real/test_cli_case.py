from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runner_demo.model_server import ModelServer
from tests import web_site
from tests.case_files import ROOT, content, write
from tests.command_line import answered, call
from tests.small_project import make, project

NOTHING = {"entry": "none_of_these", "hosts": None, "level": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A project with the shipped catalog and no case of its own."""
    folders = {"playbooks": str(ROOT / "playbooks"), "roles": []}
    made = tmp_path / "runner.yml"
    made.write_text(json.dumps({"project": {**folders, "inventory": [str(tmp_path)]}}))
    return made


def case(path: Path, name: str = "one", **changes: object) -> Path:
    return write(path.parent / "tests" / "cases" / f"{name}.yml", content(**changes))


def test_what_passes_is_0_and_tells_the_figures(path: Path) -> None:
    result = call(path, "case", "run", case(path))
    assert result.exit_code == 0, result.output
    for fact in ("1, 1 passed, 0 failed", "accuracy      100.0%", "harmful       0"):
        assert fact in result.stdout


def test_what_fails_is_1_and_names_the_case(path: Path) -> None:
    result = call(path, "case", "run", case(path, expect=NOTHING))
    assert result.exit_code == 1
    assert "restart_service was chosen, none_of_these is right" in result.stdout


def test_a_file_that_is_no_case_is_1_and_the_others_run(path: Path) -> None:
    case(path)
    case(path, "two", titel="x")
    result = call(path, "case", "run", path.parent / "tests")
    assert result.exit_code == 1
    assert "unknown key titel; did you mean title?" in result.stdout
    assert "1, 1 passed" in result.stdout


def test_without_a_path_all_of_the_project_are_run(path: Path) -> None:
    case(path)
    found = answered(path, "case", "run")
    assert found["figures"]["cases"] > 60
    assert "tests/one" in {each["case"] for each in found["cases"]}


@pytest.mark.parametrize("words", [("--output", "junit"), ("--junit", "FILE")])
def test_junit_goes_where_it_is_asked_for(path: Path, words: tuple[str, str]) -> None:
    file = path.parent / "report.xml"
    asked = [str(file) if word == "FILE" else word for word in words]
    result = call(path, "case", "run", case(path, expect=NOTHING), *asked)
    text = file.read_text() if file.exists() else result.stdout
    assert ElementTree.fromstring(text.encode()).attrib["failures"] == "1"
    assert result.exit_code == 1


def test_json_says_why(path: Path) -> None:
    result = call(path, "case", "run", case(path, expect=NOTHING), "--output", "json")
    (found,) = json.loads(result.stdout)["cases"]
    assert (found["passed"], found["expected"]) == (False, ["none_of_these"])
    assert found["trials"][0]["entry"] == "restart_service"


def test_a_path_that_is_not_there_is_5(path: Path) -> None:
    assert call(path, "case", "run", "nowhere").exit_code == 5


def test_no_case_at_all_is_5(tmp_path: Path) -> None:
    result = call(make(tmp_path), "case", "run")
    assert result.exit_code == 5
    assert "no cases found" in result.stderr


def test_no_store_is_opened(path: Path) -> None:
    call(path, "case", "run", case(path))
    assert {each.name for each in path.parent.iterdir()} == {"runner.yml", "tests"}


def test_a_new_entry_that_steals_is_named(tmp_path: Path) -> None:
    made = make(tmp_path, entry={"match": ['alertname="Down"', 'service="shop"']})
    one = content(expect={"entry": "none_of_these", "hosts": None, "level": None})
    one["alert"]["labels"] |= {"alertname": "Down", "service": "shop"}
    result = call(made, "case", "run", write(tmp_path / "tests/cases/one.yml", one))
    assert result.exit_code == 1
    assert "mark takes the decision of 1 case: tests/one" in result.stdout


def test_list_says_what_each_expects(path: Path) -> None:
    lines = call(path, "case", "list", case(path)).stdout.splitlines()
    assert lines[0].split() == ["CASE", "EXPECTS", "LEVEL", "TITLE"]
    assert lines[1].split()[:3] == ["tests/one", "restart_service", "auto"]
    assert answered(path, "case", "list", case(path))[0]["name"] == "tests/one"


def test_add_makes_a_case_and_replaces_nothing(tmp_path: Path) -> None:
    made = make(tmp_path)
    opened = project(made)
    number = web_site.fixed(opened)
    opened.close()
    found = answered(made, "case", "add", number)
    assert found["path"].endswith("playbooks/restart_service/cases/incident_1.yml")
    again = call(made, "case", "add", number)
    assert again.exit_code == 2
    assert "exists already; name another with --to" in again.stderr
    assert call(made, "case", "add", number, "--to", tmp_path).exit_code == 0
    assert (tmp_path / "incident_1.yml").is_file()


def test_add_of_an_unknown_incident_is_5(tmp_path: Path) -> None:
    assert call(make(tmp_path), "case", "add", 9).exit_code == 5


def test_lint_and_check_look_at_cases(tmp_path: Path) -> None:
    made = make(tmp_path)
    write(tmp_path / "playbooks/mark/cases/x.yml", content(expect={"entry": "marc"}))
    result = call(made, "catalog", "lint")
    assert result.exit_code == 3
    assert "x.yml: entry: the catalog has no entry 'marc'" in result.stdout
    assert "the catalog has no entry 'marc'" in call(made, "check").stdout


def test_a_new_entry_comes_with_a_case_that_passes(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert call(made, "catalog", "new", "heal_it").exit_code == 0
    assert answered(made, "case", "run")["figures"]["cases"] == 1


def modelled(path: Path, url: str) -> Path:
    content = json.loads(path.read_text())
    content["model"] = {"name": "scripted", "base_url": url, "retries": 0, "timeout": "60s"}
    path.write_text(json.dumps(content))
    return path


def test_a_model_is_recorded_and_replayed(path: Path) -> None:
    one, kept = case(path), path.parent / "kept"
    with ModelServer("right") as server:
        words = ("case", "run", one, "--decider", "model", "--record", kept, "--repeat", 2)
        result = call(modelled(path, server.url), *words)
        assert len(server.requests) == 2
    assert result.exit_code == 0, result.output
    for fact in ("agreement     100.0%", "no answer     0", "2 calls"):
        assert fact in result.stdout
    again = answered(path, "case", "run", one, "--decider", "both", "--replay", kept)
    assert again["figures"]["unanswered"] == 0
    assert [d["decider"] for d in again["cases"][0]["trials"][0]["decisions"]] == ["rules", "model"]


def test_a_case_that_was_not_recorded_fails_and_says_what_to_do(path: Path) -> None:
    (path.parent / "kept").mkdir()
    words = ("--decider", "model", "--replay", path.parent / "kept")
    result = call(modelled(path, "http://127.0.0.1:9/v1"), "case", "run", case(path), *words)
    assert result.exit_code == 1
    assert "use --record again" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--decider", "model"), 3, "needs a section model"),
        (("--record", "x"), 2, "are for --decider model or both"),
        (("--decider", "both", "--record", "x", "--replay", "x"), 2, "not both"),
        (("--decider", "nobody"), 2, "nobody"),
        (("--repeat", "0"), 2, "0"),
        (("--repeat", "101"), 2, "101"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(
    path: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = call(path, "case", "run", case(path), *words)
    assert result.exit_code == code
    assert sentence in result.stderr
