"""`runner incident`: what happened and why, and the two things a person may do about it."""

from __future__ import annotations

import click

from runner import incident_report
from runner.cli import Noun, option
from runner.cli.explain import explain_incident
from runner.cli.report import age, place, show_incident
from runner.cli.session import Session, as_option, person
from runner.incident import State
from runner.store import incidents

NUMBER = click.IntRange(1, 2**63 - 1)
STATES = [str(state) for state in State]


@click.group(cls=Noun)
def incident() -> None:
    """List, show, cancel and retry incidents, and propose entries for them."""


@incident.command("list")
@option("--state", multiple=True, metavar="STATE", type=click.Choice(STATES),
        help="Only incidents in this state, repeatable.")  # fmt: skip
@option("--open", "is_open", is_flag=True, envvar="RUNNER_INCIDENT_LIST_OPEN",
        help="Only open incidents.")  # fmt: skip
@option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True,
        help="Maximum number, newest first.")  # fmt: skip
@click.pass_obj
def list_(session: Session, state: tuple[str, ...], is_open: bool, limit: int) -> None:
    """List incidents, newest first."""
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
        session.note("No incidents found.")
    else:
        columns = ("id", "changed", "state", "alert", "host", "entry", "reason")
        rows = [
            (each.id, age(each.updated_at), each.state, each.alert.name, place(each),
             each.entry or each.requested_entry or "-", each.reason)
            for each in found
        ]  # fmt: skip
        session.screen.table(columns, rows)


@incident.command()
@click.argument("number", type=NUMBER)
@option("--evidence", is_flag=True, help="Show the text of the evidence.")
@option("--diff", is_flag=True, help="Show the whole diff of the dry run.")
@option("--prompt", is_flag=True, help="Show the prompts and answers of the model.")
@option("--all", "everything", is_flag=True, envvar="RUNNER_INCIDENT_SHOW_ALL",
        help="Show all of these.")  # fmt: skip
@click.pass_obj
def show(
    session: Session, number: int, evidence: bool, diff: bool, prompt: bool, everything: bool
) -> None:
    """Show everything known about an incident."""
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
    """Explain from the records why it did or did not run."""
    explain_incident(session, number)


@incident.command()
@click.argument("number", type=NUMBER)
@option("--reason", required=True, help="Reason for the audit log.")
@as_option
@click.pass_obj
def cancel(session: Session, number: int, reason: str, name: str | None) -> None:
    """Cancel an incident, and stop its run."""
    from runner import acts

    acts.cancel(session.project, number, by=person(name), reason=reason)
    with session.project.database.read() as tx:
        found = incidents.get(tx, number)
    if session.json:
        session.answer(found)
    elif found.state.ended:
        session.screen.line(f"incident {number} is cancelled")
    else:
        session.screen.line(f"incident {number} is being cancelled; its state is {found.state}")


@incident.command()
@click.argument("number", type=NUMBER)
@option("--right/--wrong", "right", default=None, envvar="RUNNER_INCIDENT_FEEDBACK_RIGHT",
        help="Whether the decision or the run was right. [required]")  # fmt: skip
@option("--reason", required=True, help="Reason for the audit log and similar incidents.")
@as_option
@click.pass_obj
def feedback(
    session: Session, number: int, right: bool | None, reason: str, name: str | None
) -> None:
    """Mark an incident as handled right or wrong; this counts in the entry's record.

    The newest mark counts. If autonomy is earned, `--wrong` lowers the entry by one level at once;
    `--right` does not excuse a bad run.
    """
    from runner import acts

    if right is None:
        raise click.UsageError("Give --right or --wrong.")
    word = acts.feedback(session.project, number, right=right, by=person(name), reason=reason)
    if session.json:
        session.answer(word)
    else:
        session.screen.line(f"incident {number} is marked {'right' if right else 'wrong'}")


@incident.command()
@click.argument("number", type=NUMBER)
@click.argument("entry")
@option("--parameter", "-p", multiple=True, metavar="NAME=VALUE",
        help="Value to choose; `runner catalog show ENTRY` lists them.")  # fmt: skip
@option("--reason", default="", help="Reason for the audit log.")
@as_option
@click.pass_obj
def propose(
    session: Session,
    number: int,
    entry: str,
    parameter: tuple[str, ...],
    reason: str,
    name: str | None,
) -> None:
    """Propose an entry for the alert of an ended incident, as a new incident.

    ENTRY must match the alert or consider it; `runner incident show` lists these. The usual
    policy and dry run apply, and an approval is always needed.
    """
    from runner.acts.propose import propose as propose_entry
    from runner.cli.run import values_of

    opened = propose_entry(
        session.project, number, entry, values=values_of(parameter), by=person(name),
        reason=reason,
    )  # fmt: skip
    if session.json:
        session.answer({"incident": opened})
    else:
        line = f"incident {opened} handles it with {entry}: runner incident show {opened}"
        session.screen.line(line)
    session.note_if_idle()


@incident.command()
@click.argument("number", type=NUMBER)
@option("--reason", required=True, help="Reason for the audit log.")
@as_option
@click.pass_obj
def retry(session: Session, number: int, reason: str, name: str | None) -> None:
    """Handle an ended incident again, as a new incident."""
    from runner import acts

    opened = acts.retry(session.project, number, by=person(name), reason=reason)
    if session.json:
        session.answer({"incident": opened})
    else:
        session.screen.line(f"incident {opened} handles it again: runner incident show {opened}")
    session.note_if_idle()
