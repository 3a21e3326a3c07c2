"""`runner autonomy`: what entries have earned from their record, and what a person says of it."""

from __future__ import annotations

from pathlib import Path

import click

from runner import acts
from runner.acts import autonomy as records
from runner.acts.autonomy import Record
from runner.autonomy.record import Helps, Key, Setting, Trial
from runner.cli import LEVEL, Noun, option
from runner.cli.report import age, counted, moment
from runner.cli.session import OUTPUT, Session, as_option, person, written
from runner.incident import Level
from runner.text import visible

environment_option = option(
    "--environment", metavar="NAME", help="Environment, if not the one in runner.yml."
)


@click.group(cls=Noun)
def autonomy() -> None:
    """Show the level that entries have earned, and set it.

    A record belongs to an entry, an alert name and an environment. The level that it has earned is
    one of the limits of an incident; the lowest limit applies.
    """


@autonomy.command()
@click.argument("entry", required=False)
@click.pass_obj
def show(session: Session, entry: str | None) -> None:
    """List records with the level earned and the benefit measured."""
    found = _records(session, entry)
    if session.json:
        session.answer(found)
    elif not found:
        session.note("No records yet: no alert has led to an entry.")
    else:
        columns = ("level", "entry", "alert", "environment", "fixed", "bad", "uplift", "what")
        rows = []
        for each in found:
            one, key, uplift = each.standing, each.standing.key, each.uplift
            rows.append(
                (one.level, key.entry, key.alertname, key.environment, str(one.fixed),
                 str(one.bad), uplift.helps, f"{uplift.text}. {one.text}")
            )  # fmt: skip
        session.screen.table(columns, rows)
    _note_if_off(session)


def _records(session: Session, entry: str | None) -> list[Record]:
    with session.busy("Reading the records …"):
        return records.records(session.project, entry)


def _note_if_off(session: Session) -> None:
    if not session.project.config.autonomy.earn:
        session.note("autonomy.earn is false in runner.yml: records change no level.")


@autonomy.command()
@click.argument("entry")
@click.argument("alert")
@environment_option
@click.pass_obj
def history(session: Session, entry: str, alert: str, environment: str | None) -> None:
    """Show how a record got its level: what counted, and every change."""
    found = records.history(session.project, _key(session, entry, alert, environment))
    if session.json:
        session.answer(found)
        return
    session.screen.line(found.standing.text)
    if not found.trials and not found.settings:
        session.note(f"Nothing counted yet for {found.standing.key}.")
    session.screen.heading("What counted")
    events: list[Trial | Setting] = [*found.trials, *found.settings]
    rows = [
        (moment(each.at), each.mark, f"incident {each.incident}: {each.why}")
        if isinstance(each, Trial)
        else (moment(each.at), each.level, f"{each.by} set it: {each.reason}")
        for each in sorted(events, key=lambda event: event.at)
    ]
    session.screen.table(("at", "what", "why"), rows)
    session.screen.heading("Changes, from the audit log")
    for row in found.trail:
        session.screen.line(f"  {moment(row.at)}  {row.reason} ({row.actor})")
    _note_if_off(session)


def _key(session: Session, entry: str, alert: str, environment: str | None) -> Key:
    return Key(entry, alert, environment or session.project.config.environment)


@autonomy.command("set")
@click.argument("entry")
@click.argument("alert")
@click.argument("level", type=LEVEL)
@option("--reason", default="", help="Reason for the audit log; required to raise a level.")
@option("--hold", is_flag=True, help="Do not promote it until it is set again.")
@environment_option
@as_option
@click.pass_obj
def set_(
    session: Session, entry: str, alert: str, level: str, reason: str, hold: bool,
    environment: str | None, name: str | None,
) -> None:  # fmt: skip
    """Set the level of a record; it is earned and lost from there as before.

    Lowering needs no reason. All other limits still apply: configuration, command line, hosts,
    entry and pause.
    """
    key = _key(session, entry, alert, environment)
    found = acts.set_autonomy(
        session.project, key, Level(level), by=person(name), reason=reason, hold=hold
    )
    if session.json:
        session.answer(found)
    else:
        session.screen.line(found.text)


@autonomy.command()
@click.argument("file", type=OUTPUT, default="-")
@click.pass_obj
def export(session: Session, file: Path) -> None:
    """Export all records to FILE, or to standard output, as YAML to keep in git."""
    import yaml

    found = _records(session, None)
    # Without times of the moment, so that the file changes only when a record does.
    exported = []
    for record in found:
        one = record.standing
        changes = [
            {"at": change.at.isoformat(timespec="seconds"), "from": str(change.previous),
             "to": str(change.level), "why": visible(change.why)}
            for change in one.changes
        ]  # fmt: skip
        exported.append(
            {
                **{name: visible(value) for name, value in vars(one.key).items()},
                "level": str(one.level),
                "held": one.held,
                "fixed": one.fixed,
                "agreed": one.agreed,
                "disagreed": one.disagreed,
                "bad": one.bad,
                "uplift": {"helps": str(record.uplift.helps), "text": record.uplift.text},
                "changes": changes,
            }
        )
    with written(file) as out:
        yaml.safe_dump({"autonomy": exported}, out, sort_keys=False, allow_unicode=False, width=100)
    session.note(f"Exported {counted(len(found), 'record')}.")


@autonomy.command()
@option("--measure", is_flag=True, help="Measure the baseline in Prometheus now.")
@click.pass_obj
def report(session: Session, measure: bool) -> None:
    """Compare entries with the baseline: alerts that clear without a run."""
    if measure:
        with session.busy("Measuring the baseline …"):
            records.measure(session.project)
    found = _records(session, None)
    if session.json:
        session.answer(found)
        return
    headings = {
        Helps.NO: "No better than waiting",
        Helps.UNKNOWN: "Too little is known",
        Helps.YES: "Better than waiting",
    }
    for helps, heading in headings.items():
        session.screen.heading(heading)
        rows = [each for each in found if each.uplift.helps is helps]
        for each in rows:
            clearing = each.uplift.clearing
            measured = f"; measured {age(clearing.at)} from {clearing.source}" if clearing else ""
            session.screen.line(f"  {each.standing.key}: {each.uplift.text}{measured}")
        if not rows:
            session.screen.line("  none", "dim")
