"""`runner delivery`: what arrived and could not be read, to be seen and handed in again."""

from __future__ import annotations

import click

from runner import acts
from runner.cli import Noun, option
from runner.cli.incident import NUMBER
from runner.cli.report import age, counted
from runner.cli.session import Session, as_option, person
from runner.store import dead_letters
from runner.store.dead_letters import DeadLetter, described
from runner.text import brief, visible


@click.group(cls=Noun)
def delivery() -> None:
    """List what could not be read, and replay it."""


@delivery.command("list")
@option("--replayed", is_flag=True, help="Include replayed ones.")
@option("--limit", type=click.IntRange(1, 500), default=50, show_default=True,
        help="Maximum number, newest first.")  # fmt: skip
@click.pass_obj
def list_(session: Session, replayed: bool, limit: int) -> None:
    """List dead letters: refused bodies, and single alerts that could not be read."""
    with session.project.database.read() as tx:
        found = dead_letters.find(tx, replayed=replayed, limit=limit)
    if session.json:
        session.answer([described(each) for each in found])
    elif not found:
        session.note("No dead letters.")
    else:
        columns = ("id", "last", "times", "received from", "what", "bytes", "reason")
        rows = [
            (each.id, age(each.last_at), each.times, _origin(each), _what(each), each.size,
             each.reason)
            for each in found
        ]  # fmt: skip
        session.screen.table(columns, rows)


@delivery.command()
@click.argument("number", type=NUMBER)
@click.pass_obj
def show(session: Session, number: int) -> None:
    """Show a dead letter and the beginning of its body; secrets are masked."""
    with session.project.database.read() as tx:
        found = dead_letters.get(tx, number)
    text = session.project.mask(found.text)
    if session.json:
        session.answer(described(found) | {"body": text})
        return
    screen = session.screen
    screen.line(f"dead letter {found.id}: {_what(found)}, received from {_origin(found)}")
    screen.line(f"  {brief(found.reason, 400)}")
    came = age(found.received_at)
    if found.times > 1:
        came = f"{counted(found.times, 'time')}, first {came}, last {age(found.last_at)}"
    screen.line(f"  came {came}; {found.size} bytes, SHA-256 {found.hash}")
    if found.replayed_at is not None:
        done = f"replayed {age(found.replayed_at)} by {found.replayed_by}"
        screen.line(f"  {done} as delivery {found.replayed_as}")
    if not found.whole:
        screen.line(f"  only the first {len(found.body)} bytes were kept, so it cannot be replayed")
    screen.line(visible(text, lines=True))


@delivery.command()
@click.argument("number", type=NUMBER)
@as_option
@click.pass_obj
def replay(session: Session, number: int, name: str | None) -> None:
    """Replay a dead letter, once a release or configuration can read it.

    It counts as sent by the original sender. To correct a body, use `runner alert handle FILE`
    instead.
    """
    received = acts.replay(session.project, number, by=person(name))
    if session.json:
        session.answer({"delivery": received.delivery, "alerts": len(received.alerts)})
        return
    what = counted(len(received.alerts), "alert")
    session.screen.line(f"dead letter {number} is delivery {received.delivery}: {what}")
    session.note_if_idle()


def _origin(letter: DeadLetter) -> str:
    return f"{letter.source} by {letter.sender}" if letter.sender else letter.source


def _what(letter: DeadLetter) -> str:
    if letter.position is None:
        return "a body"
    return f"alert {letter.position} of delivery {letter.delivery}"
