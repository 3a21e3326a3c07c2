"""The command line: `runner NOUN VERB`. What a command needs is imported when it is called."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click

from runner import __version__

#: Name → (module that has a command of this name, its help in a line). The order is that of help.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("runner.cli.init", "Create a project folder that uses the shipped catalog."),
    "check": ("runner.cli.check", "Validate configuration, catalog and inventory (read-only)."),
    "serve": ("runner.cli.serve", "Receive and process alerts; serve the dashboard."),
    "work": ("runner.cli.serve", "Process incidents without a web server."),
    "alert": ("runner.cli.alert", "Submit alerts, or explain why one did or did not run."),
    "delivery": ("runner.cli.delivery", "List what could not be read, and replay it."),
    "incident": (
        "runner.cli.incident",
        "List, show, cancel and retry incidents, and propose entries for them.",
    ),
    "ask": (
        "runner.cli.ask",
        "Answer a question from the store, Alertmanager and Prometheus (read-only).",
    ),
    "autonomy": ("runner.cli.autonomy", "Show the level that entries have earned, and set it."),
    "approval": ("runner.cli.approval", "List, approve or deny pending approvals."),
    "run": (
        "runner.cli.run",
        "Run an entry manually; the usual policy, dry run and approval apply.",
    ),
    "catalog": ("runner.cli.catalog", "List, validate and create entries."),
    "import": ("runner.cli.imports", "Turn rules of other tools into entries."),
    "model": ("runner.cli.model", "Show what the model was used for, and what it cost."),
    "case": (
        "runner.cli.case",
        "Decide recorded incidents again, and compare with the expected decisions.",
    ),
    "drill": (
        "runner.cli.drill",
        "Inject faults on purpose, and measure how the runner handles them.",
    ),
    "node": (
        "runner.cli.node",
        "Show nodes, predictions and the greylist.",
    ),
    "predict": ("runner.cli.predict", "Predict which nodes are about to fail (read-only)."),
    "pause": ("runner.cli.pause", "Stop all playbook runs until `runner resume`."),
    "resume": ("runner.cli.pause", "End the pause."),
    "simulate": (
        "runner.cli.simulate",
        "Test a receiver with messages that Alertmanager may send.",
    ),
    "audit": ("runner.cli.audit", "Verify or export the audit log."),
    "demo": ("runner_demo.command", "Break a service on this machine and watch the runner fix it."),
}

#: Exit codes as `runner --help` and docs/cli.md say them; a test compares them with errors.py.
EXIT_CODES: dict[int, str] = {
    0: "success; every incident ended well or is waiting for a person",
    1: "failed; an incident was escalated, denied, cancelled or expired, its dry run failed, or a "
    "rule was not imported",
    2: "invalid command line, or the body is not a delivery",
    3: "runner.yml, the catalog or the inventory is invalid",
    4: "the store is unavailable",
    5: "no such incident, approval or entry",
    6: "refused by policy, by a lock or by another process",
    7: "Prometheus or Alertmanager gave no usable answer",
    130: "interrupted by Ctrl-C",
}


class LevelName(click.Choice[str]):
    """The name of a level. The older `dry-run` is accepted until v0.3, with a note."""

    def __init__(self) -> None:
        super().__init__(("observe", "dry-run", "approve", "auto"))

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "rehearse":
            note = "level `rehearse` is now `dry-run`; the old name works until v0.3"
            click.echo(f"runner: {note}", err=True)
            value = "dry-run"
        return super().convert(value, param, ctx)


LEVEL = LevelName()

#: An option that says its environment variable in `--help`.
option = partial(click.option, show_envvar=True)

output_option = partial(
    click.option,
    "--output",
    "-o",
    type=click.Choice(["table", "json"]),
    envvar="RUNNER_OUTPUT",
    show_envvar=True,
    help="Output format: table for people, json for programs.",
)


def set_output(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """What `--output` of a command does."""
    if value is not None and ctx.obj is not None:
        ctx.obj.output = value


class Verb(click.Command):
    """A command that takes `--output` too, so that it may stand behind the verb."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        output_option(expose_value=False, is_eager=True, callback=set_output)(self)


class Noun(click.Group):
    """The verbs of one noun."""

    command_class = Verb

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the module."""
        return list(self.commands)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and not to be listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, from its module."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(COMMANDS[cmd_name][0]), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES.items()])


class Root(LazyGroup):
    """Turns whatever a command raises into one sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run one command line and exit; whatever it raises is told on standard error."""
        from runner.errors import RunnerError

        argv = list(sys.argv[1:] if args is None else args)
        extra.pop("prog_name", None)
        extra["standalone_mode"] = False
        try:
            answer = super().main(argv, "runner", **extra)
            code = answer if isinstance(answer, int) else 0
        except click.Abort:
            code = 130
        except click.UsageError as error:
            place = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
            _tell(argv, error.format_message().rstrip(".") + place)
            code = 2
        except click.ClickException as error:
            _tell(argv, error.format_message())
            code = error.exit_code
        except RunnerError as error:
            _tell(argv, str(error))
            code = error.exit_code
        except Exception as error:
            name = f"{type(error).__name__}: {error}".rstrip(": ")
            if os.environ.get("RUNNER_VERBOSE") or {"-v", "--verbose"} & set(argv):
                import traceback

                click.echo("".join(traceback.format_exception(error)), err=True)
                _tell(argv, f"internal error: {name}")
            else:
                _tell(argv, f"internal error: {name}; `runner -v …` shows where it happened")
            code = 1
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """The command's answer. Nobody reading on is no error that needs words."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141


def _tell(argv: list[str], sentence: str) -> None:
    """Say on standard error why it ended, in the form that was asked for."""
    from runner.text import visible

    # What was asked for, even by a command line that could not be understood.
    after = dict(zip(argv, [*argv[1:], ""], strict=True))
    outputs = {after.get("--output"), after.get("-o"), os.environ.get("RUNNER_OUTPUT")}
    if "json" in outputs or "--output=json" in argv:
        import json

        click.echo(json.dumps({"error": sentence}), err=True)
    else:
        click.echo("runner: " + visible(sentence, lines=True).replace("\n", "\n  "), err=True)


@click.group(
    cls=Root,
    context_settings={"auto_envvar_prefix": "RUNNER", "help_option_names": ["-h", "--help"]},
)
@option("--config", "-c", type=click.Path(), default="runner.yml", show_default=True,
        help="Configuration file of the project.")  # fmt: skip
@option(
    "--level",
    type=LEVEL,
    help="Upper limit for this command; it can only lower the configured level.",
)
@output_option(default="table", show_default=True)
@option("--no-color", is_flag=True, help="Disable colours, as NO_COLOR does.")
@option("--verbose", "-v", is_flag=True, help="Log more, and show tracebacks.")
@click.version_option(__version__, prog_name="runner", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config: str, level: str | None, output: str, no_color: bool,
        verbose: bool) -> None:  # fmt: skip
    """From an alert to an Ansible playbook: dry run, approval, run, verification.

    Every option has an environment variable, named in its help.
    """
    from runner.cli.session import Session

    ctx.obj = Session.of(config, level, output, color=not no_color, verbose=verbose)
    ctx.call_on_close(ctx.obj.close)


def main() -> NoReturn:
    """The program. It ends even when a thread is still in the middle of a step."""
    # Modules that are loaded stay; to look for garbage among them takes a tenth of a short command.
    gc.set_threshold(100_000)
    try:
        cli.main()
    except SystemExit as end:
        import threading

        if threading.active_count() == 1:
            raise
        # What is under way in the other threads resumes at the next start.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
