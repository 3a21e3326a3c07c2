"""`runner approval`: the questions to people, and their answers."""

from __future__ import annotations

import click

from runner import acts, bundle
from runner.bundle import Bundle
from runner.cli import Noun, option
from runner.cli.incident import NUMBER
from runner.cli.report import age, answer_of, show_plan, show_verdict, title, until
from runner.cli.session import IDLE, Session, as_option, confirm, person, yes_option
from runner.incident import Approval, State
from runner.store import approvals, incidents

comment_option = option("--comment", default="", help="What the trail shall keep of it.")


@click.group(cls=Noun)
def approval() -> None:
    """Answer what the runner asks."""


@approval.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """Questions that wait for an answer."""
    with session.project.database.read() as tx:
        found = approvals.open_approvals(tx)
        about = {each.id: incidents.get(tx, each.incident) for each in found}
    if session.json:
        session.answer(found)
    elif not found:
        session.note("Nothing waits for an approval.")
    else:
        columns = ("id", "asked", "expires", "incident", "entry", "what")
        rows = [
            (q.id, age(q.requested_at), until(q.expires_at), q.incident, about[q.id].entry,
             title(about[q.id]))
            for q in found
        ]  # fmt: skip
        session.screen.table(columns, rows)


@approval.command()
@click.argument("number", type=NUMBER)
@option("--diff", is_flag=True, help="The whole diff of the rehearsal.")
@click.pass_obj
def show(session: Session, number: int, diff: bool) -> None:
    """What is asked: the plan and what check mode showed of it."""
    question, about = _load(session, number)
    if session.json:
        session.answer({"approval": question, "incident": about})
    else:
        _show(session, question, about, whole=diff)


@approval.command()
@click.argument("number", type=NUMBER)
@comment_option
@as_option
@yes_option
@option("--work", is_flag=True, help="See it through; work on it here if nobody else does.")
@click.pass_obj
def approve(
    session: Session, number: int, comment: str, name: str | None, yes: bool, work: bool
) -> int:
    """Let the plan run that is shown."""
    question, about = _load(session, number)
    if not session.json:
        _show(session, question, about, whole=True)
    if question.answer is None:
        confirm(session, "Shall this run?", yes=yes)
    # The hash of what was shown: a plan that changed since then is not approved.
    plan = about.plan.hash if about.plan else ""
    answered = acts.answer(
        session.project, number, answer="approved", by=person(name), comment=comment, plan=plan
    )
    if work:
        return _see_through(session, answered, seen=len(about.transitions))
    return _left_to_others(session, answered)


@approval.command()
@click.argument("number", type=NUMBER)
@comment_option
@as_option
@click.pass_obj
def deny(session: Session, number: int, comment: str, name: str | None) -> None:
    """Do not let the plan run."""
    answered = acts.answer(
        session.project, number, answer="denied", by=person(name), comment=comment
    )
    _said(session, answered)


def _load(session: Session, number: int) -> tuple[Approval, Bundle]:
    with session.project.database.read() as tx:
        question = approvals.get(tx, number)
        return question, bundle.load(tx, question.incident)


def _show(session: Session, question: Approval, about: Bundle, *, whole: bool) -> None:
    screen = session.screen
    screen.line(f"Approval {question.id}: {title(about.incident)}", "bold")
    screen.line(f"{answer_of(question)}; asked for by {question.requested_by}")
    show_verdict(screen, about)
    show_plan(screen, about, whole=whole)
    if question.answer is None and about.incident.state is State.WAITING:
        screen.heading("Next")
        screen.line(f"  runner incident show {about.incident.id} --evidence")
        screen.line(f"  runner approval approve {question.id}")
        screen.line(f"  runner approval deny {question.id} --comment TEXT")


def _said(session: Session, answered: Approval) -> None:
    if session.json:
        session.answer(answered)
    else:
        text = f"approval {answered.id}: {answer_of(answered)}; incident {answered.incident}"
        session.screen.line(text)


def _left_to_others(session: Session, answered: Approval) -> int:
    _said(session, answered)
    if not session.is_worked_on():
        session.note(f"{IDLE} With --work it would have been carried out here.")
    return 0


def _see_through(session: Session, answered: Approval, seen: int) -> int:
    from runner.cli.follow import follow
    from runner.cli.stand_in import StandIn

    with StandIn(session) as standing_in:
        return follow(session, [answered.incident], standing_in, seen=seen)
