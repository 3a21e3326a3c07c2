"""Incidents as they go on, printed line by line until a person or nobody has to act."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runner import incident_report
from runner.cli.report import next_commands, short, title
from runner.cli.session import Session
from runner.cli.stand_in import StandIn
from runner.execute.request import TaskEvent
from runner.incident import Incident, Purpose, Run, State, Transition
from runner.incident_report import Bundle
from runner.incident_report.screen import STYLES
from runner.store import audit_log, incidents
from runner.text import brief, visible

POLL = 0.1  #: seconds

#: Ends with which nothing is wrong, and what is no failure either: a question to a person, and
#: that it is held back for a time.
GOOD = frozenset(
    {
        State.FIXED,
        State.RESOLVED,
        State.SUPPRESSED,
        State.OBSERVED,
        State.DRY_RUN,
        State.DRILLED,
        State.WAITING,
        State.HELD,
    }
)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """How far one incident has been printed."""

    incident: int
    rows: tuple[Transition, ...]


def follow(session: Session, numbers: Sequence[int], standing_in: StandIn, *, seen: int = 0) -> int:
    """Print what happens to these incidents until each has ended or rests; the exit code.

    An incident that one of them joined is followed too, as it handles both. `seen` transitions of
    each are known already.
    """
    printed = dict.fromkeys(numbers, seen)
    with _status(session) as say:
        for current, found in _changes(session, numbers, standing_in):
            new = [row for seen in found for row in seen.rows[printed.get(seen.incident, 0) :]]
            starts = {seen.incident: seen.rows[0].at for seen in found if seen.rows}
            printed = {seen.incident: len(seen.rows) for seen in found}
            for row in [] if session.json else sorted(new, key=lambda row: row.sequence):
                assert row.incident is not None
                after = short(row.at - starts[row.incident])
                line = f"#{row.incident:<4} {after:>7}  {row.action:<10}  {row.reason}"
                session.screen.line(line, STYLES.get(row.action, ""))
            going = [each for each in current if not _rests(each)]
            say(", ".join(f"#{each.id} {each.state}" for each in going[:5]))
            if all(_rests(each) for each in current):
                break
    return conclude(session, [each.id for each in current])


def _rests(incident: Incident) -> bool:
    held = incident.held_until is not None
    return incident.state.ended or incident.state is State.WAITING or held


def _changes(
    session: Session, numbers: Sequence[int], standing_in: StandIn
) -> Iterator[tuple[list[Incident], list[_Seen]]]:
    """The incidents, those that they joined, and the transitions of all: now, and again whenever
    something happened."""
    last, followed = -1, list(numbers)
    while True:
        with session.project.database.read() as tx:
            change = incidents.last_change(tx)
            if change != last:
                current = []
                for number in followed:  # it grows by what these joined
                    current.append(one := incidents.get(tx, number))
                    if one.joined and one.joined not in followed:
                        followed.append(one.joined)
                found = [_Seen(incident=n, rows=audit_log.of_incident(tx, n)) for n in followed]
        if change != last:
            last = change
            yield current, found
        standing_in.step()
        time.sleep(POLL)


def conclude(session: Session, numbers: Sequence[int]) -> int:
    """Print what became of the incidents; the exit code."""
    with session.project.database.read() as tx:
        bundles = [incident_report.load(tx, number) for number in numbers]
    if session.json:
        session.answer({"incidents": bundles})
    else:
        for each in bundles:
            incident = each.incident
            text = f"incident {incident.id}: {title(incident)}: {incident.state}"
            session.screen.line(text, STYLES.get(incident.state, ""))
            if incident.state is State.FIXED:
                continue
            session.screen.line(f"  runner incident show {incident.id}")
            for command in next_commands(incident, each.approvals):
                session.screen.line(f"  {command}")
    return exit_code(bundles)


def exit_code(found: Sequence[Bundle]) -> int:
    """0 when every incident ended well, is held back, or waits for a person; else 1."""
    for each in found:
        if each.incident.state not in GOOD:
            return 1
        # A dry run that failed is no good end, also where nothing more was asked for.
        dry = [run for run in each.runs if run.purpose is Purpose.DRY_RUN]
        if each.incident.state is State.DRY_RUN and dry:
            outcome = dry[-1].outcome
            if outcome is None or not outcome.completed:
                return 1
    return 0


@contextmanager
def _status(session: Session) -> Iterator[Callable[[str], None]]:
    """A line at the end of a terminal that says what is being done; nothing elsewhere."""
    if session.json or not session.screen.terminal:
        yield lambda text: None
        return
    with session.screen.console.status("") as status:

        def task(run: Run, event: TaskEvent) -> None:
            what = f"#{run.incident} {run.purpose} {event.host}: {brief(event.task)} {event.status}"
            status.update(visible(what).replace("[", r"\["))

        session.project.listeners.append(task)
        try:
            yield status.update
        finally:
            session.project.listeners.remove(task)
