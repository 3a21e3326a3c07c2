from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cases import file
from runner.errors import CatalogError, NotFound
from runner.incident import Level
from runner.text.plain_yaml import read_yaml
from tests.case_files import case, config, content, write


def refused(folder: Path, given: Any) -> str:
    with pytest.raises(CatalogError) as error:
        file.load(write(folder / "case.yml", given))
    return str(error.value)


def test_a_single_entry_is_a_list_of_one(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert made.expect.entry == ("restart_service",)
    assert made.expect.level is Level.AUTO
    assert made.name == f"{tmp_path.name}/one"


def test_a_text_of_evidence_needs_no_title(tmp_path: Path) -> None:
    made = case(tmp_path, evidence={"logs": "a line", "metrics": {"up": "1 1 0"}})
    assert made.evidence.logs == {"": "a line"}
    assert made.evidence.metrics == {"up": "1 1 0"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alert": None}, "give either alert or webhook"),
        ({"webhook": {"version": "4"}}, "give either alert or webhook"),
        ({"title": None}, "title: field required"),
        ({"expect": {"entry": []}}, "names at least one entry, or none_of_these"),
        ({"expect": {"never": ["restart_service"]}}, "is both expected and never right"),
        ({"expect": {"hosts": []}}, "leave it out where nothing is done"),
        ({"expect": {"levl": "auto"}}, "unknown key expect.levl; did you mean level?"),
        ({"alert": {"age": "soon"}}, "'soon' is not a duration"),
        ({"alert": {"age": "9999y"}}, "less than or equal to"),
        ({"at": "0001-01-01T00:00:00Z"}, "greater than or equal to"),
        ({"at": "2026-01-01T00:00:00"}, "timezone"),
        ({"runs": [{"entry": "a", "host": "b", "ago": "9999y"}]}, "less than or equal to"),
        ({"misses": {"nobody": "x"}}, "'rules', 'model' or 'both'"),
        ({"path": "/etc/passwd"}, "unknown key path"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(tmp_path, content(**changes))


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "a: 1\na: 2", "x" * 2_000_000, "\x00", "&a [*a]", "- " * 5000]
)
def test_what_is_no_case_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    assert str(tmp_path) in refused(tmp_path, text)


def test_a_file_that_is_not_text_or_not_there_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "case.yml").write_bytes(b"\xff\xfe")
    for path, words in ((tmp_path / "case.yml", "not UTF-8"), (tmp_path / "no.yml", "No such")):
        with pytest.raises(CatalogError, match=words):
            file.load(path)


@given(st.text(max_size=60))
def test_any_text_is_a_case_or_refused(tmp_path_factory: Any, text: str) -> None:
    folder = tmp_path_factory.mktemp("cases")
    (folder / "case.yml").write_bytes(text.encode(errors="replace"))
    with pytest.raises(CatalogError):
        file.load(folder / "case.yml")


def test_nothing_is_expected_by_entry_or_by_level(tmp_path: Path) -> None:
    low = {"entry": ["restart_service", "none_of_these"], "level": "observe"}
    assert case(tmp_path, expect=low).expect.nothing
    assert case(tmp_path, expect={"entry": "none_of_these", "hosts": None}).expect.nothing
    assert not case(tmp_path, expect={"level": "approve"}).expect.nothing


def test_it_finds_the_cases_of_entries_and_of_the_project(tmp_path: Path) -> None:
    for name in ("playbooks/a/cases/x.yml", "tests/cases/y.yml", "playbooks/a/entry.yml"):
        write(tmp_path / name, content())
    settings = config(project={"playbooks": str(tmp_path / "playbooks")})
    here = settings.model_copy(update={"root": tmp_path})
    assert [path.name for path in file.find(here)] == ["x.yml", "y.yml"]
    assert [path.name for path in file.find(here, [tmp_path / "playbooks"])] == ["x.yml"]
    assert file.find(here, [tmp_path / "playbooks/a/entry.yml"])
    with pytest.raises(NotFound, match="no such file or folder"):
        file.find(here, [tmp_path / "nowhere"])


def test_lint_names_what_the_catalog_does_not_have(tmp_path: Path) -> None:
    expect = {"entry": "restart_servic", "never": ["clean_dusk"]}
    write(tmp_path / "playbooks/a/cases/x.yml", content(expect=expect))
    write(tmp_path / "playbooks/a/cases/y.yml", "[]")
    settings = config(project={"playbooks": str(tmp_path / "playbooks")})
    here = settings.model_copy(update={"root": tmp_path})
    said = [each.text for each in file.lint(here, ["restart_service", "clean_disk"])]
    assert said[:2] == [
        "entry: the catalog has no entry 'restart_servic'",
        "never: the catalog has no entry 'clean_dusk'",
    ]
    assert "must be a mapping" in said[2]


def test_labels_may_look_like_numbers(tmp_path: Path) -> None:
    text = "title: T\nalert: {labels: {alertname: A, release: 2.8, port: 80}}\n"
    made = file.load(write(tmp_path / "c.yml", text + "expect: {entry: none_of_these}\n"))
    assert made.alert is not None
    assert made.alert.labels == {"alertname": "A", "release": "2.8", "port": "80"}
    assert read_yaml("a: 1") == {"a": 1}
