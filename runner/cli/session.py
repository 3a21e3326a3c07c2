"""What one call of the program has in hand: its options, and the project when it is needed."""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import click

from runner import private
from runner.cli import option
from runner.incident import Level
from runner.incident_report.screen import Screen
from runner.project import Project
from runner.text import visible

as_option = option(
    "--as",
    "name",
    metavar="NAME",
    envvar="RUNNER_AS",
    help="Your name for the audit log; default: your login name.",
)
yes_option = option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


#: Where an answer is written to: a file of its own, or `-` for standard output.
OUTPUT = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


#: What is said when something was asked for that nobody will do yet.
IDLE = "No worker is running: start `runner serve` or `runner work`."


class Session:
    """Made by the root command, handed to every verb."""

    def __init__(
        self, config: Path, level: Level | None, output: str, *, color: bool, verbose: bool
    ) -> None:
        self.config_path = config
        self.level = level
        self.output = output
        self.color = color and "NO_COLOR" not in os.environ
        self.verbose = verbose
        self._project: Project | None = None

    @classmethod
    def of(
        cls, config: str, level: str | None, output: str, *, color: bool, verbose: bool
    ) -> Session:
        """The session of these options as they were typed."""
        logging.basicConfig(
            level=logging.INFO if verbose else logging.WARNING, format="runner: %(message)s"
        )
        cap = Level(level) if level else None
        return cls(Path(config), cap, output, color=color, verbose=verbose)

    @property
    def ceiling(self) -> Level:
        """What `--level` allows."""
        return self.level or Level.AUTO

    def lower(self, level: Level | None) -> Level:
        """The least of what the global option and a verb's own one allow."""
        return Level.lowest(self.ceiling, level or Level.AUTO)

    @property
    def json(self) -> bool:
        """Whether a program reads."""
        return self.output == "json"

    @property
    def project(self) -> Project:
        """The project of `--config`. Raises ConfigError."""
        if self._project is None:
            self._project = Project.load(self.config_path)
        return self._project

    @cached_property
    def screen(self) -> Screen:
        """Where answers go."""
        return Screen(color=self.color)

    def answer(self, value: Any) -> None:
        """Print `value` as JSON."""
        self.screen.json(value)

    def note(self, text: str) -> None:
        """A line beside the answer, which a pipe does not get."""
        click.echo(visible(text), err=True)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on a terminal that something takes its time; gone when the block ends."""
        if self.json or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console

        with Console(stderr=True, no_color=not self.color).status(what):
            yield

    def is_worked_on(self) -> bool:
        """Whether some process works on the incidents."""
        from runner.engine import is_worked_on

        return is_worked_on(self.project.database, self.project.state)

    def note_if_idle(self) -> None:
        """Say so when what was asked for waits for nobody."""
        if not self.is_worked_on():
            self.note(IDLE)

    def close(self) -> None:
        """End what was opened."""
        if self._project is not None:
            self._project.close()


@contextmanager
def written(file: Path) -> Iterator[TextIO]:
    """What `file` names, open for writing: standard output for `-`, else a private file."""
    if str(file) == "-":
        yield sys.stdout
        return
    with private.writing(file) as out:
        yield out


def person(name: str | None) -> str:
    """The actor that a person is, as the audit log keeps it."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):
            name = f"uid-{os.getuid()}"
    return f"user:{name}"


def can_ask(session: Session) -> bool:
    """Whether a person sits in front of this process."""
    return not session.json and sys.stdin.isatty()


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask before something is let happen. Raises UsageError where nobody can be asked."""
    refuse_unasked(session, question, yes=yes)
    if not yes:
        click.confirm(question, abort=True, err=True)


def refuse_unasked(session: Session, question: str, *, yes: bool) -> None:
    """Raise UsageError where nobody can be asked what `confirm` asks: before anything is done."""
    if not yes and not can_ask(session):
        raise click.UsageError(f"{question} Standard input is not a terminal; add --yes to confirm")
