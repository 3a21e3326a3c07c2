"""`runner ask`: a question of a person, answered from facts. It reads and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner import incident_report
from runner.ask import facts as ask_facts
from runner.ask.facts import Fact
from runner.cli import Verb, option
from runner.cli.explain import reasons
from runner.cli.session import Session
from runner.errors import RunnerError, UsageError
from runner.inventory import Inventory

if TYPE_CHECKING:
    from runner.ask.answer import Said

NUMBER = click.IntRange(1, 2**63 - 1)
MAX_QUESTION = 500


@click.command(cls=Verb)
@click.argument("question")
@option("--incident", type=NUMBER, metavar="N", help="Limit the question to this incident.")
@option(
    "--facts",
    "only_facts",
    is_flag=True,
    envvar="RUNNER_ASK_FACTS",
    help="Do not ask the model; show the facts.",
)
@click.pass_obj
def ask(session: Session, question: str, incident: int | None, only_facts: bool) -> None:
    """Answer a question from the store, Alertmanager and Prometheus (read-only).

    The facts are numbered. With a model configured its answer cites them, and is only shown
    when every fact that it cites exists. Without one the facts are the answer.
    """
    if not question.strip() or len(question) > MAX_QUESTION:
        raise UsageError(f"a question has 1 to {MAX_QUESTION} characters")
    with session.busy("collecting facts"):
        found = _facts(session, incident)
    said: Said | None = None
    if session.project.config.model is not None and not only_facts:
        with session.busy("asking the model"):
            from runner.ask.answer import ask as ask_model

            said = ask_model(question, found, session.project.model)
    if session.json:
        hosts = dict(ask_facts.by_host(found))
        session.answer({"question": question, "answer": said, "facts": found, "hosts": hosts})
        return
    screen = session.screen
    if said is not None and said.text:
        screen.block(said.text, "")
        screen.line(
            f"(by the model, from facts {', '.join(map(str, said.cited)) or 'none'})", "dim"
        )
        screen.heading("Facts")
    elif said is not None:
        session.note(said.problem)
    for fact in found:
        screen.line(f"  [{fact.number}] {fact.text}")
    if not found:
        screen.line("No open incidents, no firing alerts, no targets down.")
    if by_host := ask_facts.by_host(found):
        screen.heading("By host")
        screen.pairs((host, " ".join(f"[{n}]" for n in numbers)) for host, numbers in by_host)


def _facts(session: Session, incident: int | None) -> tuple[Fact, ...]:
    project = session.project
    if incident is None:
        inventory: Inventory | None = None
        try:
            inventory = project.inventory()
        except RunnerError as error:
            session.note(f"alerts are not located: {error}")
        return ask_facts.of_project(project, inventory)
    with project.database.read() as tx:
        found = incident_report.load(tx, incident)
    return ask_facts.of_incident(found, reasons(found), project)
