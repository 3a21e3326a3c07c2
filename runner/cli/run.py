"""`runner run`: an entry by hand, under the same rails as any incident."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runner import acts
from runner.cli import LEVEL, Verb, option
from runner.cli.follow import follow
from runner.cli.session import Session, as_option, confirm, person, yes_option
from runner.cli.stand_in import StandIn
from runner.errors import UsageError
from runner.incident import Level
from runner.text import brief


@click.command(cls=Verb)
@click.argument("entry")
@option("--host", multiple=True, required=True,
        help="Exact inventory name, repeatable.")  # fmt: skip
@option("--parameter", "-p", multiple=True, metavar="NAME=VALUE",
        help="Parameter of the entry; `runner catalog show ENTRY` lists them.")  # fmt: skip
@option("--check", is_flag=True, help="Dry run only; the same as --level dry-run.")
@option("--level", type=LEVEL, help="Upper limit for this run, as before the verb.")
@as_option
@yes_option
@click.pass_obj
def run(
    session: Session,
    entry: str,
    host: tuple[str, ...],
    parameter: tuple[str, ...],
    check: bool,
    level: str | None,
    name: str | None,
    yes: bool,
) -> int:
    """Run an entry manually; the usual policy, dry run and approval apply.

    Runs ENTRY on the hosts given with --host. The exit code says how the run ended; with --check
    it is 1 if the dry run failed.
    """
    ceiling = session.lower(Level.DRY_RUN if check else Level(level) if level else None)
    if ceiling.rank > Level.DRY_RUN.rank:
        hosts = brief(", ".join(host), 200)
        confirm(session, f"Ask for {brief(entry)} on {hosts}, up to level {ceiling}?", yes=yes)
    number = acts.request_run(
        session.project, entry=entry, hosts=host, values=values_of(parameter),
        by=person(name), ceiling=ceiling,
    )  # fmt: skip
    with StandIn(session) as standing_in:
        return follow(session, [number], standing_in)


def values_of(given: Sequence[str]) -> dict[str, str]:
    """Name → value. Raises UsageError for what is not `NAME=VALUE` or was given twice."""
    values: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {brief(text)} is not NAME=VALUE")
        if name in values:
            raise UsageError(f"-p {brief(name)} was given twice")
        values[name] = value
    return values
