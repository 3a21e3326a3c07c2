"""`runner alert`: hand alerts in without a web server, and ask what became of one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO

import click

from runner import acts
from runner.cli import LEVEL, Noun, option
from runner.cli.explain import explain_alert
from runner.cli.follow import follow
from runner.cli.report import counted, next_commands
from runner.cli.session import Session
from runner.cli.stand_in import StandIn
from runner.errors import ConfigError, UsageError
from runner.incident import AlertStatus, Incident, Level
from runner.intake.admit import unheard
from runner.intake.payload import Delivery, compose
from runner.store import deliveries, incidents
from runner.text import brief

#: Exit code when some alert could not be read.
UNREAD = 2

level_option = option(
    "--level", type=LEVEL, help="Upper limit for these alerts, as before the verb."
)
no_wait_option = option("--no-wait", is_flag=True, help="Store the alerts and return immediately.")


@click.group(cls=Noun)
def alert() -> None:
    """Submit alerts, or explain why one did or did not run."""


@alert.command()
@click.argument("file", type=click.File("rb"))
@option("--source", metavar="NAME", envvar="RUNNER_ALERT_HANDLE_SOURCE",
        help="Read it as a body of this sender of `intake.sources`.")  # fmt: skip
@no_wait_option
@level_option
@click.pass_obj
def handle(
    session: Session, file: IO[bytes], source: str | None, no_wait: bool, level: str | None
) -> int:
    """Handle the alerts in FILE, or from standard input for `-`.

    It holds what Alertmanager or Grafana posts to a webhook, or a list of alerts as
    `amtool alert query -o json` prints it. The exit code is 0 when every incident ended fixed,
    resolved, suppressed, observed or dry_run, is held back for a time, or waits for a person. It
    is 1 when a dry run failed, and 2 when an alert could not be read; all others are still
    handled. An alert that is handled already, or that joins another incident, waits for that
    incident.
    """
    body = file.read(session.project.config.listen.max_body + 1)
    if len(body) > session.project.config.listen.max_body:
        raise UsageError("the body is longer than listen.max_body in runner.yml")
    name = acts.sender_called(session.project, source).name if source else "stdin"
    return _hand_in(session, body, name, level, wait=not no_wait)


@alert.command()
@option("--follow", "keep_on", is_flag=True, envvar="RUNNER_ALERT_PULL_FOLLOW",
        help="Keep asking every `intake.poll` until stopped.")  # fmt: skip
@no_wait_option
@level_option
@click.pass_obj
def pull(session: Session, keep_on: bool, no_wait: bool, level: str | None) -> int:
    """Fetch firing alerts from Alertmanager, and handle the new ones."""
    if session.project.alertmanagers is None:
        raise ConfigError(
            f"{session.config_path}: no Alertmanager is configured; set alertmanagers"
        )
    wait = not no_wait
    if keep_on:
        with StandIn(session) as standing_in:
            while True:
                if (new := _new_alerts(session)) is not None:
                    _hand_in(
                        session, new.raw, new.source, level, wait=wait, standing_in=standing_in
                    )
                until = time.monotonic() + session.project.config.intake.poll.total_seconds()
                while time.monotonic() < until:
                    standing_in.step()
                    time.sleep(0.5)
    found = _new_alerts(session)
    if found is None:
        if session.json:
            session.answer({"delivery": None, "incidents": []})
        session.note("No new active alerts in Alertmanager.")
        return 0
    return _hand_in(session, found.raw, found.source, level, wait=wait)


def _new_alerts(session: Session) -> Delivery | None:
    """What fires at Alertmanager and has no incident yet; None when that is nothing."""
    assert session.project.alertmanagers is not None
    intake = session.project.config.intake
    with session.busy("asking Alertmanager"):
        active = session.project.alertmanagers.active_alerts(intake.filters, intake.receiver)
    with session.project.database.read() as tx:
        new = unheard(tx, active, datetime.now(UTC), look_again=intake.look_again)
    return compose(new, source="pull", receiver=intake.receiver or "") if new else None


def _hand_in(
    session: Session,
    body: bytes,
    source: str,
    level: str | None,
    *,
    wait: bool,
    standing_in: StandIn | None = None,
) -> int:
    ceiling = session.lower(Level(level) if level else None)
    received = acts.deliver(session.project, body, source=source, ceiling=ceiling)
    # Say which alerts of the body are not handled, and why.
    for each in received.unread[:20]:
        session.note(f"alert {each.position} is kept as a dead letter: {each.reason}")
    if len(received.unread) > 20:
        session.note(f"and {len(received.unread) - 20} more; see `runner delivery list`")
    if received.quiet:
        held = counted(received.quiet, "silenced or inhibited alert")
        session.note(f"{held} left out")
    code = UNREAD if received.unread else 0
    if not wait:
        if session.json:
            session.answer({"delivery": received.delivery})
        else:
            session.screen.line(f"delivery {received.delivery} is stored")
        session.note_if_idle()
        return code
    if standing_in is not None:
        return _wait(session, received, standing_in) or code
    with StandIn(session) as own:
        return _wait(session, received, own) or code


def _wait(session: Session, received: acts.Received, standing_in: StandIn) -> int:
    while True:
        with session.project.database.read() as tx:
            if deliveries.is_done(tx, received.delivery):
                opened = incidents.of_delivery(tx, received.delivery)
                known = incidents.known(tx, {each.fingerprint for each in received.alerts})
                handling = {one.joined or one.id for one in known.values()} - set(opened)
                going = [n for n in sorted(handling) if not incidents.get(tx, n).state.ended]
                break
        standing_in.step()
        time.sleep(0.05)
    if not opened and not session.json:
        _show_known(session, received, known)
    return follow(session, [*opened, *going], standing_in)


def _show_known(session: Session, received: acts.Received, known: Mapping[str, Incident]) -> None:
    """Say of each alert why it opened no incident, and how it is handled again."""
    session.screen.line(f"{counted(len(received.alerts), 'alert')}, nothing new")
    for each in received.alerts[:20]:
        one = known.get(each.fingerprint)
        what = f"incident {one.id}, {one.state}" if one else "no incident"
        name = brief(each.name)
        session.screen.line(f"  {each.fingerprint} {name} is {each.status}: {what}")
        if one and one.state.ended and each.status is AlertStatus.FIRING:
            for command in next_commands(one):
                session.screen.line(f"    {command}")


@alert.command()
@click.argument("fingerprint")
@click.pass_obj
def explain(session: Session, fingerprint: str) -> None:
    """Explain from the records why an alert did or did not run.

    FINGERPRINT may be a prefix; Alertmanager and `runner incident show` show it.
    """
    explain_alert(session, fingerprint)
