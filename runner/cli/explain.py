"""Why something did or did not run: the recorded reasons only, on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from runner import incident_report
from runner.cli.report import age, answer_of, moment, next_commands, title
from runner.cli.session import Session
from runner.errors import NotFound, UsageError
from runner.incident import HELD_AGAIN, SUSPECTED, WAITS, Incident, Level, Run, State
from runner.incident_report import Bundle
from runner.incident_report.approval_request import fidelity_words
from runner.incident_report.screen import STYLES
from runner.store import deliveries, incidents
from runner.text import brief

EARLIER = 5  #: earlier incidents of the same alert that are named
LONGEST = 64  #: characters of a fingerprint
TEXT = 200  #: characters of one reason; `runner incident show` has all of it
ROWS = 20  #: reasons; more than a screen is read by nobody


def explain_alert(session: Session, fingerprint: str) -> None:
    """Print why. Raises NotFound for an unknown beginning, UsageError for one of several alerts."""
    with session.project.database.read() as tx:
        found = incidents.of_fingerprint(tx, fingerprint[:LONGEST])
        waiting = deliveries.waiting(tx)
        if not found:
            why = "either Alertmanager did not send it, or the incident was too old to keep"
            if waiting:
                some = "1 delivery has" if waiting == 1 else f"{waiting} deliveries have"
                why = f"{some} not been processed: is `runner serve` running?"
            raise NotFound(
                "no incident was opened for an alert whose fingerprint begins with "
                f"{brief(fingerprint)}; {why}"
            )
        names = {each.alert.fingerprint: each.alert.name for each in found}
        if len(names) > 1:
            some = ", ".join(f"{key} ({brief(name)})" for key, name in sorted(names.items())[:5])
            raise UsageError(
                f"{brief(fingerprint)} begins the fingerprints of several alerts: {some}"
            )
        newest = incident_report.load(tx, found[0].id)
    _explain(session, newest, found[1:])


def explain_incident(session: Session, number: int) -> None:
    """Print why this incident went as it did. Raises NotFound."""
    with session.project.database.read() as tx:
        found = incident_report.load(tx, number)
        same = incidents.of_fingerprint(tx, found.incident.alert.fingerprint)
    _explain(session, found, tuple(each for each in same if each.id < number))


def _explain(session: Session, found: Bundle, earlier: tuple[Incident, ...]) -> None:
    rows = reasons(found)
    if session.json:
        said = [{"about": about, "text": text} for about, text in rows]
        session.answer({"incident": found, "earlier": earlier, "reasons": said})
        return
    incident, screen = found.incident, session.screen
    screen.line(f"{title(incident)} ({incident.alert.fingerprint})", "bold")
    style = STYLES.get(incident.state, "")
    line = f"incident {incident.id} {incident.state} {age(incident.updated_at)}"
    if incident.held_until is None:  # why it is held back is among the reasons below
        line += f": {incident.reason}"
    screen.line(line, style)
    screen.line(_ran(found))
    screen.line()
    for about, text in rows[:ROWS]:
        session.screen.line(f"  {about:<11}  {brief(text, TEXT)}")
    if len(rows) > ROWS:
        session.screen.line(f"  {'':<11}  and {len(rows) - ROWS} more")
    for each in earlier[:EARLIER]:
        when = age(each.updated_at)
        text = f"incident {each.id} {each.state} {when}: {brief(each.reason, TEXT)}"
        session.screen.line(f"  before       {text}")
    if len(earlier) > EARLIER:
        session.screen.line(f"  before       and {len(earlier) - EARLIER} more")
    session.screen.line()
    for command in [
        f"runner incident show {found.incident.id}",
        *next_commands(found.incident, found.approvals, found.considered),
    ]:
        session.screen.line(f"  {command}")


def _ran(found: Bundle) -> str:
    """Whether something was run on a host, in one sentence."""
    acted = [run for run in found.runs if not run.purpose.check and run.purpose != "probe"]
    if acted:
        runs = ", ".join(f"{run.entry} on {_place(run)}" for run in acted)
        return f"It ran: {runs}."
    if found.incident.state is State.WAITING:
        return "Nothing has run yet: an approval is pending."
    if (until := found.incident.held_until) is not None:
        return f"Nothing has run yet: it is held back until {moment(until)}, then judged again."
    if not found.incident.state.ended:
        return "Nothing has run yet."
    return "Nothing was changed on a host."


def _place(run: Run) -> str:
    hosts = ", ".join(run.hosts)
    return f"{run.part} of {hosts}" if run.part else hosts


def reasons(found: Bundle) -> list[tuple[str, str]]:
    """(what it is about, the reason as it was recorded), in the order of the path."""
    incident = found.incident
    who = incident.requested_by or incident.proposed_by
    said = [("asked by", who)] if who else []
    if incident.part:
        said.append(("part", f"{incident.part} of {', '.join(incident.hosts)}"))
    for decision in found.decisions:
        said.append(("chosen", f"{decision.entry or 'no entry'}: {decision.reason}"))
        said += [("not", f"{entry}: {why}") for entry, why in decision.alternatives]
    said += [("considered", f"{each.entry}: {each.why}") for each in found.considered]
    if found.verdict is not None and found.verdict.level is Level.AUTO:
        said.append(("level", "auto: no limit applies"))
    elif found.verdict is not None:
        said += [("level", f"{r.level}, by {r.rule}: {r.text}") for r in found.verdict.limiting]
    said += [(f"approval {each.id}", answer_of(each)) for each in found.approvals]
    for run in found.runs:
        said.append((str(run.purpose), f"{run.outcome or 'under way'}: {run.reason}"))
        if run.purpose.check and run.fidelity.changes:
            said.append(("fidelity", fidelity_words(run)))
        if (result := found.verifications.get(run.id)) is not None:
            said.append(("verified", f"{result.result}: {result.reason}"))
    return [*said, *_stopped(found)]


def _stopped(found: Bundle) -> Iterator[tuple[str, str]]:
    """What people did to it, and how it came to its end."""
    why = found.verdict.why if found.verdict else ""
    for row in found.transitions:
        if row.action in (State.HELD, HELD_AGAIN) and why and row.reason.endswith(why):
            continue  # each of these reasons has a line of its own already
        if row.action in (SUSPECTED, State.HELD, HELD_AGAIN, WAITS):
            yield row.action.replace("_", " "), row.reason
        if row.actor != "runner" and row.action not in ("approved", "denied", "admitted"):
            yield row.action, f"{row.reason} ({row.actor})"
    if found.incident.joined:
        yield "handled by", f"incident {found.incident.joined}"
