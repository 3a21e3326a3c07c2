"""`runner pause` and `runner resume`: one switch for everything."""

from __future__ import annotations

import click

from runner.cli import Verb, option
from runner.cli.session import Session, as_option, person


@click.command(cls=Verb)
@option("--reason", required=True, help="Reason, shown in the audit log and the dashboard.")
@as_option
@click.pass_obj
def pause(session: Session, reason: str, name: str | None) -> None:
    """Stop all playbook runs until `runner resume`.

    Alerts are still received, decided and recorded, as at level observe. Runs in progress
    continue; stop one with `runner incident cancel`.
    """
    from runner import acts

    acts.pause(session.project, by=person(name), reason=reason)
    _said(session)


@click.command(cls=Verb)
@option("--reason", default="", help="Why.")
@as_option
@click.pass_obj
def resume(session: Session, reason: str, name: str | None) -> None:
    """End the pause."""
    from runner import acts

    acts.resume(session.project, by=person(name), reason=reason)
    _said(session)


def _said(session: Session) -> None:
    from runner.store import switches

    with session.project.database.read() as tx:
        why = switches.paused(tx)
    if session.json:
        session.answer({"paused": why})
    else:
        session.screen.line(why or "not paused: the level of each incident applies")
