from __future__ import annotations

from pathlib import Path

import pytest

from runner import acts
from runner.cli.run import values_of
from runner.errors import UsageError
from tests import small_project as small
from tests.command_line import call, process
from tests.local_hosts import needs_ansible

pytestmark = needs_ansible
VALUE = ("-p", "mark_text=hello")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("run"))


def test_check_is_a_dry_run_only(path: Path) -> None:
    ended = process(path, "run", "mark", "--host", "web1", *VALUE, "--check")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-3] == "incident 1: ByHand on web1: dry_run"
    assert small.runs(path.parent) == 0
    assert "hello" in call(path, "incident", "show", 1).stdout


def test_with_a_yes_it_runs_and_is_verified(path: Path) -> None:
    ended = process(path, "run", "mark", "--host", "db1", *VALUE, "--yes", "--as", "ann")
    assert ended.returncode == 0, ended.stderr
    assert "user:ann asked for mark" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "incident 2: ByHand on db1: fixed"
    assert small.runs(path.parent, "db1") == 1


def test_without_a_yes_nobody_can_be_asked(path: Path) -> None:
    result = call(path, "run", "mark", "--host", "web1", *VALUE)
    assert result.exit_code == 2
    assert (
        "up to level auto? Standard input is not a terminal; add --yes to confirm" in result.stderr
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("mrak", "--host", "web1"), 5),
        (("mark", "--host", "all", *VALUE), 6),
        (("mark", "--host", "web*", *VALUE), 6),
        (("mark", "--host", "{{ groups.all }}", *VALUE), 6),
        (("mark", "--host", "web1", "-p", "ansible_connection=ssh"), 2),
        (("mark", "--host", "web1", "-p", "mark_tex=hello"), 2),
        (("mark", "--host", "web1", "-p", "mark_text"), 2),
        (("mark", *VALUE), 2),
    ],
)
def test_what_is_no_entry_host_or_parameter_is_refused(
    path: Path, words: tuple[str, ...], code: int
) -> None:
    """Invariants 4 and 6: entries, parameters and hosts are exact names of a closed list."""
    result = call(path, "run", *words, "--yes")
    assert result.exit_code == code, result.output
    assert len(result.stderr.splitlines()) == 1


def test_a_value_by_hand_is_not_overwritten_by_the_host(tmp_path: Path) -> None:
    """Of the labels that its parameter may come from, the last one is the host's."""
    spec = {"mark_text": {"from": "label cn|service|instance"}}
    project = small.project(small.make(tmp_path, entry={"parameters": spec}))
    number = acts.request_run(
        project, entry="mark", hosts=["web1"], values={"mark_text": "shop"}, by="user:ann"
    )
    labels = small.look(project, number).incident.alert.labels
    assert labels == {
        "alertname": "ByHand", "entry": "mark", "instance": "web1", "service": "shop",
    }  # fmt: skip
    project.close()


def test_a_value_that_only_the_run_itself_gives_is_refused(tmp_path: Path) -> None:
    spec = {"mark_text": {"from": "label instance"}}
    path = small.make(tmp_path, entry={"parameters": spec})
    result = call(path, "run", "mark", "--host", "web1", *VALUE, "--yes")
    assert result.exit_code == 2
    assert "mark: mark_text comes from the run itself; leave it out" in result.stderr


def test_values_are_taken_apart_at_the_first_sign() -> None:
    assert values_of(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("given", [["a"], ["=b"], ["a=1", "a=2"]])
def test_values_that_are_none_are_refused(given: list[str]) -> None:
    with pytest.raises(UsageError):
        values_of(given)
