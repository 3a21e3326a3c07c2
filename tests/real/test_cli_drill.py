"""`runner drill` as a person calls it: what is listed, what is refused, what a program reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.incident import State
from runner.project import Project
from tests import small_project as small
from tests.command_line import PROGRAM, answered, call, environment
from tests.local_hosts import needs_ansible

pytestmark = needs_ansible

#: The small project's play, which says instead that the host is broken.
DRILL: dict[str, Any] = {
    "title": "Mark a host as broken",
    "description": "Writes that it is broken.",
    "kind": "drill",
    "match": [],
    "dry_run": "none",
    "parameters": {
        "mark_text": {"from": "constant", "value": "broken"},
        "mark_seconds": {"from": "choice"},
    },
    "verify": {"checks": []},
}
HOSTS = {"web1": {"runner_drill": True}, "web2": {"runner_drill": "true"}, "db1": {}}


def make(root: Path, hosts: dict[str, Any] = HOSTS) -> Path:
    """The small project with a drill beside its one remediation."""
    path = small.make(root, inventory={"all": {**small.INVENTORY["all"], "hosts": hosts}})
    shutil.copytree(root / "playbooks/mark", root / "playbooks/drill_mark")
    (root / "playbooks/drill_mark/entry.yml").write_text(json.dumps({**small.ENTRY, **DRILL}))
    with (root / "roles/mark/meta/argument_specs.yml").open("a") as specs:
        specs.write("      mark_seconds: {type: int, description: When it ends.}\n")
    tasks = root / "roles/mark/tasks/main.yml"
    when = 'marked: true, injected_at: "{{ now(utc=true).isoformat() }}+00:00"'
    tasks.write_text(tasks.read_text().replace("marked: true", when))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("drill"))


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Project]:
    """A project of its own on which somebody works."""
    project = small.project(make(tmp_path))
    daemon = Daemon(project)
    daemon.start()
    yield project
    daemon.stop()
    project.close()


def refused(path: Path, code: int, *words: str) -> str:
    """The one sentence of a command that is refused; it broke nothing and said nothing else."""
    result = call(path, "drill", *words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("runner: ")
    assert small.runs(path.parent) == 0
    return sentence.removeprefix("runner: ")


def test_drills_are_listed_and_remediations_are_not(path: Path) -> None:
    result = call(path, "drill", "list")
    assert result.exit_code == 0, result.output
    assert "drill_mark" in result.stdout and "Writes that it is broken." in result.stdout
    assert "Appends a line" not in result.stdout
    assert result.stdout.splitlines()[-1] == "hosts that allow drills: web1"


def test_a_list_without_a_host_says_how_to_allow_one(tmp_path: Path) -> None:
    result = call(make(tmp_path, {"web1": {}}), "drill", "list")
    last = "hosts that allow drills: none; set runner_drill: true in the inventory"
    assert result.stdout.splitlines()[-1] == last


def test_the_list_for_a_program_is_json_and_nothing_else(path: Path) -> None:
    listed = answered(path, "drill", "list")
    about = {key: DRILL[key] for key in ("title", "description")}
    assert listed == {"drills": [{"id": "drill_mark", **about}], "hosts": ["web1"]}


RUN = ("run", "drill_mark", "--yes", "--host")


def test_a_host_that_does_not_say_so_is_not_broken(path: Path) -> None:
    """Only `true` itself allows it; a word that looks like it does not."""
    for host in ("web2", "db1"):
        said = f"{host} does not allow drills; set runner_drill: true for it in the inventory"
        assert refused(path, 6, *RUN, host) == said


@pytest.mark.parametrize("host", ["web9", "web*", "web1,db1"])
def test_an_unknown_host_is_named(path: Path, host: str) -> None:
    """Invariant 6: a host is an exact name of the inventory."""
    assert refused(path, 6, *RUN, host) == (
        f"{host} is not a host of the inventory; give its exact name"
    )


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("drill_mrak", 5, "the catalog has no drill 'drill_mrak'; did you mean drill_mark?"),
        ("mrak", 5, "the catalog has no drill 'mrak'; `runner drill list` shows all"),
        ("mark", 6, "mark is a remediation, not a drill; `runner drill list` shows those"),
    ],
)
def test_an_unknown_drill_is_refused_with_the_nearest_one(
    path: Path, name: str, code: int, sentence: str, tmp_path: Path
) -> None:
    """Invariant 4: no other kind of entry can be had by this command."""
    report = ("--report", str(tmp_path / "report"))
    assert refused(path, code, "run", name, "--host", "web1", "--yes") == sentence
    matrix = ("matrix", "--drill", "drill_mark", "--drill", name, "--host", "web1", *report)
    assert refused(path, code, *matrix, "--yes") == sentence


def test_a_matrix_with_an_unknown_host_breaks_none_of_the_others(
    path: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    words = ("matrix", "--host", "web1", "--host", "web9", "--report", str(report), "--yes")
    assert refused(path, 6, *words).startswith("web9 is not a host of the inventory")
    assert not report.exists()


@pytest.mark.parametrize(
    ("span", "sentence"),
    [
        ("1s", "--for 1s: a fault lasts 5s to 1h"),
        ("2h", "--for 2h: a fault lasts 5s to 1h"),
        ("soon", "--for: "),
    ],
)
def test_a_fault_has_an_end_within_bounds(path: Path, span: str, sentence: str) -> None:
    """Invariant 14: a fault that would last for ever is not begun."""
    assert refused(path, 2, *RUN, "web1", "--for", span).startswith(sentence)


def test_nobody_is_there_to_heal_so_nothing_is_broken(path: Path, tmp_path: Path) -> None:
    idle = "no worker is running to handle the fault; start `runner serve` first"
    assert refused(path, 6, *RUN, "web1") == idle
    report = ("--report", str(tmp_path / "report"))
    assert refused(path, 6, "matrix", "--host", "web1", *report, "--yes") == idle


def test_a_refusal_for_a_program_is_json_on_the_other_stream(path: Path) -> None:
    result = call(path, "drill", *RUN, "db1", "--output", "json")
    assert (result.exit_code, result.stdout) == (6, "")
    (error,) = json.loads(result.stderr).values()
    assert "db1 does not allow drills" in str(error)


def test_without_a_yes_nobody_can_be_asked(working: Project, tmp_path: Path) -> None:
    words = ("run", "drill_mark", "--host", "web1")
    said = refused(tmp_path / "runner.yml", 2, *words)
    assert "Break web1 on purpose with drill_mark? Standard input is not a terminal" in said


def test_a_matrix_of_which_nothing_may_begin_says_why(working: Project, tmp_path: Path) -> None:
    report = tmp_path / "report"
    words = ("matrix", "--host", "web2", "--host", "db1", "--report", report, "--yes")
    result = call(tmp_path / "runner.yml", "drill", *words, "--output", "json")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "no fault was injected" in result.stderr and "and 1 more" in result.stderr
    assert "web2 does not allow drills" in json.dumps(json.loads(result.stderr))
    assert not report.exists()


def test_a_paused_runner_breaks_nothing(working: Project, tmp_path: Path) -> None:
    acts.pause(working, by="user:ann", reason="a deploy")
    said = refused(tmp_path / "runner.yml", 6, *RUN, "web1")
    assert said.startswith("no drill now: paused by user:ann")


@pytest.mark.slow
def test_a_fault_is_injected_healed_and_told_as_json(working: Project, tmp_path: Path) -> None:
    """The fault, its alert, its healing; of two hosts the one that does not allow it is named."""
    report = tmp_path / "report"
    words = ["drill", "matrix", "--host", "web1", "--host", "db1", "--for", "5s", "--yes"]
    words += ["--as", "ann", "--report", str(report), "--output", "json"]
    with subprocess.Popen(
        [*PROGRAM, "--config", str(tmp_path / "runner.yml"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    ) as program:  # fmt: skip
        injected = small.wait(working)
        small.deliver(working, small.alert())
        out, error = program.communicate(timeout=120)
    assert injected.incident.state is State.DRILLED, injected.incident.reason
    assert injected.transitions[0].actor == "user:ann"
    assert (program.returncode, error) == (0, ""), error
    told = json.loads(out)
    (played,) = told["games"]
    assert (played["result"], played["entry"], played["host"]) == ("fixed", "mark", "web1")
    assert set(played["phases"]) == {"detect", "decide", "run", "verify"}
    (left,) = told["left_out"]
    assert (left["drill"], left["host"]) == ("drill_mark", "db1")
    assert "db1 does not allow drills" in left["reason"]
    assert small.runs(tmp_path) == 2 and small.runs(tmp_path, "db1") == 0
    assert sorted(p.name for p in report.iterdir()) == ["report.json", "report.md", "report.svg"]
