from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import answered, call
from tests.small_project import make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


def test_it_lists_every_entry(path: Path) -> None:
    lines = call(path, "catalog", "list").stdout.splitlines()
    assert lines[1].split()[:4] == ["mark", "remediation", "auto", "low"]
    assert 'alertname="Down"' in lines[1]
    assert call(path, "catalog", "list", "--kind", "probe").stdout.count("\n") == 1


def test_show_names_what_run_takes(path: Path) -> None:
    text = call(path, "catalog", "show", "mark").stdout
    assert "mark_text  label service  str" in text
    assert "at most 1 host\n" in text
    assert "  cooldown  0s\n" in text
    assert "  timeout   1m\n" in text
    assert answered(path, "catalog", "show", "mark")["schema"]["mark_text"]["type"] == "str"


def test_show_names_the_part(path: Path) -> None:
    entry = path.parent / "playbooks/mark/entry.yml"
    target = {"part": "unit mark_text", "exclusive": "part"}
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "target": target}))
    text = call(path, "catalog", "show", "mark").stdout
    assert "  part      unit in mark_text; runs on other parts go on\n" in text


def test_show_says_what_runner_yml_adds(path: Path) -> None:
    """What an entry does not limit is limited all the same."""
    entry = path.parent / "playbooks/mark/entry.yml"
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "limits": {}}))
    text = call(path, "catalog", "show", "mark").stdout
    assert "  cooldown  10m (from runner.yml)\n" in text
    assert "  timeout   10m (from runner.yml)\n" in text


def test_show_of_an_unknown_entry_names_the_nearest(path: Path) -> None:
    result = call(path, "catalog", "show", "mrak")
    assert result.exit_code == 5
    assert "did you mean mark?" in result.stderr


def test_lint_is_3_when_something_is_wrong(path: Path) -> None:
    result = call(path, "catalog", "lint", "--strict")
    assert result.exit_code == 3
    assert "style: " in result.stdout and "README.md: has no heading Impact" in result.stdout


def test_style_alone_is_no_error(path: Path) -> None:
    result = call(path, "catalog", "lint")
    assert result.exit_code == 0 and result.stdout == ""
    assert "remarks on style: runner catalog lint --strict" in result.stderr


def test_a_new_entry_is_in_the_list(path: Path) -> None:
    made = answered(path, "catalog", "new", "flush_cache")
    assert str(path.parent / "playbooks/flush_cache/entry.yml") in made
    assert "flush_cache" in call(path, "catalog", "list").stdout
    assert call(path, "catalog", "new", "flush_cache").exit_code == 2


def test_a_new_id_is_no_path(path: Path) -> None:
    """Invariant 5: what is typed never becomes a path of its own."""
    assert call(path, "catalog", "new", "../../evil").exit_code == 2


def test_a_broken_catalog_is_3_with_a_line_for_each_problem(path: Path) -> None:
    (path.parent / "playbooks/mark/entry.yml").write_text("title: x\nlevle: auto\n")
    result = call(path, "catalog", "list")
    assert result.exit_code == 3
    assert "did you mean level?" in result.stderr
    assert len(result.stderr.splitlines()) > 1
