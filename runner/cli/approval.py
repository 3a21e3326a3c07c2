"""`runner approval`: the questions to people, and their answers."""

from __future__ import annotations

from pathlib import Path

import click

from runner import private
from runner.cli import Noun, option
from runner.cli.incident import NUMBER
from runner.cli.report import age, answer_of, show_pack, title, until
from runner.cli.session import IDLE, Session, as_option, confirm, person, yes_option
from runner.incident import Approval, State
from runner.incident_report import approval_request
from runner.incident_report.approval_request import Pack
from runner.store import approvals, incidents, records

comment_option = option("--comment", default="", help="Comment for the audit log.")


@click.group(cls=Noun)
def approval() -> None:
    """List, approve or deny pending approvals."""


@approval.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List pending approvals."""
    with session.project.database.read() as tx:
        found = approvals.open_approvals(tx)
        about = {each.id: incidents.get(tx, each.incident) for each in found}
        touched = records.radii_of(tx, [each.incident for each in found])
    if session.json:
        session.answer(found)
    elif not found:
        session.note("No approvals are pending.")
    else:
        columns = ("id", "asked", "expires", "incident", "entry", "what", "touches")
        rows = [
            (q.id, age(q.requested_at), until(q.expires_at), q.incident, about[q.id].entry,
             title(about[q.id]), approval_request.radius_words(touched.get(q.incident)))
            for q in found
        ]  # fmt: skip
        session.screen.table(columns, rows)


@approval.command()
@click.argument("number", type=NUMBER)
@option("--diff", is_flag=True, help="Show the whole diff of the dry run, and the evidence.")
@option("--html", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE",
        help="Write the whole request to one HTML file.")  # fmt: skip
@click.pass_obj
def show(session: Session, number: int, diff: bool, html: Path | None) -> None:
    """Show an approval request: alert, playbook, hosts and changes."""
    asked = _load(session, number)
    if html is not None:
        from runner.web.views import pack_file

        with private.writing(html) as page:
            page.write(pack_file(asked, session.project.config.environment))
        session.note(f"approval {asked.question.id} is in {html}")
    if session.json:
        # What all places say of it in words.
        names = ("radius", "fidelity", "record", "undo")
        session.answer(
            {
                "approval": asked.question,
                "incident": asked.bundle,
                "words": {name: getattr(asked, name) for name in names},
            }
        )
    elif html is None:
        _show(session, asked, whole=diff, texts=diff)


@approval.command()
@click.argument("number", type=NUMBER)
@comment_option
@as_option
@yes_option
@option(
    "--work", is_flag=True, help="Wait for the end; process the incident here if no worker runs."
)
@click.pass_obj
def approve(
    session: Session, number: int, comment: str, name: str | None, yes: bool, work: bool
) -> int:
    """Approve the plan that is shown."""
    from runner import acts

    asked = _load(session, number)
    if asked.question.answer is None:  # what is answered is refused below, with the reason
        if not session.json:
            _show(session, asked, whole=True, texts=False)
        confirm(session, "Approve this plan?", yes=yes)
    # The hash of what was shown: a plan that changed since then is not approved.
    plan = asked.bundle.plan.hash if asked.bundle.plan else ""
    answered = acts.answer(
        session.project, number, answer="approved", by=person(name), comment=comment, plan=plan
    )
    if work:
        from runner.cli.follow import follow
        from runner.cli.stand_in import StandIn

        with StandIn(session) as standing_in:
            return follow(
                session, [answered.incident], standing_in, seen=len(asked.bundle.transitions)
            )
    _said(session, answered)
    if not session.is_worked_on():
        session.note(f"{IDLE} Add --work to carry it out here.")
    return 0


@approval.command()
@click.argument("number", type=NUMBER)
@comment_option
@as_option
@click.pass_obj
def deny(session: Session, number: int, comment: str, name: str | None) -> None:
    """Deny the plan."""
    from runner import acts

    answered = acts.answer(
        session.project, number, answer="denied", by=person(name), comment=comment
    )
    _said(session, answered)


def _load(session: Session, number: int) -> Pack:
    with session.project.database.read() as tx:
        return approval_request.load(tx, number)


def _show(session: Session, asked: Pack, *, whole: bool, texts: bool) -> None:
    screen, question = session.screen, asked.question
    screen.line(f"Approval {question.id}: {title(asked.incident)}", "bold")
    screen.line(f"{answer_of(question)}; asked for by {question.requested_by}")
    show_pack(screen, asked, whole=whole, texts=texts)
    if question.answer is None and asked.incident.state is State.WAITING:
        screen.heading("Next")
        screen.line(f"  runner incident show {asked.incident.id} --evidence")
        screen.line(f"  runner approval approve {question.id}")
        screen.line(f"  runner approval deny {question.id} --comment TEXT")


def _said(session: Session, answered: Approval) -> None:
    if session.json:
        session.answer(answered)
    else:
        text = f"approval {answered.id}: {answer_of(answered)}; incident {answered.incident}"
        session.screen.line(text)
