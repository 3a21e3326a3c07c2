"""Asks the warm process for a fork, and keeps one where somebody wants it.

Whatever is amiss with it, the answer is None and the caller starts a cold process: nothing here
can make a run fail.
"""

from __future__ import annotations

import hashlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path

from runner.execute.warm.child import receive, refuse_stranger, send
from runner.execute.warm.preload import PROVEN
from runner.execute.warm.surroundings import surroundings
from runner.private import ours_alone

_PARENT = Path(__file__).with_name("parent.py")
MARK = "RUNNER_RUN_ID"  #: tells a run's processes, see `processes`
_PATIENCE = 5.0  # seconds within which it answers; it is cold work without it
_AGAIN = 600.0  # seconds for which one that could not begin is not started again
COLD = 250  #: status of a program that only a cold process can be
#: What can be forked beside runs: the command, or the file that Python is given.
PROGRAMS = ("ansible-inventory", "resolve_names.py")
#: They decide what the interpreter loads, so they must not reach a process that lives on.
_UNFIT = ("PYTHON", "LD_")

logger = logging.getLogger(__name__)


class Supervisor:
    """A fork that holds a run, with the part of `subprocess.Popen` that is needed of it."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid, self._handle = pid, handle

    def poll(self) -> int | None:
        """0 when it has ended, however; None while it lives."""
        return 0 if select.select([self._handle], [], [], 0)[0] else None

    def wait(self, timeout: float | None = None) -> int:
        """Return when it has ended. Raises subprocess.TimeoutExpired."""
        if not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("supervisor", timeout or 0)
        return 0

    def terminate(self) -> None:
        """Ask it to end its run."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGTERM)

    def __del__(self) -> None:
        os.close(self._handle)


class Warm:
    """The warm process of one project, for any number of threads.

    `state` is the project's own folder. With `keep` it is started where it is missing, in the
    background, and lives no longer than this process does.
    """

    def __init__(self, state: Path, *, keep: bool = False) -> None:
        self.keep = keep
        self._name = hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:16]
        self._lock = threading.Lock()
        self._started: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._not_before = 0.0

    @property
    def folder(self) -> Path | None:
        """Where its socket is: ours alone, and short. None where there can be none."""
        above = Path(tempfile.gettempdir()) / f"runner-warm-{os.getuid()}"
        folder = above / self._name
        if len(str(folder)) > 90 or not all(map(ours_alone, (above, folder))):
            return None
        return folder

    def supervise(
        self, spec: Path, environment: Mapping[str, str], folder: Path, log: int
    ) -> Supervisor | None:
        """A supervisor that holds the run of `spec`, started in `folder`. None: start one cold.

        Raises OSError when it is not known whether one was started; `spec` tells that, because
        a supervisor removes it first.
        """
        if any(name.startswith(_UNFIT) for name in environment):
            return None
        with ExitStack() as stack:
            nothing = os.open(os.devnull, os.O_RDWR)
            stack.callback(os.close, nothing)
            asked = self._asked("supervise", [str(spec)], environment, folder)
            connection = self._ask(asked, [nothing, log, log])
            if connection is None:
                self.begin(environment, folder)
                return None
            with connection:
                pid, handle = _answer(connection)
        if pid is None:
            # It cannot fork any more, and so it ends at once; another one may then begin.
            with self._lock:
                if self._started is not None:
                    with suppress(subprocess.TimeoutExpired):
                        self._started.wait(1.0)
            self.begin(environment, folder)
            return None
        return Supervisor(pid, handle)

    def begin(self, environment: Mapping[str, str], private: Path) -> None:
        """Start one in the background for runs with this environment, whose own folder is
        `private`; unless it is not kept, one begins just now, or one could not."""
        if not self.keep or not proven() or (folder := self.folder) is None:
            return
        with self._lock:
            if self._started is not None:
                status = self._started.poll()
                if status is None:
                    return
                if status > 0:  # it said why in its log; one that was killed may be started again
                    self._not_before = time.monotonic() + _AGAIN
                os.close(self._lifeline)
                self._started = None
            if time.monotonic() < self._not_before:
                return
            # What is the run's own becomes the process's own: an empty ansible.cfg, a folder.
            own = {n: v.replace(str(private), str(folder)) for n, v in environment.items()}
            own.pop("RUNNER_TASK_FACTS", None)
            own.pop(MARK, None)
            own[MARK] = "-" * 64  # last, because a fork overwrites it where it stands
            (folder / "ansible.cfg").write_bytes(b"")
            ours, self._lifeline = os.pipe()
            with open(folder / "log", "wb") as log:
                self._started = subprocess.Popen(
                    [sys.executable, "-P", str(_PARENT), str(folder), str(ours)],
                    env=own,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[ours],
                )
            os.close(ours)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        given: bytes,
        timeout: float,
    ) -> subprocess.CompletedProcess[bytes] | None:
        """What one of `PROGRAMS` says, run in the root folder. None: start the command.

        Raises subprocess.TimeoutExpired.
        """
        names = [os.path.basename(each) for each in command]
        at = next(at for at, name in enumerate(names) if name in PROGRAMS)
        if any(name.startswith(_UNFIT) for name in environment):
            return None
        with ExitStack() as stack:
            streams = []
            for name in ("in", "out", "err"):
                streams.append(os.memfd_create(name))
                stack.callback(os.close, streams[-1])
            os.write(streams[0], given)
            os.lseek(streams[0], 0, os.SEEK_SET)
            asked = self._asked(names[at], list(command[at:]), environment, Path("/"))
            connection = self._ask(asked, streams)
            if connection is None:
                return None
            with connection:
                try:
                    pid, handle = _answer(connection)
                    if pid is None:
                        return None
                    os.close(handle)
                    connection.settimeout(timeout)
                    status = int(receive(connection)["status"])
                except TimeoutError:
                    raise subprocess.TimeoutExpired(names[at], timeout) from None
                except OSError:
                    return None  # it went away; reading again does no harm
            if status == COLD:
                return None
            out, err = (os.pread(each, os.fstat(each).st_size, 0) for each in streams[1:])
        return subprocess.CompletedProcess(command, status, out, err)

    def close(self) -> None:
        """Let the process go that was started here; its forks live on."""
        with self._lock:
            if self._started is not None:
                os.close(self._lifeline)
                self._started.wait()
                self._started = None

    def _asked(
        self, what: str, arguments: list[str], environment: Mapping[str, str], folder: Path
    ) -> dict[str, object]:
        # Read, because it can be asked for only by setting it, which other threads would see.
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            umask = next((int(line[6:], 8) for line in file if line.startswith("Umask:")), 0o077)
        return {
            "do": what,
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder),
            "umask": umask,
            "surroundings": surroundings(),
        }

    def _ask(self, asked: dict[str, object], descriptors: list[int]) -> socket.socket | None:
        """A connection with the question in it; None when nobody listens, or a stranger does."""
        if not proven() or (folder := self.folder) is None:
            return None
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(folder / "socket"))
            refuse_stranger(connection)
            socket.send_fds(connection, [b"\0"], descriptors)
            send(connection, asked)
        except OSError as error:
            logger.debug("no warm process: %s", error)
            connection.close()
            return None
        return connection


def proven() -> bool:
    """Whether Ansible and this machine are such that a warm run is known to equal a cold one."""
    try:
        version = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return False
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and version in PROVEN


def _answer(connection: socket.socket) -> tuple[int | None, int]:
    """(process id, handle) of the fork; (None, -1) when it has to be cold. Raises OSError."""
    _, handles, _, _ = socket.recv_fds(connection, 1, 1)
    answer = receive(connection)
    if not handles:
        logger.info("a run is cold: %s", answer.get("cold"))
        return None, -1
    return int(answer["pid"]), handles[0]
