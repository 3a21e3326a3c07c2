"""docs/cli.md and docs/configuration.md, made from the commands and from the configuration.

`python -m runner.cli.reference docs` writes them; a test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from runner.cli import COMMANDS, EXIT_CODES, Root, cli
from runner.cli.init import EXAMPLE, shipped
from runner.config import ENVIRONMENT

_CLI = """\
# Command line

`runner NOUN VERB`. This page is made from `--help` by `make docs`.

Answers go to standard output, everything else to standard error. On a terminal they are tables in
its width; in a pipe plain aligned text, one line a row; with `--output json` one JSON document, and
an error is `{"error": "…"}` on standard error.

`--level` is a cap wherever it stands: it lowers how far something may go and never raises it.

## Exit codes

| code | meaning |
|---|---|
"""

_CONFIGURATION = """\
# Configuration

`runner.yml` is one YAML file. This page is made by `make docs` from the comments of
[`runner.example.yml`](../runner.example.yml), which a test compares with what is understood.
Unknown keys are refused.

- Durations are written as Prometheus writes them: `30s`, `5m`, `1h30m`, `7d`. Rates as `3/1h`.
- Paths are seen from the folder of the file.
- Secrets never stand in the file. `bearer_token`, `password` and a URL with a password are refused
  there: name a file with the `_file` key beside it, which is read again at each use, or use the
  environment. A file that is named and missing stops the start.
- `on`, `off`, `yes` and `no` are words; only `true` and `false` are truth values. A key that is
  written twice is refused.

## Environment

These replace what the file says. Options of the command line have variables of their own, which
[`--help`](cli.md) names.

| variable | key |
|---|---|
"""

_KEY = re.compile(r"^(?P<indent> *)#?(?P<item>- )?(?P<key>[a-z_]+):(?: (?P<value>.*))?$")
_PROSE = re.compile(r"^ *# (.*)$")


def cli_page() -> str:
    """docs/cli.md."""
    codes = "".join(f"| {code} | {text} |\n" for code, text in EXIT_CODES.items())
    parts = [_CLI + codes]
    root = click.Context(cli, info_name="runner", **cli.context_settings)
    parts.append(_section("runner", cli, root))
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        parts += _sections(name, command, root)
    return "\n".join(parts)


def _sections(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=name, **command.context_settings)
    yield _section(context.command_path, command, context)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            yield from _sections(verb, below, context)


def _section(path: str, command: click.Command, context: click.Context) -> str:
    # As wide on every machine; the exit codes have a table of their own.
    context.terminal_width = context.max_content_width = 100
    text = command.get_help(context)
    if isinstance(command, Root):
        text = text.partition("\nExit codes:")[0]
    return f"## `{path}`\n\n```text\n{text.rstrip()}\n```\n"


def configuration_page() -> str:
    """docs/configuration.md."""
    variables = "".join(f"| `{name}` | `{'.'.join(key)}` |\n" for name, key in ENVIRONMENT.items())
    text = (shipped() / EXAMPLE).read_text(encoding="utf-8")
    rows = list(keys(text))
    top = [row for row in rows if "." not in row[0] and row[1]]
    parts = [_CONFIGURATION + variables, _table("Top level", "", top)]
    for path, value, said in rows:
        if "." not in path and not value:
            below = [row for row in rows if row[0].startswith(f"{path}.")]
            parts.append(_table(f"`{path}`", said + "\n\n", below))
    return "\n".join(parts)


def _table(title: str, said: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [
        f"| `{path}` | {f'`{value}`' if value else ''} | {said} |\n" for path, value, said in rows
    ]
    head = "| key | default or example | meaning |\n|---|---|---|\n"
    return f"## {title}\n\n{said}{head}{''.join(lines)}"


def keys(text: str) -> Iterator[tuple[str, str, str]]:
    """(path, value as written, comment) of every key of runner.example.yml, set or not."""
    above: list[tuple[int, str]] = []
    prose: list[str] = []
    for line in text.splitlines():
        if found := _PROSE.match(line):
            prose.append(found[1])
        elif match := _KEY.match(line):
            deep = len(match["indent"])
            above = [each for each in above if each[0] < deep]
            path = ".".join([*(key for _, key in above), match["key"]])
            yield path, match["value"] or "", " ".join(prose)
            # The other keys of a list's item stand below the text behind its dash.
            above.append((deep + 2 if match["item"] else deep, match["key"]))
            prose = []
        else:
            prose = []


def uncommented(text: str) -> Any:
    """The content of runner.example.yml with every key set."""
    from runner.text.plain_yaml import read_yaml

    return read_yaml(re.sub(r"(?m)^( *)#(?! )", r"\1", text))


def main(folder: Path) -> None:
    """Write both pages."""
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")
    (folder / "configuration.md").write_text(configuration_page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
