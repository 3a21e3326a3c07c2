"""Loading: a catalog is sound as a whole, or every problem is told at once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.catalog import Catalog, load
from runner.errors import CatalogError, NotFound

Write = Callable[..., Path]

ENTRY = {
    "title": "Restart",
    "description": "Restarts one unit.",
    "match": "['alertname=\"Down\"']",
    "role": "restart",
    "parameters": "{restart_unit: {from: label service}}",
}
SPEC = """
argument_specs:
  main:
    options:
      restart_unit: {description: The unit., type: str, required: true}
      restart_manager: {description: Its manager., type: str, choices: [systemd, runit]}
"""


@pytest.fixture
def role(tmp_path: Path) -> Path:
    path = tmp_path / "roles" / "restart"
    (path / "meta").mkdir(parents=True)
    (path / "meta" / "argument_specs.yml").write_text(SPEC)
    return path


@pytest.fixture
def write(tmp_path: Path, role: Path) -> Write:
    """Writes an entry; keys that are None are left out."""

    def written(id: str, /, **keys: str | None) -> Path:
        folder = tmp_path / "playbooks" / id
        folder.mkdir(parents=True)
        content = {k: v for k, v in (ENTRY | keys).items() if v is not None}
        text = "".join(f"{key}: {value}\n" for key, value in content.items())
        (folder / "entry.yml").write_text(text)
        (folder / "playbook.yml").write_text("- hosts: all\n  roles: [restart]\n")
        return folder

    return written


def _load(tmp_path: Path) -> Catalog:
    return load(tmp_path / "playbooks", (tmp_path / "roles",))


def _problems(tmp_path: Path) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        _load(tmp_path)
    return str(caught.value).splitlines()


def test_it_loads_every_folder_that_has_an_entry(tmp_path: Path, write: Write) -> None:
    write("b_second")
    write("a_first")
    (tmp_path / "playbooks" / "notes").mkdir()
    assert list(_load(tmp_path).entries) == ["a_first", "b_second"]


def test_it_finds_an_entry_by_its_id_or_names_the_nearest(tmp_path: Path, write: Write) -> None:
    write("restart_service")
    catalog = _load(tmp_path)
    assert catalog.get("restart_service").role == "restart"
    with pytest.raises(NotFound, match="did you mean restart_service"):
        catalog.get("restart_servce")
    with pytest.raises(NotFound, match="runner catalog list"):
        catalog.get("../../etc/passwd")


def test_only_remediation_entries_whose_matchers_fit_are_eligible(
    tmp_path: Path, write: Write
) -> None:
    """Invariant 4: probes, drills and what does not match are never offered for an alert."""
    write("fits")
    write("other", match="['alertname=\"Other\"']")
    write("no_match", match=None)
    write("a_probe", kind="probe")
    write("a_drill", kind="drill")
    eligible = _load(tmp_path).eligible({"alertname": "Down"})
    assert [entry.id for entry in eligible] == ["fits"]


def test_the_schema_is_the_roles_argument_spec(tmp_path: Path, write: Write) -> None:
    write("one")
    schema = _load(tmp_path).schema("one")
    assert schema["restart_unit"].required
    assert schema["restart_manager"].choices == ("systemd", "runit")


def test_it_tells_every_problem_at_once(tmp_path: Path, write: Write) -> None:
    write("one", levl="auto")
    write("two", role="restrat")
    write("three", undo="nothing")
    problems = _problems(tmp_path)
    assert len(problems) == 3
    assert any("one/entry.yml: unknown key levl; did you mean level?" in p for p in problems)
    assert any("no role 'restrat'; did you mean restart?" in p for p in problems)
    assert any("undo: there is no entry 'nothing'" in p for p in problems)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"parameters": "{restart_unit: {form: label x}}"}, "did you mean from?"),
        ({"target": "{lable: instance}"}, "unknown key target.lable; did you mean label?"),
        ({"verify": "{checks: [{promq: up}]}"}, "did you mean promql?"),
        ({"id": "other"}, "an entry's id is the name of its folder"),
        ({"folder": "/tmp"}, "an entry's id is the name of its folder"),
        ({"match": "['alertname==x']"}, "use =, !=, =~ or !~"),
        ({"match": "['a=~\"(\"']"}, "is not a regular expression of RE2"),
        ({"match": "[['a=1'], 'b=2']"}, "match: has matchers beside lists of matchers"),
        ({"consider": "[[]]"}, "consider: has an empty list, which would match every alert"),
        ({"kind": "probe", "consider": "['a=1']"}, "consider is for remediations"),
        ({"title": "a\ntitle: b"}, "the key 'title' is written twice (line 2)"),
        ({"parameters": "{}"}, "role restart requires it"),
        (
            {"parameters": "{restart_unit: {from: label s}, restart_manger: {from: choice}}"},
            "no such variable; did you mean restart_manager?",
        ),
        ({"parameters": "{ansible_user: {from: label s}}"}, "never ansible_"),
        ({"parameters": "{restart_unit: {from: constant}}"}, "a constant needs value"),
        ({"parameters": "{restart_unit: {from: label s, value: x}}"}, "value belongs to"),
        (
            {"parameters": "{restart_unit: {from: label s}, "
             "restart_manager: {from: choice, value: upstart}}"},
            "value must be one of systemd, runit, not 'upstart'",
        ),
        ({"undo": "one"}, "lead back to where they start"),
        ({"probe": "one"}, "one is a remediation, but a probe is needed here"),
        ({"role": None}, "give one of role, playbook and steps"),
        ({"role": "null", "steps": "[one]"}, "parameters belong to the steps"),
        ({"role": "../roles/restart"}, "there is no role"),
        ({"when": "[{promql: up > $threshold}]"}, "may stand only in the quoted value"),
        ({"title": "[unclosed"}, "is not YAML"),
    ],
)  # fmt: skip
def test_it_says_what_is_wrong_and_what_to_do(
    tmp_path: Path, write: Write, keys: dict[str, str], said: str
) -> None:
    write("one", **keys)
    problems = _problems(tmp_path)
    assert all("one/entry.yml: " in problem for problem in problems)
    assert any(said in problem for problem in problems)


def test_an_id_is_lower_case(tmp_path: Path, write: Write) -> None:
    write("Restart-It")
    assert "'Restart-It' cannot be an id" in _problems(tmp_path)[0]


def test_a_playbook_must_be_there(tmp_path: Path, write: Write) -> None:
    (write("one") / "playbook.yml").unlink()
    assert "playbook.yml: is missing" in _problems(tmp_path)[0]


def test_an_undo_may_not_lead_back(tmp_path: Path, write: Write) -> None:
    write("one", undo="two")
    write("two", undo="one")
    (problem,) = _problems(tmp_path)
    assert "(one → two → one)" in problem or "(two → one → two)" in problem


def test_an_undo_is_a_remediation_and_a_step_no_drill(tmp_path: Path, write: Write) -> None:
    write("one", undo="breaks")
    write("breaks", kind="drill")
    write("plan", role=None, parameters=None, steps="[breaks]")
    problems = _problems(tmp_path)
    assert [p.partition("entry.yml: ")[2] for p in problems] == [
        "undo: breaks is a drill, but a remediation is needed here",
        "steps.0: breaks is a drill, but a remediation or probe is needed here",
    ]


def test_a_plan_of_steps_needs_no_playbook(tmp_path: Path, write: Write) -> None:
    write("one", verify="{checks: [{promql: up}]}")
    (write("plan", role=None, parameters=None, steps="[one]") / "playbook.yml").unlink()
    catalog = _load(tmp_path)
    assert [str(step) for step in catalog.get("plan").steps] == ["one"]
    assert catalog.schema("plan") == {}


def test_a_broken_spec_is_a_problem_of_the_entry(tmp_path: Path, write: Write, role: Path) -> None:
    write("one")
    text = textwrap.dedent("argument_specs: {main: {options: {restart_unit: text}}}")
    (role / "meta" / "argument_specs.yml").write_text(text)
    assert "restart_unit must be a mapping with type and description" in _problems(tmp_path)[0]


def test_a_missing_folder_is_told_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"set project\.playbooks"):
        load(tmp_path / "nowhere", ())


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"target": "{part: restart_unit}"}, "part is a kind and a parameter, as in `unit serv"),
        ({"target": "{part: planet restart_unit}"}, "kinds are unit, mountpoint, container"),
        ({"target": "{part: unit nobody}"}, "target.part names nobody, which is none of its param"),
        ({"target": "{exclusive: part}"}, "target.exclusive: part needs target.part"),
        ({"target": "{exclusive: unit}"}, "target.exclusive"),
        (
            {
                "target": "{part: unit restart_unit}",
                "parameters": "{restart_unit: {from: host target}}",
            },
            "target.part names restart_unit, which comes from host",
        ),
    ],
)
def test_a_part_is_named_by_a_parameter(
    write: Write, tmp_path: Path, keys: dict[str, str], why: str
) -> None:
    write("restart", **keys)
    (problem,) = _problems(tmp_path)
    assert why in problem


def test_a_plan_of_steps_has_no_part_of_its_own(write: Write, tmp_path: Path) -> None:
    write("restart", target="{part: unit  restart_unit, exclusive: part}")
    assert _load(tmp_path).get("restart").target.part == "unit restart_unit"
    write("plan", role=None, parameters=None, steps="[restart]", target="{part: unit x}")
    assert "target.part belongs to the entries of the steps" in _problems(tmp_path)[0]
