"""`runner serve` and `runner work`: the processes that stay."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from runner.cli import Verb, option
from runner.cli.log import TrailLog, set_format
from runner.cli.session import Session
from runner.errors import RunnerError
from runner.incident import Level

if TYPE_CHECKING:
    from runner.daemon import Daemon
    from runner.web.serve import Server

#: Seconds after which a process that was told to stop ends, whatever its threads do.
STOP_WITHIN = 8.0

log_format_option = option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Plain text, or one JSON object per line.",
)


@click.command(cls=Verb)
@log_format_option
@click.pass_obj
def serve(session: Session, log_format: str) -> int:
    """Receive and process alerts; serve the dashboard.

    One process answers requests, another one works, and either is started again when it ends. On
    SQLite this is the only worker. It stops on SIGTERM and Ctrl-C; open incidents continue at the
    next start.
    """
    # All that either of the two needs is imported and read before there are two.
    from runner import daemon
    from runner.cli.metrics import WebMetrics
    from runner.cli.pair import Link, Pair
    from runner.web import app
    from runner.web.serve import Server, bound, url_of

    _prepare(session, log_format)
    project, link = session.project, Link()
    taken = bound(project.config.listen.host, project.config.listen.port)
    url = url_of(taken)
    daemon.read_project(project)
    project.close()  # a connection to the store belongs to one process

    def answer() -> int:
        project.queue.added = project.delivered = link.wake
        project.is_worked_on = lambda: link.is_ready("worker")
        ours = app.create_app(project, WebMetrics(project.database))
        server = Server(ours, project.config.listen, taken)
        if server.room < project.config.listen.limits.connections:
            session.note(
                f"warning: {server.descriptors} open files allow {server.room} connections, fewer "
                "than listen.limits.connections; raise LimitNOFILE or `ulimit -n`"
            )
        with _until_told() as stop:
            server.start()
            link.mark("web", ready=True)
            alive = _wait(stop, server)
            server.stop()
        if not alive:
            raise RunnerError("the web server has stopped; the log says why")
        return 0

    def do_work() -> int:
        taken.close()
        with _working(session, log_format) as (stop, worker):
            link.call_when_woken(worker.wake)
            link.mark("worker", ready=True)
            _say(session, url)
            _wait(stop, None)
        return 0

    return Pair(link, web=answer, work=do_work, let_go=taken.close).run()


@click.command(cls=Verb)
@log_format_option
@click.pass_obj
def work(session: Session, log_format: str) -> int:
    """Process incidents without a web server.

    With PostgreSQL any number of workers share the work. Alerts come from `runner serve`, `runner
    alert handle`, or the `watches` and `alertmanagers` of this process.
    """
    _prepare(session, log_format)
    with _working(session, log_format) as (stop, _):
        _say(session, None)
        _wait(stop, None)
    return 0


def _prepare(session: Session, log_format: str) -> None:
    set_format(log_format, verbose=session.verbose)
    project, config = session.project, session.project.config
    project.config = config = config.model_copy(
        update={"level": Level.lowest(config.level, session.ceiling)}
    )
    if log_format == "json":
        # The console's lines are for people; every transition is logged instead.
        quiet = config.notify.model_copy(update={"console": False})
        project.config = config.model_copy(update={"notify": quiet})


@contextmanager
def _working(session: Session, log_format: str) -> Iterator[tuple[threading.Event, Daemon]]:
    """Work until the block ends; the event is set when the process is told to stop."""
    from runner.daemon import Daemon

    if session.project.warm is not None:
        session.project.warm.keep = True  # a process that lives on gets back what it costs
    daemon = Daemon(session.project)
    log = TrailLog(session.project.database)
    with _until_told() as stop:
        daemon.start()
        try:
            if log_format == "json" or session.verbose:
                log.start()
            yield stop, daemon
        finally:
            daemon.stop()
            log.stop()


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; the second one ends the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for the two that `serve` forks
            signal.signal(number, lambda *_: os._exit(130) if stop.is_set() else stop.set())
    yield stop


def _wait(stop: threading.Event, server: Server | None) -> bool:
    """Until the process is told to stop; False when the web server ended before that."""
    while not stop.wait(0.5):
        if server is not None and not server.alive:
            return False

    def end() -> None:
        time.sleep(STOP_WITHIN)
        os._exit(0)

    # The process ends then, even when a step or a request takes its time.
    threading.Thread(target=end, name="deadline", daemon=True).start()
    return True


def _say(session: Session, url: str | None) -> None:
    """What somebody who starts it wants to know."""
    from runner.web import auth

    project, config = session.project, session.project.config
    about = {
        "address": url or "none: no web server",
        "level": f"{config.level} (limit)",
        "store": project.database.engine.url.render_as_string(hide_password=True),
        "entries": str(len(project.catalog.entries)),
        "hosts": str(len(project.inventory().hosts)),
    }
    warnings = auth.problems(config) if url else []
    if session.json:
        session.answer(about | {"warnings": warnings})
        return
    session.screen.line("runner processes incidents; stop it with Ctrl-C", "bold")
    session.screen.pairs(about.items())
    for warning in warnings:
        session.note(f"warning: {warning}")
