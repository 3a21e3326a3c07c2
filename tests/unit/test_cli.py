from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runner import __version__, config, errors
from runner.cli import COMMANDS, EXIT_CODES, LEVEL, cli
from runner.incident import Level
from tests.command_line import PROGRAM, call, environment
from tests.small_project import make

PRESENT = [name for name, (module, _) in COMMANDS.items() if find_spec(module)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("cli"))


def commands(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    """The command and everything below it."""
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, context)


def every() -> list[click.Command]:
    context = click.Context(cli, info_name="runner")
    found = [cli]
    for name in PRESENT:
        command = cli.get_command(context, name)
        assert command is not None
        found += commands(command, context)
    return found


def test_help_imports_no_command_and_no_large_library() -> None:
    code = (
        "import sys\nfrom runner.cli import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(ended.stderr.split())
    large = {"pydantic", "sqlalchemy", "dbos", "fastapi", "rich", "apprise", "yaml", "logging"}
    assert not loaded & large
    assert {name for name in loaded if name.startswith("runner.cli.")} == set()


def test_help_names_every_command_and_exit_code() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert all(f"\n  {code} " in text for code in EXIT_CODES)


@pytest.mark.parametrize("name", PRESENT)
def test_the_table_says_what_the_command_does(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    if name != "demo":
        assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


def test_exit_codes_are_those_of_the_errors() -> None:
    found = {error.exit_code for error in vars(errors).values() if _is_error(error)}
    assert found | {0, 130} == set(EXIT_CODES)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, errors.RunnerError)


def test_the_levels_of_the_command_line_are_all_levels() -> None:
    assert tuple(Level) == LEVEL.choices


def test_every_option_says_its_environment_variable() -> None:
    silent = [
        (command.name, option.name)
        for command in every()
        for option in command.params
        if isinstance(option, click.Option) and option.name != "version" and not option.show_envvar
    ]
    assert silent == []


def test_an_options_variable_is_named_like_the_option() -> None:
    odd = []
    for command in every():
        for option in command.params:
            if not isinstance(option, click.Option) or option.name == "version":
                continue
            long = max(option.opts, key=len).lstrip("-").replace("-", "_")
            if option.envvar is None and option.name != long:
                odd.append((command.name, option.name))
    assert odd == []


def test_a_variable_of_the_configuration_is_no_option_but_the_level(project: Path) -> None:
    taken = {
        f"RUNNER_{option.name}".upper() for option in cli.params if isinstance(option, click.Option)
    }
    assert taken & set(config.ENVIRONMENT) == {"RUNNER_LEVEL"}


def test_every_verb_takes_output_behind_it() -> None:
    verbs = [each for each in every() if not isinstance(each, click.Group)]
    assert [v.name for v in verbs if "output" not in {p.name for p in v.params}] == []


def test_an_option_may_be_an_environment_variable(project: Path) -> None:
    result = CliRunner().invoke(
        cli, ["catalog", "list"], env={"RUNNER_CONFIG": str(project), "RUNNER_OUTPUT": "json"}
    )
    assert [entry["id"] for entry in json.loads(result.stdout)] == ["mark"]


def test_the_version_is_said() -> None:
    assert CliRunner().invoke(cli, ["--version"]).stdout == f"runner {__version__}\n"


def test_a_missing_configuration_is_one_sentence_and_3(tmp_path: Path) -> None:
    result = call(tmp_path / "none.yml", "catalog", "list")
    assert result.exit_code == 3
    assert result.stderr.startswith("runner: ")
    assert "runner init DIR" in result.stderr
    assert result.stdout == ""


def test_an_unknown_option_is_2_and_names_the_help(project: Path) -> None:
    result = call(project, "incident", "list", "--bogus")
    assert result.exit_code == 2
    assert "see `runner incident list --help`" in result.stderr


@pytest.mark.parametrize("words", [["--output", "json"], ["--output=json"], ["-o", "json"]])
def test_an_error_for_a_program_is_json(project: Path, words: list[str]) -> None:
    for wrong in (["incident", "show", "99", *words], ["incident", "list", "--bogus", *words]):
        result = call(project, *wrong)
        assert result.exit_code in (2, 5)
        assert list(json.loads(result.stderr)) == ["error"]


def test_an_unknown_incident_is_5(project: Path) -> None:
    assert call(project, "incident", "show", 99).exit_code == 5


def test_a_store_that_cannot_be_opened_is_4(tmp_path: Path) -> None:
    path = make(tmp_path, settings={"store": {"url": "sqlite:///folder"}})
    (tmp_path / "folder").mkdir()
    result = call(path, "incident", "list")
    assert result.exit_code == 4
    assert "Traceback" not in result.output


def _fail(*_: object, **__: object) -> None:
    raise KeyError("surprise\x1b[2J")


def test_a_bug_is_a_sentence_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.store.incidents.find", _fail)
    result = call(project, "incident", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("runner: internal error: KeyError")
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr


def test_verbose_shows_where_a_bug_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.store.incidents.find", _fail)
    assert "Traceback" in call(project, "-v", "incident", "list").stderr


def test_ctrl_c_is_130(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.store.incidents.find", interrupted)
    result = call(project, "incident", "list")
    assert (result.exit_code, result.stdout) == (130, "")


def test_a_reader_that_went_away_is_no_error(project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [*PROGRAM, "--config", str(project), "catalog", "list"],
        stdout=write, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_the_program_ends_with_the_commands_code(project: Path) -> None:
    ended = subprocess.run(
        [*PROGRAM, "--config", str(project), "incident", "show", "7"],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert ended.returncode == 5
    assert ended.stderr == "runner: there is no incident 7; see `runner incident list`\n"
