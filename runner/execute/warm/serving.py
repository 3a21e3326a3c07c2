"""The loop of the warm process: one question after the other, a fork for each."""

from __future__ import annotations

import ctypes
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from runner.execute.warm import child
from runner.execute.warm.client import COLD, MARK
from runner.execute.warm.loaded import Loaded
from runner.execute.warm.surroundings import surroundings

IDLE = 600.0  #: seconds without a fork, and without a living one, after which it ends
PATIENCE = 2.0  #: seconds that a question may take to be put
LONGEST_MARK = 64
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def mark() -> int:
    """Where the run's id stands in what this process was started with. Raises SystemExit."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    address = libc.getenv(MARK.encode())
    if len(os.environ.get(MARK, "")) != LONGEST_MARK or not address:
        sys.exit(f"{MARK} must be given, {LONGEST_MARK} characters of it")
    return int(address)


class Parent:
    """The loop, and what it holds."""

    def __init__(self, folder: Path, lifeline: int, loaded: Loaded, mark: int) -> None:
        self._folder, self._loaded, self._mark = folder, loaded, mark
        self._environment = dict(os.environ)
        self._surroundings = surroundings()
        self._lifeline = lifeline
        self._selector = selectors.DefaultSelector()
        self._notes, self._note = os.pipe()
        #: pidfd of a living fork → (its pid, who waits for its status)
        self._forks: dict[int, tuple[int, socket.socket | None]] = {}
        self._over = False

    def serve(self) -> None:
        """Answer until it is time to end."""
        path = self._folder / "socket"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            path.chmod(0o600)
            listening.listen(16)
            self._selector.register(listening, selectors.EVENT_READ, self._accept)
            self._selector.register(self._lifeline, selectors.EVENT_READ, self._end)
            self._selector.register(self._notes, selectors.EVENT_READ, self._end)
            since = time.monotonic()
            try:
                while not self._over:
                    ready = self._selector.select(IDLE / 20)
                    if ready or self._forks:
                        since = time.monotonic()
                    elif time.monotonic() - since >= IDLE:
                        return
                    for key, _ in ready:
                        key.data(key.fileobj)
            finally:
                path.unlink(missing_ok=True)

    def _end(self, pipe: int) -> None:
        """Whoever started this process is gone, or a fork says why it had to run cold, because of
        what this process is: another one must take over."""
        if note := os.read(pipe, 4096):
            print(note.decode(errors="replace"), file=sys.stderr, flush=True)
        self._over = True

    def _accept(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.settimeout(PATIENCE)
        descriptors: list[int] = []
        try:
            answer, asked = self._judge(connection, descriptors)
            if asked is None:
                connection.sendall(b"\0")
                child.send(connection, answer)
                connection.close()
                return
            waits = None if asked["do"] == "supervise" else connection
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                try:
                    self._be(asked, descriptors, parent)
                finally:
                    os._exit(1)  # whatever happens, a fork never comes back to this loop
            handle = os.pidfd_open(pid)
            self._forks[handle] = pid, waits
            self._selector.register(handle, selectors.EVENT_READ, self._reap)
            socket.send_fds(connection, [b"\0"], [handle])
            child.send(connection, {"pid": pid})
            if waits is None:
                connection.close()
            else:
                self._selector.register(connection, selectors.EVENT_READ, self._hang_up)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"a question was dropped: {error}", file=sys.stderr, flush=True)
            connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _judge(
        self, connection: socket.socket, descriptors: list[int]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """(why not, nothing) or (nothing, what to fork)."""
        child.refuse_stranger(connection)
        _, found, _, _ = socket.recv_fds(connection, 1, 3)
        descriptors.extend(found)
        asked = child.receive(connection)
        if asked["surroundings"] != self._surroundings:
            return {"cold": "the warm process lives in other surroundings"}, None
        if len(descriptors) != 3:
            raise OSError("three descriptors are needed")
        if changed := self._loaded.changed():
            self._over = True
            return {"cold": f"{changed} changed"}, None
        if len(os.listdir("/proc/self/task")) != 1:
            self._over = True
            return {"cold": "it has a second thread"}, None
        return {}, asked

    def _reap(self, handle: int) -> None:
        pid, waits = self._forks.pop(handle)
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(handle)
        os.close(handle)
        if waits is not None:
            self._selector.unregister(waits)
            with suppress(OSError):  # nobody waits any more
                child.send(waits, {"status": os.waitstatus_to_exitcode(status)})
            waits.close()

    def _hang_up(self, connection: socket.socket) -> None:
        """Nobody waits for this command any more: it ends, and what it started in its group."""
        self._selector.unregister(connection)
        connection.close()
        for handle, (pid, waits) in self._forks.items():
            if waits is connection:
                self._forks[handle] = pid, None
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _be(self, asked: dict[str, Any], descriptors: list[int], parent: int) -> NoReturn:
        """In the fork: a supervisor, or one of the commands."""
        os.setsid()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        child.default_signals()
        os.umask(asked["umask"])
        if asked["do"] != "supervise":
            child.close_all(keep=set())
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, 9, 0, 0, 0)
            if os.getppid() != parent:  # it died before that
                os._exit(1)
            child.finish(lambda: _command(asked, self._environment))
        note = os.dup2(self._note, 3)
        child.close_all(keep={note})
        os.set_inheritable(note, False)

        def supervise() -> None:
            from runner.execute import supervisor

            environment = asked["environment"]
            # Write the run's id where others find it: in what this process was started with.
            text = environment[MARK].encode()
            if len(text) > LONGEST_MARK:
                raise ValueError("the run's id is too long")
            ctypes.memset(self._mark, 0, LONGEST_MARK)
            ctypes.memmove(self._mark, text, len(text))
            child.take_over(environment, asked["folder"])
            before = self._environment
            supervisor.main(
                Path(asked["arguments"][0]),
                lambda: child.Playing(before, lambda why: os.write(note, why.encode())),
            )
            sys.stdout.flush()
            os._exit(0)

        child.finish(supervise)


def _command(asked: Mapping[str, Any], before: Mapping[str, str]) -> Any:
    """Be one of the programs that have Ansible; 250 when only a cold process can."""
    try:
        child.settle(
            asked["environment"], asked["folder"], before=before, may_differ=child.OF_PLAYS
        )
    except child.Differs as why:
        print(why, file=sys.stderr)
        return COLD
    sys.argv = asked["arguments"]
    if asked["do"] == "ansible-inventory":
        from ansible.cli.inventory import main

        return main()
    runpy.run_path(sys.argv[0], run_name="__main__")  # a program of the runner's own
    return 0
