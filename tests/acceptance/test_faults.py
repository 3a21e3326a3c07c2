"""Full disks, locked and dead databases, frozen workers: nothing is lost, nothing runs twice."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from dbos import DBOS

from runner import acts, daemon, remediate
from runner.daemon import Daemon
from runner.errors import Refused, StoreError
from runner.incident import Purpose, State
from runner.incident_report import Bundle
from runner.project import Project
from tests import small_project as small
from tests.acceptance.moments import Moments
from tests.acceptance.service_lab import REPOSITORY, soon
from tests.once import once
from tests.reliability.record import Injected
from tests.web_site import Counted

pytestmark = [pytest.mark.real, pytest.mark.slow]

#: Longer than a writer waits for another one.
OUTAGE = 8.0
#: Where the store goes away: before a step, between a step and the engine's record of it,
#: while Ansible runs, and between its end and the outcome's row.
MOMENTS = ("after:judge", "run:midway", "run:ended")


@contextmanager
def working(project: Project) -> Iterator[Daemon]:
    made = Daemon(project)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def fault_at(moment: str, fault: Callable[[], None]) -> Iterator[Moments]:
    """`fault` at the moment of the path, in a thread where it takes its time."""
    moments = Moments(moment, fault)
    try:
        yield moments
    finally:
        moments.undo()


def told(found: Bundle) -> list[tuple[str, str]]:
    """The trail, newest first: what a failed assertion should show."""
    return [(each.action, each.reason) for each in reversed(found.transitions)]


def counted(fault: Injected, found: Bundle, root: Path, times: int = 1) -> None:
    """So many failures were injected into the path of one alert."""
    fault.failure(times)
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=small.runs(root) == 0)
    fault.runs(small.runs(root))


def is_fixed_once(found: Bundle, root: Path) -> None:
    actions = [action for action, _ in told(found)]
    assert found.incident.state is State.FIXED, told(found)
    assert len(actions) == len(set(actions)), "a transition was written twice"
    assert small.runs(root) == 1


# --- a full disk ---------------------------------------------------------------------------


class Disk:
    """A file system of 8 MiB that can be filled to its last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def fill_for_a_while(self) -> None:
        self.fill()
        threading.Timer(OUTAGE, self.free).start()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk of its own; it takes root to mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=8m") != 0:
        why = f"no small disk can be mounted here ({os.strerror(ctypes.get_errno())}): be root"
        pytest.skip(why)
    yield Disk(folder)
    libc.umount2(bytes(folder), 2)  # MNT_DETACH


def stored_on(disk: Disk, root: Path, **options: Any) -> Project:
    return small.project(small.make(root, **options), f"sqlite:///{disk.folder}/store.db")


@pytest.mark.fault("disk_full")
def test_what_cannot_be_stored_is_not_acknowledged(
    disk: Disk, tmp_path: Path, fault: Injected
) -> None:
    """Invariant 1: 503 and nothing else, and the sender's next try is handled."""
    from runner.web.app import create_app
    from runner.web.serve import Server

    project = stored_on(disk, tmp_path)
    server = Server(create_app(project, Counted()), project.config.listen)
    body = small.body(small.alert())
    with working(project):
        server.start()
        try:
            disk.fill()
            with pytest.raises(StoreError):
                acts.deliver(project, body, source="webhook")
            url = f"{server.url}/api/v1/alerts"
            headers = {"Content-Type": "application/json"}
            refused = httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)
            assert refused.status_code == 503, refused.text
            disk.free()
            taken = httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)
            assert taken.status_code == 200, taken.text
            found = small.wait(project)
            is_fixed_once(found, tmp_path)
            counted(fault, found, tmp_path)
            fault.saw("refused with 503")
        finally:
            server.stop()
    project.close()


@pytest.mark.fault("disk_full")
@pytest.mark.parametrize("moment", once(*MOMENTS))
def test_a_full_disk_delays_an_incident_and_no_more(
    disk: Disk, tmp_path: Path, moment: str, fault: Injected
) -> None:
    """Invariant 2: once there is space again it ends, without a restart, and ran once."""
    project = stored_on(disk, tmp_path, extra="sleep 1.5")
    with fault_at(moment, disk.fill_for_a_while) as moments, working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    assert moments.came.is_set()
    counted(fault, found, tmp_path)
    is_fixed_once(found, tmp_path)
    project.close()


@pytest.mark.fault("disk_full")
def test_a_run_that_has_no_space_to_start_is_for_a_person(
    disk: Disk, tmp_path: Path, fault: Injected
) -> None:
    """Invariant 9: the artifacts lie on the full disk too, so nothing could be run."""
    settings = {"project": {"inventory": ["inventory"], "state": str(disk.folder / "var")}}
    project = stored_on(disk, tmp_path, settings=settings)
    with fault_at("run:intent", disk.fill_for_a_while), working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    counted(fault, found, tmp_path)
    assert found.incident.state is State.ESCALATED
    assert "cannot be started" in found.incident.reason, told(found)
    assert small.runs(tmp_path) == 0
    project.close()


# --- a locked database ---------------------------------------------------------------------

LOCK = """\
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
held.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


def lock(path: Path) -> None:
    """Another process writes to the store for longer than anybody waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path), str(OUTAGE)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    threading.Thread(target=process.communicate, daemon=True).start()


@pytest.mark.fault("store_locked")
@pytest.mark.parametrize("moment", once("run:ended", "before:gather", "run:intent"))
def test_a_locked_database_delays_an_incident_and_no_more(
    tmp_path: Path, moment: str, fault: Injected
) -> None:
    """Invariant 2: it ends without a restart, and ran once."""
    path = tmp_path / "store.db"
    project = small.project(small.make(tmp_path, extra="sleep 1.5"), f"sqlite:///{path}")
    with fault_at(moment, lambda: lock(path)) as moments, working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    assert moments.came.is_set()
    counted(fault, found, tmp_path)
    is_fixed_once(found, tmp_path)
    project.close()


@pytest.mark.fault("store_locked")
def test_a_store_that_fails_for_a_moment_ends_nothing(
    tmp_path: Path, store_url: str, fault: Injected
) -> None:
    """Invariant 2: back at once, it must not be taken for a reason to give up."""

    def fail() -> None:
        raise StoreError("the store is unavailable: a test")

    project = small.project(small.make(tmp_path), store_url)
    with fault_at("run:before_intent", fail) as moments, working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    assert moments.came.is_set()
    counted(fault, found, tmp_path)
    is_fixed_once(found, tmp_path)
    project.close()


# --- a PostgreSQL that dies ----------------------------------------------------------------


@pytest.mark.fault("postgres_crash")
@pytest.mark.parametrize("moment", once("run:midway", "run:ended"))
def test_a_postgresql_that_crashes_is_waited_for(
    tmp_path: Path, postgres: Any, moment: str, fault: Injected
) -> None:
    """Invariant 2: the database is gone for eight seconds in the middle of a run."""

    def crash() -> None:
        postgres.control("stop", "-m", "immediate")
        threading.Timer(OUTAGE, postgres.control, ["start"]).start()

    settings = {"store": {"url": postgres.new_store()}}
    project = small.project(small.make(tmp_path, extra="sleep 1.5", settings=settings))
    with fault_at(moment, crash) as moments, working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    assert moments.came.is_set()
    counted(fault, found, tmp_path)
    is_fixed_once(found, tmp_path)
    project.close()


# --- two processes, and frozen ones --------------------------------------------------------


@pytest.mark.fault("second_process")
@pytest.mark.parametrize("state", ["var", "elsewhere"])
def test_a_second_process_on_one_sqlite_file_is_refused(
    tmp_path: Path, state: str, fault: Injected
) -> None:
    """Invariant 3: host locks of one process are not enough for two on SQLite."""
    url = f"sqlite:///{tmp_path}/store.db"
    project = small.project(small.make(tmp_path), url)
    settings = {"project": {"inventory": ["inventory"], "state": state}}
    other = small.project(small.make(tmp_path, settings=settings), url)
    with working(project):
        with pytest.raises(Refused, match="already works on this SQLite store"):
            Daemon(other).start()
        fault.failure()
        fault.saw("refused to start")
    with working(other):
        pass
    for each in (project, other):
        each.close()


@contextmanager
def process(config: Path, *arguments: str, version: str = "") -> Iterator[subprocess.Popen[str]]:
    """A worker process; it has started to work when this is entered."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    if version:
        environment["RUNNER_TEST_VERSION"] = version
    command = [sys.executable, "-m", "tests.acceptance.fault_worker", str(config), *arguments]
    worker = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None and worker.stdout.readline() == "works\n"
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def frozen(worker: subprocess.Popen[str]) -> bool:
    status = Path(f"/proc/{worker.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


@pytest.mark.fault("frozen")
@pytest.mark.parametrize(
    ("moment", "times"),
    once(("run:in_intent", 1), ("run:before_intent", 1), ("run:intent", 0), ("run:midway", 1)),
)
def test_a_worker_that_was_frozen_does_not_run_it_again(
    tmp_path: Path, postgres: Any, moment: str, times: int, fault: Injected
) -> None:
    """Invariants 2 and 3: another one took over; who wakes up late exits with 75.

    Frozen between intent and start, nobody can prove that nothing ran: it is for a person.
    """
    settings = {"store": {"url": postgres.new_store()}}
    config = small.make(tmp_path, extra="sleep 1.5", settings=settings)
    project = small.project(config)
    with process(config, moment, "freeze") as first:
        small.deliver(project, small.alert())
        soon(lambda: frozen(first), "the first worker is frozen")
        with process(config):
            found = small.wait(project)
            first.send_signal(signal.SIGCONT)
            assert first.wait(60) == 75
    counted(fault, found, tmp_path)
    wanted = State.FIXED if times else State.ESCALATED
    assert found.incident.state is wanted, told(found)
    assert small.runs(tmp_path) == times and len(real(found)) == 1
    project.close()


def real(found: Bundle) -> list[Any]:
    return [run for run in found.runs if run.purpose is Purpose.REMEDIATION]


# --- restarts ------------------------------------------------------------------------------


def test_a_question_is_answered_after_a_restart_with_another_release(tmp_path: Path) -> None:
    """Invariant 14: what waits does not wait in a process."""
    settings = {"level": "approve", "store": {"url": "sqlite:///store.db"}}
    config = small.make(tmp_path, settings=settings)
    project = small.project(config)
    small.deliver(project, small.alert(), small.alert(host="web2"))
    with process(config, version="0.0.1"):
        asked = [small.wait(project, n, until=small.waiting).approvals[0] for n in (1, 2)]
    acts.answer(project, asked[0].id, answer="approved", by="user:ann")  # while nobody works
    with process(config, version="99.0.0"):
        is_fixed_once(small.wait(project), tmp_path)
        acts.answer(project, asked[1].id, answer="approved", by="user:ann")
        assert small.wait(project, 2).incident.state is State.FIXED
    assert small.runs(tmp_path, "web2") == 1
    project.close()


@pytest.mark.fault("deploy")
def test_another_release_goes_on_where_the_last_one_was_killed(
    tmp_path: Path, fault: Injected
) -> None:
    """Invariant 1: a deploy in the middle of an incident leaves nothing behind."""
    config = small.make(tmp_path, settings={"store": {"url": "sqlite:///store.db"}})
    project = small.project(config)
    small.deliver(project, small.alert())
    with process(config, "after:judge", "kill", version="0.0.1") as first:
        assert first.wait(60) == -signal.SIGKILL
    with process(config, version="99.0.0"):
        found = small.wait(project)
        counted(fault, found, tmp_path)
        is_fixed_once(found, tmp_path)
    project.close()


# --- the engine's own failures -------------------------------------------------------------


def break_records(monkeypatch: pytest.MonkeyPatch, times: int, steps: set[str]) -> list[str]:
    """Let the engine fail to record the answer of `steps` so often; returns what it failed at."""
    monkeypatch.setattr(daemon, "REVIVE_EVERY", 1.0)
    failed: list[str] = []
    record = DBOS.run_step

    def broken(options: Any, function: Callable[[], Any]) -> Any:
        answer = record(options, function)
        if options["name"] in steps and len(failed) < times:
            failed.append(options["name"])
            raise RuntimeError("the engine's record failed")
        return answer

    monkeypatch.setattr(remediate.DBOS, "run_step", staticmethod(broken))
    return failed


@pytest.mark.fault("engine_error")
@pytest.mark.parametrize("step", once("carry_out", "judge"))
def test_a_workflow_that_broke_is_handled_again(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, step: str, fault: Injected
) -> None:
    """Invariant 2: the engine's own error loses no incident and repeats no run."""
    project = small.project(small.make(tmp_path), store_url)
    failed = break_records(monkeypatch, 1, {step})
    with working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    counted(fault, found, tmp_path)
    is_fixed_once(found, tmp_path)
    assert failed == [step]
    project.close()


@pytest.mark.fault("engine_error")
def test_a_workflow_that_always_breaks_is_for_a_person(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, fault: Injected
) -> None:
    """Invariant 14: it is not handled again for ever."""
    project = small.project(small.make(tmp_path), store_url)
    failed = break_records(monkeypatch, 1000, {"judge"})
    with working(project):
        small.deliver(project, small.alert())
        found = small.wait(project)
    counted(fault, found, tmp_path, times=len(failed))
    assert found.incident.state is State.ESCALATED
    assert "engine" in found.incident.reason
    assert small.runs(tmp_path) == 0
    project.close()


@pytest.mark.fault("engine_error")
def test_what_broke_long_ago_is_found_after_a_restart(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, fault: Injected
) -> None:
    """Invariant 1: the process may have been away since, for longer than anybody counts."""
    config = small.make(tmp_path)
    project = small.project(config, store_url)
    with monkeypatch.context() as patch:
        failed = break_records(patch, 1000, {"judge"})
        patch.setattr(Daemon, "_revive", lambda self: None)
        with working(project) as made:
            small.deliver(project, small.alert())
            soon(lambda: bool(made._worker.broken()), "the workflow ends in an error")
            long_ago(project)
    again = small.project(config, store_url)
    with working(again):
        found = small.wait(again)
    counted(fault, found, tmp_path, times=len(failed))
    is_fixed_once(found, tmp_path)
    for each in (project, again):
        each.close()


def long_ago(project: Project) -> None:
    """Make the engine's rows three hours older."""
    table = "workflow_status" if project.database.sqlite else "dbos.workflow_status"
    with project.database.write() as tx:
        tx.exec_driver_sql(f"update {table} set completed_at = completed_at - 10800000")
