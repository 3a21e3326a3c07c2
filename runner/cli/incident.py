"""`runner incident`: what happened and why, and the two things a person may do about it."""

from __future__ import annotations

import click

from runner import incident_report
from runner.cli import Noun, option
from runner.cli.explain import explain_incident
from runner.cli.report import age, place, show_incident
from runner.cli.session import Session, as_option, person
from runner.incident import Incident, State
from runner.store import incidents

NUMBER = click.IntRange(1, 2**63 - 1)
STATES = [str(state) for state in State]


@click.group(cls=Noun)
def incident() -> None:
    """Look at incidents, cancel them, try them again."""


@incident.command("list")
@option("--state", multiple=True, metavar="STATE", type=click.Choice(STATES),
        help="Only those in this state; may be given several times.")  # fmt: skip
@option("--open", "is_open", is_flag=True, envvar="RUNNER_INCIDENT_LIST_OPEN",
        help="Only those that have not ended.")  # fmt: skip
@option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True,
        help="How many, the newest first.")  # fmt: skip
@click.pass_obj
def list_(session: Session, state: tuple[str, ...], is_open: bool, limit: int) -> None:
    """Incidents, the newest first."""
    with session.project.database.read() as tx:
        found = incidents.find(
            tx,
            states=[State(each) for each in state],
            ended=False if is_open else None,
            limit=limit,
        )
    if session.json:
        session.answer(found)
    elif not found:
        session.note("There are no such incidents.")
    else:
        columns = ("id", "changed", "state", "alert", "host", "entry", "reason")
        session.screen.table(columns, [_row(each) for each in found])


def _row(found: Incident) -> tuple[object, ...]:
    return (
        found.id,
        age(found.updated_at),
        found.state,
        found.alert.name,
        place(found),
        found.entry or found.requested_entry or "-",
        found.reason,
    )


@incident.command()
@click.argument("number", type=NUMBER)
@option("--evidence", is_flag=True, help="The text of the evidence, too.")
@option("--diff", is_flag=True, help="The whole diff of the rehearsal.")
@option("--prompt", is_flag=True, help="What a model was asked and answered, word for word.")
@option("--all", "everything", is_flag=True, envvar="RUNNER_INCIDENT_SHOW_ALL",
        help="All of these.")  # fmt: skip
@click.pass_obj
def show(
    session: Session, number: int, evidence: bool, diff: bool, prompt: bool, everything: bool
) -> None:
    """Everything that is known of one incident."""
    with session.project.database.read() as tx:
        found = incident_report.load(tx, number)
    if session.json:
        session.answer(found)
    else:
        show_incident(
            session.screen,
            found,
            texts=evidence or everything,
            diff=diff or everything,
            prompt=prompt or everything,
        )


@incident.command()
@click.argument("number", type=NUMBER)
@click.pass_obj
def explain(session: Session, number: int) -> None:
    """Why it did or did not run, from what was recorded, on one screen."""
    explain_incident(session, number)


@incident.command()
@click.argument("number", type=NUMBER)
@option("--reason", required=True, help="Why; the trail keeps it.")
@as_option
@click.pass_obj
def cancel(session: Session, number: int, reason: str, name: str | None) -> None:
    """Stop an incident; a run under way is ended."""
    from runner import acts

    acts.cancel(session.project, number, by=person(name), reason=reason)
    with session.project.database.read() as tx:
        found = incidents.get(tx, number)
    if session.json:
        session.answer(found)
    elif found.state.ended:
        session.screen.line(f"incident {number} is cancelled")
    else:
        session.screen.line(f"incident {number} is told to stop; it is {found.state} now")


@incident.command()
@click.argument("number", type=NUMBER)
@option("--right/--wrong", "right", default=None, envvar="RUNNER_INCIDENT_FEEDBACK_RIGHT",
        help="Whether what was decided or done was right.  [required]")  # fmt: skip
@option("--reason", required=True, help="Why; the trail and the memory keep it.")
@as_option
@click.pass_obj
def feedback(
    session: Session, number: int, right: bool | None, reason: str, name: str | None
) -> None:
    """Say whether an incident was handled rightly; it counts in the entry's record.

    The newest word on an incident counts. `--wrong` costs the entry one level at once, where
    autonomy is earned; `--right` makes a bad run no better.
    """
    from runner import acts

    if right is None:
        raise click.UsageError("Say --right or --wrong.")
    word = acts.feedback(session.project, number, right=right, by=person(name), reason=reason)
    if session.json:
        session.answer(word)
    else:
        session.screen.line(f"incident {number} is marked {'right' if right else 'wrong'}")


@incident.command()
@click.argument("number", type=NUMBER)
@option("--reason", required=True, help="Why; the trail keeps it.")
@as_option
@click.pass_obj
def retry(session: Session, number: int, reason: str, name: str | None) -> None:
    """Handle an ended incident again, as a new one."""
    from runner import acts

    opened = acts.retry(session.project, number, by=person(name), reason=reason)
    if session.json:
        session.answer({"incident": opened})
    else:
        session.screen.line(f"incident {opened} handles it again: runner incident show {opened}")
    session.note_if_idle()
