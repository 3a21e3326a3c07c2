"""A power cut in the middle of a run, a clock that jumps, and a thousand incidents at once."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.execute.processes import MARK
from runner.incident import Outcome, State
from runner.project import Project
from runner.store import incidents
from tests import small_project as small
from tests.acceptance.service_lab import REPOSITORY, soon
from tests.acceptance.test_faults import process
from tests.real_alertmanager import _Server
from tests.reliability.record import Injected

pytestmark = [pytest.mark.real, pytest.mark.slow]

STORE = {"store": {"url": "sqlite:///store.db"}}


# --- a power cut ---------------------------------------------------------------------------


def power_cut(worker: int, project: Project) -> None:
    """The worker, the supervisor and Ansible end in one moment, and memory is gone."""
    every = [psutil.Process(worker), *psutil.Process(worker).children(recursive=True)]
    every += [each for each in psutil.process_iter() if _of(project, each)]
    for each in every:  # nobody may notice that the others are gone
        _signal(each, signal.SIGSTOP)
    for each in every:
        _signal(each, signal.SIGKILL)
    for intent in (project.state / "artifacts").glob("*/intent.json"):
        private = small.json.loads(intent.read_text())["private"]
        shutil.rmtree(private, ignore_errors=True)


def _of(project: Project, process: psutil.Process) -> bool:
    """Whether it belongs to a run of this project."""
    try:
        run = process.environ().get(MARK, "")
    except psutil.Error:
        return False
    return bool(run) and (project.state / "artifacts" / run).exists()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        pass


@pytest.mark.fault("power_cut")
def test_a_run_that_a_power_cut_ended_is_not_started_again(tmp_path: Path, fault: Injected) -> None:
    """Invariant 2: a half-written WAL is read, the run is unknown, and a person looks."""
    entry = {"dry_run": "none"}
    config = small.make(tmp_path, settings=STORE, entry=entry, extra="sleep 30")
    project = small.project(config)
    small.deliver(project, small.alert())
    with process(config) as worker:
        soon(lambda: small.runs(tmp_path) == 1, "the play is in the middle", 120)
        power_cut(worker.pid, project)
        worker.wait(30)
    assert Path(f"{project.database.file}-wal").stat().st_size > 0
    with process(config):
        found = small.wait(project, seconds=180)
    fault.failure()
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=True)
    fault.runs(small.runs(tmp_path))
    fault.saw(f"outcome {found.runs[-1].outcome}")
    assert found.incident.state is State.ESCALATED
    assert found.runs[-1].outcome in (Outcome.UNKNOWN, Outcome.CANCELLED)
    project.close()


# --- a clock that jumps --------------------------------------------------------------------


@contextmanager
def worker_with(config: Path, clock: Path) -> Iterator[None]:
    """A worker process whose clock is off by the seconds in the file `clock`."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.clock_worker", str(config), str(clock)],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    try:
        assert started.stdout is not None and started.stdout.readline() == "works\n"
        yield
    finally:
        started.kill()
        started.communicate()


def clock_in(folder: Path) -> Path:
    """A clock that is right."""
    clock = folder / "clock"
    clock.write_text("0")
    return clock


@pytest.mark.fault("clock_jump")
@pytest.mark.parametrize("offset", [3 * 3600, -3 * 3600])
def test_a_jump_in_the_middle_of_a_run(tmp_path: Path, offset: int, fault: Injected) -> None:
    """Invariants 2 and 14: it ends, and its playbook ran once."""
    clock = clock_in(tmp_path)
    config = small.make(tmp_path, settings=STORE, entry={"dry_run": "none"}, extra="sleep 2")
    project = small.project(config)
    small.deliver(project, small.alert())
    with worker_with(config, clock):
        soon(lambda: small.runs(tmp_path) == 1, "the play is in the middle", 120)
        clock.write_text(str(offset))
        found = small.wait(project, seconds=180)
    fault.failure()
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state)
    fault.runs(small.runs(tmp_path))
    assert found.incident.state is State.FIXED, found.incident.reason
    assert abs(found.transitions[-1].at - found.incident.created_at).total_seconds() > 3600
    project.close()


class Health(_Server):
    """A service that answers 200 while it is up, and 500 after."""

    def __init__(self) -> None:
        self.up = True
        health = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if health.up else 500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)


@pytest.mark.fault("clock_jump")
def test_a_jump_is_not_time_in_which_checks_held(tmp_path: Path, fault: Injected) -> None:
    """Invariant 10: half a minute of clock is not half a minute of health."""
    clock, service = clock_in(tmp_path), Health()
    verify = {"within": "6s", "hold": "6s", "checks": [{"http": f"{service.url}/"}]}
    entry = {"dry_run": "none", "verify": verify}
    inventory = {"all": {"vars": small.INVENTORY["all"]["vars"], "hosts": {"web1": {}}}}
    config = small.make(tmp_path, settings=STORE, entry=entry, inventory=inventory)
    project = small.project(config)
    small.deliver(project, small.alert())
    with worker_with(config, clock):
        small.wait(project, until=lambda one: one.state is State.VERIFYING, seconds=120)
        clock.write_text("30")
        soon(_later(), "a look after the jump")
        service.up = False  # it was up for a moment only
        found = small.wait(project, seconds=120)
    service.stop()
    fault.failure()
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=True)
    fault.runs(small.runs(tmp_path))
    assert found.incident.state is State.ESCALATED, found.incident.reason
    project.close()


def _later() -> Callable[[], bool]:
    """True once some looks have been made since."""
    import time

    until = time.monotonic() + 1.0
    return lambda: time.monotonic() > until


# --- a thousand at once --------------------------------------------------------------------

#: So many where the page is written, and so many elsewhere.
THOUSAND = (1000, 150)


@pytest.mark.fault("thousand")
def test_a_thousand_incidents_at_once(tmp_path: Path, fault: Injected) -> None:
    """Invariants 1 and 14: all are admitted once and end, with a kill in the middle."""
    many = fault.times(*THOUSAND)
    settings = {**STORE, "level": "observe", "correlation": {"same_host": False}}
    config = small.make(tmp_path, settings=settings)
    project = small.project(config)
    hosts = ("web1", "db1")
    alerts = [small.alert(host=hosts[n % 2], service=f"shop-{n}") for n in range(many)]
    for begin in range(0, many, 100):
        small.deliver(project, *alerts[begin : begin + 100])
    with process(config) as worker:
        soon(lambda: ended(project) > 20, "some have ended", 240)
        worker.kill()
        worker.wait(30)
    fault.failure()
    with process(config):
        soon(lambda: ended(project) == many, "all have ended", 600)
    with project.database.read() as tx:
        found = incidents.find(tx, limit=2 * many)
    fault.alerts(told=many, found=len({one.alert.fingerprint for one in found}))
    fault.ended(*(one.state for one in found), broken=True)
    fault.runs(small.runs(tmp_path))
    assert len(found) == many and small.runs(tmp_path) == 0
    assert {one.state for one in found} == {State.OBSERVED}
    project.close()


def ended(project: Project) -> int:
    import sqlalchemy as sa

    from runner.incident import ENDED
    from runner.store.tables import incidents as rows

    query = sa.select(sa.func.count()).where(rows.c.state.in_([str(state) for state in ENDED]))
    with project.database.read() as tx:
        return int(tx.execute(query).scalar_one())
