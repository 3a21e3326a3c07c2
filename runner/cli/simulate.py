"""`runner simulate`: try a receiver with what Alertmanager may send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import Verb, option
from runner.cli.session import Session
from runner.errors import ConfigError

if TYPE_CHECKING:
    from runner.intake.simulate.play import Played
    from runner.intake.simulate.rows import Row

_MAX_TOKEN = 4096


@click.command(cls=Verb)
@option("--against", metavar="URL", help="URL of the receiver, as in webhook_configs.")
@option("--token-file", type=click.Path(path_type=Path, dir_okay=False),
        help="File with the receiver's bearer token.")  # fmt: skip
@option("--only", metavar="NAME", multiple=True, help="Only this row, repeatable.")
@option(
    "--list",
    "list_rows",
    envvar="RUNNER_SIMULATE_LIST",
    is_flag=True,
    help="List the rows; send nothing.",
)
@option("--route", "show_route", envvar="RUNNER_SIMULATE_ROUTE", is_flag=True,
        help="Print a matching part of alertmanager.yml; send nothing.")  # fmt: skip
@click.pass_obj
def simulate(
    session: Session,
    against: str | None,
    token_file: Path | None,
    only: tuple[str, ...],
    list_rows: bool,
    show_route: bool,
) -> int:
    """Test a receiver with messages that Alertmanager may send.

    Sends a fixed number of messages with made-up alerts named RunnerSimulate…, reports row by row
    the expected and the actual answer, and resolves what it left firing. The exit code is 1 if a
    row failed.
    """
    from runner.intake.simulate.play import checked, play, requests_of
    from runner.intake.simulate.route import route
    from runner.intake.simulate.rows import BY_NAME, ROWS

    unknown = [name for name in only if name not in BY_NAME]
    if unknown:
        raise click.UsageError(f"there is no row {unknown[0]}; the rows are {', '.join(BY_NAME)}")
    rows = tuple(row for row in ROWS if not only or row.name in only)
    if list_rows:
        return _list(session, rows)
    if against is None:
        raise click.UsageError("name the receiver with --against")
    url = checked(against)
    if show_route:
        text = route(url, str(token_file) if token_file else None)
        session.answer({"route": text}) if session.json else session.screen.block(text, indent="")
        return 0
    token = _token(token_file)
    session.note(
        f"At most {requests_of(rows)} messages go to {url}, with made-up alerts called "
        "RunnerSimulate…; nothing else is done."
    )
    results = []
    for result in play(rows, url, token):
        results.append(result)
        if not session.json:
            session.note(f"  {result.result:<7}  {result.row}")
    return _tell(session, results)


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path}: the token cannot be read; see --token-file") from None
    if not token or len(token) > _MAX_TOKEN or not token.isascii() or not token.isprintable():
        raise ConfigError(f"{path}: is not one token in one line; see --token-file")
    return token


def _list(session: Session, rows: tuple[Row, ...]) -> int:
    if session.json:
        fields = ("name", "words", "expected", "requests")
        session.answer([{field: getattr(row, field) for field in fields} for row in rows])
        return 0
    cells = [(row.name, row.requests, row.expected, row.words) for row in rows]
    session.screen.table(("row", "messages", "expected", "what happens"), cells)
    return 0


def _tell(session: Session, results: list[Played]) -> int:
    failed = [result for result in results if result.result == "failed"]
    if session.json:
        session.answer(results)
        return 1 if failed else 0
    cells = [
        (each.result, each.row, each.expected, each.answered, each.problem or each.words)
        for each in results
    ]
    session.screen.table(("result", "row", "expected", "answered", "what it is about"), cells)
    passed = sum(result.result == "ok" for result in results)
    skipped = len(results) - passed - len(failed)
    session.screen.line(f"{passed} ok, {len(failed)} failed, {skipped} skipped")
    return 1 if failed else 0
