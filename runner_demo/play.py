"""The demo from its first process to its last: set up, break, follow, and leave nothing behind."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from runner import acts, config, incident_report, remediate
from runner.errors import ConfigError, RunnerError, UsageError
from runner.incident import Level, State
from runner.incident_report import Bundle
from runner.project import Project
from runner.steps import perform
from runner.store import audit_log, incidents
from runner.text import brief
from runner_demo import folder as project_folder
from runner_demo.answer import Asker
from runner_demo.ended import Ended, Signals
from runner_demo.faults import HOST, Fault
from runner_demo.fleet import Fleet, Node, free_ports, program
from runner_demo.show import Show
from runner_demo.story import Event, Story, Task, event

if TYPE_CHECKING:
    from runner.web.serve import Server

NOTICE_SECONDS = 30.0
SHOWS_SECONDS = 5.0  #: until a fault shows: a bad release must start first
END_SECONDS = 300.0  #: for everything but waiting for a person
CANCEL_SECONDS = 10.0
POLL = 0.1
SCRIPTED_NOTE = (
    "scripted: this is NO language model but a small server on this machine that follows a script; "
    "the calls, checks and records are the real ones"
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the person asked the demo for."""

    fault: Fault
    level: Level
    folder: Path
    port: int | None  #: of the web; None takes a free one
    keep: bool
    scripted: bool = False  #: whether the stand-in for a model decides, too


def play(wish: Wish, show: Show, asker: Asker) -> int:
    """Show it all; the exit code. Raises RunnerError, and Ended when somebody ends it."""
    from runner.web.serve import bound

    alone()
    # Before anything is touched: a program that is missing, a port that is taken.
    program("supervisord")
    if wish.port is not None:
        try:
            bound("127.0.0.1", wish.port).close()
        except ConfigError as error:
            why = str(error).removeprefix("listen: ").partition(";")[0]
            raise UsageError(f"{why}; choose another with --port, or leave it out") from None
    with Signals() as signals, ExitStack() as stack:
        try:
            folder = stack.enter_context(project_folder.claimed(wish.folder))
            fleet, stage = _set_up(wish, folder, stack, signals)
            return _perform(wish, stage, fleet, show, asker)
        finally:
            signals.ignore()


def alone() -> None:
    """What is set for a real runner must not lead the demo to its store or its Prometheus."""
    for name in config.ENVIRONMENT:
        os.environ.pop(name, None)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The runner at work on its project folder."""

    project: Project
    server: Server
    path: Path  #: of runner.yml
    tasks: queue.SimpleQueue[Task]

    def drained(self) -> list[Task]:
        """The tasks that ended since the last call."""
        found = []
        while not self.tasks.empty():
            found.append(self.tasks.get())
        return found


def _set_up(wish: Wish, folder: Path, stack: ExitStack, signals: Signals) -> tuple[Fleet, Stage]:
    *ports, port = free_ports(7)
    fleet = Fleet(folder / "fleet", ports)
    stack.callback(fleet.stop)
    model = None
    if wish.scripted:
        from runner_demo.model_server import ModelServer

        model = stack.enter_context(ModelServer("right")).url
    path = project_folder.furnish(
        folder, fleet, level=wish.level, port=wish.port or port, model=model
    )
    project = Project.load(path)
    stack.callback(project.close)
    perform.warm_up(project)  # it is ready when something breaks
    web = server(project)
    stack.callback(web.stop)
    fleet.start()
    with signals.deferred():
        return fleet, start(project, web, path, stack)


def server(project: Project) -> Server:
    """The dashboard, not started yet."""
    from runner.cli.metrics import WebMetrics
    from runner.web.app import create_app
    from runner.web.serve import Server

    return Server(create_app(project, WebMetrics(project.database)), project.config.listen)


def start(project: Project, server: Server, path: Path, stack: ExitStack) -> Stage:
    """Start dashboard and worker; `stack` ends them, and what they have under way."""
    from runner.daemon import Daemon

    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    project.listeners.append(lambda run, task: tasks.put((run, task)))
    server.start()
    daemon = Daemon(project)
    daemon.start()
    stack.callback(daemon.stop)
    stack.callback(_abandon, project)
    return Stage(project=project, server=server, path=path, tasks=tasks)


def _abandon(project: Project) -> None:
    """Cancel what has not ended, and wait until no playbook runs any more."""
    until = time.monotonic() + CANCEL_SECONDS
    for incident in _open(project):
        with suppress(RunnerError):
            acts.cancel(project, incident, by="user:demo", reason="the demo was ended")
    # An incident may have ended while its dry run, which changes nothing, is still being ended.
    while (_open(project) or remediate.active) and time.monotonic() < until:
        time.sleep(POLL)


def _open(project: Project) -> list[int]:
    with project.database.read() as tx:
        return [each.id for each in incidents.find(tx, ended=False)]


def _perform(wish: Wish, stage: Stage, fleet: Fleet, show: Show, asker: Asker) -> int:
    node = fleet.nodes[HOST]
    show.tell(
        event(
            "fleet",
            nodes=[
                {"name": node.name, "url": node.url, "release": node.release}
                for node in fleet.nodes.values()
            ],
            web=stage.server.url,
            folder=near(stage.path.parent),
            level=str(wish.level),
            note=project_folder.NOTE,
            model=SCRIPTED_NOTE if wish.scripted else None,
        )
    )
    began, fault = datetime.now(UTC), wish.fault
    fault.inject(node)
    # What it answers once it is not well, or at the last look.
    url, until = fault.url(node), time.monotonic() + SHOWS_SECONDS
    while (said := answered(url)).startswith(f"GET {url}: 200 ") and time.monotonic() < until:
        time.sleep(POLL)
    broken = {
        "fault": fault.name,
        "title": fault.title,
        "host": node.name,
        "done": fault.done,
        "answer": said,
    }
    show.tell(Event(kind="broken", at=began, data=broken))
    found = follow(fault.alert, stage, fleet, show, asker)
    _conclude(wish, stage, found, node, began, show)
    if wish.keep:
        _keep(stage, fleet, show)
    incident = found.incident
    if incident.state is expected(wish):
        return 0
    raise RunnerError(
        f"{HOST} was not fixed: incident {incident.id} is {incident.state}: {incident.reason}"
    )


def _keep(stage: Stage, fleet: Fleet, show: Show) -> None:
    """Go on until Ctrl-C, which is how this ends well."""
    show.tell(event("kept", web=stage.server.url))
    try:
        while True:
            fleet.check()
            time.sleep(1.0)
    except Ended as ended:
        if ended.number != signal.SIGINT:
            raise


class Watched(Protocol):
    """Processes that must not end by themselves while the demo goes on."""

    def check(self) -> None:
        """Raise RunnerError when one has."""


def follow(
    alert: str,
    stage: Stage,
    fleet: Watched,
    show: Show,
    asker: Asker,
    *,
    patience: float = END_SECONDS,
    notice: float = NOTICE_SECONDS,
) -> Bundle:
    """Tell what happens until the incident has ended; the incident then."""
    story, began, waited = Story(), time.monotonic(), 0.0
    look = _Look(stage.project, alert)
    while True:
        fleet.check()
        found = look.again()
        if found is not None:
            for each in story.news(found[0], stage.drained(), firing=found[1]):
                show.tell(each)
            if story.state.ended:
                return found[0]
            if story.state is State.WAITING:
                waited += asker.wait(stage.project, near(stage.path), found[0], show)
                continue
        seconds = time.monotonic() - began - waited
        if found is None and seconds > notice:
            raise RunnerError(f"No sign of the fault within {notice:.0f} seconds")
        if seconds > patience:
            raise RunnerError(f"The incident did not end within {patience / 60:.0f} minutes")
        time.sleep(POLL)


class _Look:
    """Reads the fault's incident, and as a whole only when something has happened."""

    def __init__(self, project: Project, alert: str) -> None:
        self._project, self._alert = project, alert
        self._change = -1
        self._found: Bundle | None = None

    def again(self) -> tuple[Bundle, bool] | None:
        """The incident, and whether its alert still fires; None before it is there."""
        with self._project.database.read() as tx:
            if (change := incidents.last_change(tx)) != self._change:
                every = incidents.find(tx)
                mine = [each.id for each in every if each.alert.name == self._alert]
                self._change, self._found = change, None
                if mine:
                    # First, because a read is no snapshot: what they speak of is there for sure
                    # then.
                    transitions = audit_log.of_incident(tx, min(mine))
                    bundle = incident_report.load(tx, min(mine))
                    self._found = replace(bundle, transitions=transitions)
            if self._found is None:
                return None
            return self._found, incidents.still_firing(tx, self._found.incident.id)


def _conclude(
    wish: Wish, stage: Stage, found: Bundle, node: Node, began: datetime, show: Show
) -> None:
    show.tell(event("node", host=node.name, answer=answered(wish.fault.url(node))))
    if found.incident.state is State.ESCALATED:
        # What a receiver is sent when an incident is handed to a person.
        from runner.notify.message import Writer

        project = stage.project
        writer = Writer(
            mask=project.mask,
            environment=project.config.environment,
            public_url=stage.server.url if wish.keep else None,
        )
        show.tell(event("bundle", text=writer.write(found.transitions[-1], found).text))
    show.tell(event("timeline", rows=list(rows(found, began))))
    call = f"runner --config {near(stage.path)}"
    kept = [run.artifacts for run in found.runs if not run.purpose.check]
    files = [near(Path(place)) for place in kept[-1:]] + [near(node.folder / "log" / "app.log")]
    more = [] if wish.keep else ["runner demo --keep   # dashboard and fleet stay until Ctrl-C"]
    lines = [f"{call} incident show {found.incident.id} --all", f"{call} audit verify"]
    show.tell(event("further", lines=[*lines, *files, *more]))


def rows(found: Bundle, began: datetime) -> Iterator[dict[str, Any]]:
    """Each transition: seconds since the fault, seconds until the next one, state, reason."""
    following = [row.at for row in found.transitions[1:]]
    for number, row in enumerate(found.transitions):
        last = number == len(following)
        yield {
            "after": max(0.0, (row.at - began).total_seconds()),
            "seconds": None if last else (following[number] - row.at).total_seconds(),
            "action": row.action,
            "reason": brief(row.reason, 120),
        }


def near(path: Path) -> str:
    """`path` as seen from here, where that is shorter to type."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def answered(url: str) -> str:
    """What `url` says now, in a line."""
    try:
        reply = httpx.get(url, timeout=1.0, trust_env=False, verify=False)
    except httpx.TimeoutException:
        return f"GET {url}: no answer within 1s"
    except httpx.TransportError as error:
        return f"GET {url}: {brief(str(error))}"
    return f"GET {url}: {reply.status_code} {brief(reply.text, 120)}"


def expected(wish: Wish) -> State:
    """How the incident should end."""
    if wish.fault.entry is None:
        return State.ESCALATED
    ends = {Level.OBSERVE: State.OBSERVED, Level.DRY_RUN: State.DRY_RUN}
    return ends.get(wish.level, State.FIXED)
