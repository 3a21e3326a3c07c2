"""`runner alert`: hand alerts in without a web server, and ask what became of one."""

from __future__ import annotations

import time
from typing import IO

import click

from runner import acts
from runner.admit import is_doubted
from runner.cli import LEVELS, Noun, option
from runner.cli.explain import explain_alert
from runner.cli.follow import conclude, follow
from runner.cli.report import counted
from runner.cli.session import Session
from runner.cli.stand_in import StandIn
from runner.errors import ConfigError, UsageError
from runner.incident import Level
from runner.intake.payload import Delivery, compose, parse
from runner.intake.reconcile import Known, missing
from runner.store import deliveries, incidents
from runner.text import brief

level_option = option(
    "--level", type=click.Choice(LEVELS), help="How far these may go at most, as before the verb."
)
no_wait_option = option("--no-wait", is_flag=True, help="Store them and return at once.")


@click.group(cls=Noun)
def alert() -> None:
    """Hand in alerts, or ask why one did or did not run."""


@alert.command()
@click.argument("file", type=click.File("rb"))
@no_wait_option
@level_option
@click.pass_obj
def handle(session: Session, file: IO[bytes], no_wait: bool, level: str | None) -> int:
    """Handle the alerts of FILE, or of standard input for `-`.

    It holds what Alertmanager posts to a webhook, version 4. The exit code is 0 when every
    incident ended fixed, resolved, suppressed, observed or dry_run, is held back for a time, or
    waits for a person.
    """
    body = file.read(session.project.config.listen.max_body + 1)
    if len(body) > session.project.config.listen.max_body:
        raise UsageError("the body is longer than listen.max_body in runner.yml")
    return _hand_in(session, parse(body, source="stdin"), level, wait=not no_wait)


@alert.command()
@option("--follow", "keep_on", is_flag=True, envvar="RUNNER_ALERT_PULL_FOLLOW",
        help="Ask again every `intake.poll`, until it is stopped.")  # fmt: skip
@no_wait_option
@level_option
@click.pass_obj
def pull(session: Session, keep_on: bool, no_wait: bool, level: str | None) -> int:
    """Ask Alertmanager for what fires now, and handle what is new."""
    if session.project.alertmanagers is None:
        raise ConfigError(f"{session.config_path}: alertmanagers is empty, so nobody can be asked")
    if keep_on:
        return _keep_pulling(session, level, wait=not no_wait)
    found = _new_alerts(session)
    if found is None:
        if session.json:
            session.answer({"delivery": None, "incidents": []})
        session.note("Alertmanager has no active alert that is new.")
        return 0
    return _hand_in(session, found, level, wait=not no_wait)


def _keep_pulling(session: Session, level: str | None, *, wait: bool) -> int:
    with StandIn(session) as standing_in:
        while True:
            if (found := _new_alerts(session)) is not None:
                _hand_in(session, found, level, wait=wait, standing_in=standing_in)
            until = time.monotonic() + session.project.config.intake.poll.total_seconds()
            while time.monotonic() < until:
                standing_in.step()
                time.sleep(0.5)


def _new_alerts(session: Session) -> Delivery | None:
    """What fires at Alertmanager and has no incident yet; None when that is nothing."""
    assert session.project.alertmanagers is not None
    intake = session.project.config.intake
    with session.busy("asking Alertmanager"):
        active = session.project.alertmanagers.active_alerts(intake.filters, intake.receiver)
    with session.project.database.read() as tx:
        newest = incidents.known(tx, [each.fingerprint for each in active])
        known = {
            key: Known(
                starts_at=each.alert.starts_at,
                firing=(firing := incidents.still_firing(tx, each.id)),
                doubted=is_doubted(each, firing=firing),
            )
            for key, each in newest.items()
        }
    new = missing(active, known).missing
    return compose(new, source="pull", receiver=intake.receiver or "") if new else None


def _hand_in(
    session: Session,
    found: Delivery,
    level: str | None,
    *,
    wait: bool,
    standing_in: StandIn | None = None,
) -> int:
    ceiling = session.lower(Level(level) if level else None)
    number = acts.deliver(session.project, found.raw, source=found.source, ceiling=ceiling)
    if not wait:
        if session.json:
            session.answer({"delivery": number})
        else:
            session.screen.line(f"delivery {number} is stored")
        session.note_if_idle()
        return 0
    if standing_in is not None:
        return _wait(session, number, found, standing_in)
    with StandIn(session) as own:
        return _wait(session, number, found, own)


def _wait(session: Session, number: int, found: Delivery, standing_in: StandIn) -> int:
    while not _is_admitted(session, number):
        standing_in.step()
        time.sleep(0.05)
    with session.project.database.read() as tx:
        opened = incidents.of_delivery(tx, number)
    if opened:
        return follow(session, opened, standing_in)
    if session.json:
        return conclude(session, ())
    _nothing_new(session, found)
    return 0


def _is_admitted(session: Session, number: int) -> bool:
    with session.project.database.read() as tx:
        return deliveries.is_done(tx, number)


def _nothing_new(session: Session, found: Delivery) -> None:
    """Say of each alert why it opened no incident."""
    session.screen.line(f"{counted(len(found.alerts), 'alert')}, nothing new")
    with session.project.database.read() as tx:
        for each in found.alerts[:20]:
            known = incidents.latest_of(tx, each.fingerprint)
            what = f"incident {known.id}, {known.state}" if known else "no incident of ours"
            name = brief(each.name)
            session.screen.line(f"  {each.fingerprint} {name} is {each.status}: {what}")


@alert.command()
@click.argument("fingerprint")
@click.pass_obj
def explain(session: Session, fingerprint: str) -> None:
    """Why an alert did or did not run, from what was recorded.

    FINGERPRINT may be only its beginning. Alertmanager shows it, and `runner incident show`.
    """
    explain_alert(session, fingerprint)
