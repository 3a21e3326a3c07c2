"""`runner drill`: faults on purpose, and what the runner makes of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from runner import acts, incident_report
from runner.cli import Noun, option
from runner.cli.session import Session, as_option, confirm, person, yes_option
from runner.drill import NEWEST, VARIABLE, Game, figures, game, led_to
from runner.errors import Refused, UsageError
from runner.incident import Incident, Purpose, State
from runner.incident_report import Bundle, to_json
from runner.store import incidents
from runner.text import brief, duration

#: Seconds between two looks at the store.
POLL = 0.2
#: How long after the end of a fault its last alert may still be on the way.
AFTERWARDS = timedelta(seconds=30)
#: How long after the end of a fault a host is left alone before the next one.
QUIET = timedelta(seconds=5)
#: How long a fault may last, as the role's preflight has it.
SHORTEST, LONGEST = timedelta(seconds=5), timedelta(hours=1)
#: What is no failure of the runner: it mended the fault, or called a person.
GOOD = frozenset({State.FIXED, State.ESCALATED, State.WAITING})

_for_option = option(
    "--for",
    "span",
    envvar="RUNNER_DRILL_FOR",
    default="60s",
    show_default=True,
    metavar="DURATION",
    help="How long the fault lasts, 5s to 1h.",
)
_approve_option = option(
    "--approve", is_flag=True, help="Approve the plan in your name when the runner asks."
)


@click.group(cls=Noun)
def drill() -> None:
    """Inject faults on purpose, and measure how the runner handles them."""


@drill.command("list")
@click.pass_obj
def list_drills(session: Session) -> int:
    """List drills, and the hosts that allow them."""
    drills = session.project.catalog.by_kind("drill")
    known = session.project.inventory().hosts.items()
    hosts = sorted(name for name, host in known if host.variables.get(VARIABLE) is True)
    if session.json:
        rows = [{"id": e.id, "title": e.title, "description": e.description} for e in drills]
        session.answer({"drills": rows, "hosts": hosts})
        return 0
    session.screen.table(("drill", "what it does"), [(e.id, e.description) for e in drills])
    allowed = ", ".join(hosts) or f"none; set {VARIABLE}: true in the inventory"
    session.screen.line(f"hosts that allow drills: {allowed}")
    return 0


@drill.command("run")
@click.argument("entry", metavar="DRILL")
@option("--host", required=True, help="An exact inventory name of a host that allows drills.")
@_for_option
@_approve_option
@as_option
@yes_option
@click.pass_obj
def run_drill(
    session: Session, entry: str, host: str, span: str, approve: bool, name: str | None, yes: bool
) -> int:
    """Inject a fault, wait until its incident ends, and report the times.

    DRILL is one of `runner drill list`. The exit code is 0 when the runner fixed the fault or
    handed it to a person, and 1 when it did neither.
    """
    lasting = span_of(span)
    acts.check_drill(session.project, entry=entry, host=host, span=lasting)
    day = GameDay(session, by=person(name), span=lasting, approve=approve)
    confirm(session, f"Break {brief(host)} on purpose with {brief(entry)}?", yes=yes)
    one = day.play(entry, host)
    _tell(session, [one])
    return _code([one])


@drill.command("matrix")
@option("--drill", "drills", multiple=True, envvar="RUNNER_DRILL_MATRIX_DRILL", metavar="DRILL",
        help="Drill, repeatable; the default is all.")  # fmt: skip
@option("--host", "hosts", multiple=True, envvar="RUNNER_DRILL_MATRIX_HOST", required=True,
        help="Host, repeatable.")  # fmt: skip
@option("--report", type=click.Path(file_okay=False, path_type=Path), required=True,
        help="Folder for report.json, report.md and report.svg.")  # fmt: skip
@_for_option
@_approve_option
@as_option
@yes_option
@click.pass_obj
def run_matrix(
    session: Session,
    drills: tuple[str, ...],
    hosts: tuple[str, ...],
    report: Path,
    span: str,
    approve: bool,
    name: str | None,
    yes: bool,
) -> int:
    """Inject each fault on each host, one after another, and write one report.

    Faults that a host cannot have are skipped and named. The report is rewritten after each fault,
    so Ctrl-C loses none.
    """
    lasting = span_of(span)
    chosen = drills or tuple(e.id for e in session.project.catalog.by_kind("drill"))
    # Raise NotFound or Refused for a wrong name now, and not after an hour of other faults.
    for entry in chosen:
        session.project.catalog.drill(entry)
    acts.check_hosts(session.project.inventory(), hosts)
    day = GameDay(session, by=person(name), span=lasting, approve=approve)
    confirm(session, f"Break {brief(', '.join(hosts))} with {len(chosen)} drills?", yes=yes)
    played: list[Game] = []
    left_out: list[LeftOut] = []
    for entry, host in itertools.product(chosen, hosts):
        try:
            played.append(day.play(entry, host))
        except Refused as error:
            left_out.append(LeftOut(drill=entry, host=host, reason=str(error)))
            day.say(str(left_out[-1]))
            continue
        figures.write(played, report)
    if not played:
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise Refused(f"no fault was injected; {left_out[0]}{more}")
    _tell(session, played, left_out)
    return _code(played)


def span_of(text: str) -> timedelta:
    """How long a fault lasts. Raises UsageError for what is no duration, or out of bounds."""
    try:
        span = duration.parse(text)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    if not SHORTEST <= span <= LONGEST:
        raise UsageError(f"--for {brief(text)}: a fault lasts 5s to 1h")
    return span


def _tell(session: Session, played: Sequence[Game], left_out: Sequence[LeftOut] = ()) -> None:
    """Print what became of the faults."""
    if session.json:
        session.answer(figures.as_json(played) | {"left_out": to_json(list(left_out))})
        return
    rows = map(figures.cells, figures.summary(played))
    session.screen.table(figures.HEADINGS, rows)
    for one in played:
        if one.result != State.FIXED:
            session.screen.line(f"{one.drill} on {one.host}: {one.result}: {one.reason}")


def _code(played: Sequence[Game]) -> int:
    """0 when each fault was fixed or handed to a person, else 1."""
    return 0 if all(one.result in GOOD for one in played) else 1


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A fault that was refused."""

    drill: str
    host: str
    reason: str

    def __str__(self) -> str:
        return f"left out: {self.drill} on {self.host}: {self.reason}"


class GameDay:
    """Faults one after another, each followed to the end of what came of it."""

    def __init__(self, session: Session, *, by: str, span: timedelta, approve: bool) -> None:
        """Raises Refused when nobody works on what alerts will tell."""
        if not session.is_worked_on():
            raise Refused("no worker is running to handle the fault; start `runner serve` first")
        self._session = session
        self._project = session.project
        self._by = by
        self._span = span
        self._approve = approve

    def play(self, entry: str, host: str) -> Game:
        """One fault from its injection until the host is quiet again.

        Raises Refused when it may not, or did not, begin.
        """
        number = acts.request_drill(
            self._project, entry=entry, host=host, span=self._span, by=self._by
        )
        self.say(f"incident {number} injects {entry} on {host}")
        _wait(lambda: self._bundle(number).incident.state.ended)
        ended = self._bundle(number)
        if ended.incident.state is not State.DRILLED:
            raise Refused(ended.incident.reason)
        run = next(run for run in ended.runs if run.purpose is Purpose.DRILL)
        # By the playbook's own word.
        injected_at = datetime.fromisoformat(str(run.results["injected_at"]))
        _wait(lambda: self._is_over(host, injected_at))
        found = self._led_to(host, injected_at)
        one = game(drill=entry, host=host, injected_at=injected_at, found=found)
        about = f", incident {one.incident}" if one.incident else ""
        self.say(f"{entry} on {host}: {one.result}{about}; the fault ends by itself")
        _wait(lambda: self._is_quiet(host, injected_at))
        return one

    def _is_over(self, host: str, injected_at: datetime) -> bool:
        """Whether the fault's incident has ended, or will not come, or waits for nobody here."""
        late = datetime.now(UTC) > injected_at + self._span + AFTERWARDS
        found = self._led_to(host, injected_at)
        if found is None:
            return late
        if found.incident.state is State.WAITING and self._approve:
            for question in found.approvals:
                if question.answer is None:
                    acts.answer(self._project, question.id, answer="approved", by=self._by)
        return found.incident.state.ended or (late and found.incident.state is State.WAITING)

    def _is_quiet(self, host: str, injected_at: datetime) -> bool:
        with self._project.database.read() as tx:
            at_work = incidents.open_on(tx, [host], NEWEST)
        working = [incident for incident in at_work if incident.state is not State.WAITING]
        return not working and datetime.now(UTC) > injected_at + self._span + QUIET

    def _led_to(self, host: str, since: datetime) -> Bundle | None:
        with self._project.database.read() as tx:
            recent: Sequence[Incident] = incidents.find(tx, since=since, limit=200)
            found = led_to(recent, host, since)
        return self._bundle(found.id) if found else None

    def _bundle(self, number: int) -> Bundle:
        with self._project.database.read() as tx:
            return incident_report.load(tx, number)

    def say(self, text: str) -> None:
        """A line for a person who waits."""
        if not self._session.json:
            self._session.note(text)


def _wait(question: Callable[[], bool]) -> None:
    while not question():
        time.sleep(POLL)
