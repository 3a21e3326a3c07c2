"""Why an alert did or did not run: the recorded reasons, on one screen."""

from __future__ import annotations

from runner import bundle
from runner.bundle import Bundle
from runner.cli.report import age, answer_of, next_commands, title
from runner.cli.screen import STYLES
from runner.cli.session import Session
from runner.errors import NotFound, UsageError
from runner.incident import Incident
from runner.store import deliveries, incidents
from runner.text import brief

EARLIER = 5  #: earlier incidents of the same alert that are named
LONGEST = 64  #: characters of a fingerprint


def explain_alert(session: Session, fingerprint: str) -> None:
    """Print why. Raises NotFound for an unknown beginning, UsageError for one of several alerts."""
    with session.project.database.read() as tx:
        found = incidents.of_fingerprint(tx, fingerprint[:LONGEST])
        waiting = deliveries.waiting(tx)
        if not found:
            raise NotFound(_unknown(fingerprint, waiting))
        _only_one(fingerprint, found)
        newest = bundle.load(tx, found[0].id)
    if session.json:
        session.answer({"incident": newest, "earlier": found[1:]})
        return
    _newest(session, newest)
    _reasons(session, newest)
    _earlier(session, found[1:])
    for command in [f"runner incident show {found[0].id}", *_next(newest)]:
        session.screen.line(f"  {command}")


def _unknown(fingerprint: str, waiting: int) -> str:
    text = f"no incident was opened for an alert whose fingerprint begins with {brief(fingerprint)}"
    if waiting:
        some = "1 delivery has" if waiting == 1 else f"{waiting} deliveries have"
        return f"{text}; {some} not been looked at: does `runner serve` run?"
    return f"{text}; either Alertmanager did not send it, or the incident was too old to keep"


def _only_one(fingerprint: str, found: tuple[Incident, ...]) -> None:
    names = {each.alert.fingerprint: each.alert.name for each in found}
    if len(names) > 1:
        some = ", ".join(f"{key} ({brief(name)})" for key, name in sorted(names.items())[:5])
        raise UsageError(f"{brief(fingerprint)} begins the fingerprints of several alerts: {some}")


def _newest(session: Session, newest: Bundle) -> None:
    incident, screen = newest.incident, session.screen
    screen.line(f"{title(incident)} ({incident.alert.fingerprint})", "bold")
    style = STYLES.get(incident.state, "")
    when = age(incident.updated_at)
    screen.line(f"incident {incident.id} {incident.state} {when}: {incident.reason}", style)
    screen.line()


def _reasons(session: Session, newest: Bundle) -> None:
    """What was chosen, what was not, and what held it back, each in a line."""
    screen = session.screen
    for decision in newest.decisions:
        screen.line(f"  chosen       {decision.entry or 'no entry'}: {decision.reason}")
        for entry, why in decision.alternatives:
            screen.line(f"  not          {entry}: {why}")
    if newest.verdict is not None:
        for reason in newest.verdict.limiting:
            screen.line(f"  level        {reason.level}, by {reason.rule}: {reason.text}")
    for approval in newest.approvals:
        screen.line(f"  approval     {approval.id}: {answer_of(approval)}")
    for run in newest.runs:
        outcome = run.outcome or "under way"
        screen.line(f"  {run.purpose:<11}  {outcome}: {brief(run.reason, 200)}")
        if (found := newest.verifications.get(run.id)) is not None:
            screen.line(f"  verified     {found.result}: {found.reason}")


def _earlier(session: Session, earlier: tuple[Incident, ...]) -> None:
    for each in earlier[:EARLIER]:
        when = age(each.updated_at)
        session.screen.line(f"  before       incident {each.id} {each.state} {when}: {each.reason}")
    if len(earlier) > EARLIER:
        session.screen.line(f"  before       and {len(earlier) - EARLIER} more")
    session.screen.line()


def _next(newest: Bundle) -> list[str]:
    return next_commands(newest.incident, newest.approvals)
