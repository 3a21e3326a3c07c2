"""`runner serve` as three processes: one that takes requests, one that works, one that waits.

Ansible and the engine keep a processor busy for seconds; a delivery must be acknowledged in
milliseconds. So whoever answers requests shares no interpreter with whoever works. The first
process reads the project, takes the port and forks the two; they share with it what was read.
It has one thread, so it may fork again: one that ends is started again. They end with it.
"""

from __future__ import annotations

import gc
import logging
import mmap
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

logger = logging.getLogger(__name__)

#: Seconds until one that ended is started again: long enough for probes to see that it is away.
PAUSE = 1.0
#: The same for one that lived for less than SHORT_LIFE seconds.
LONG_PAUSE, SHORT_LIFE = 10.0, 5.0
#: Seconds for both to end, once they are told to; each of them has its own limit below that.
STOP_WITHIN = 9.0
NAMES = ("web", "worker")
STOPS = (signal.SIGTERM, signal.SIGINT)


class Link:
    """What the two know of each other: whether each is ready, and a pipe that wakes the worker."""

    def __init__(self) -> None:
        self._ready = mmap.mmap(-1, len(NAMES))
        self._rings, self._bell = os.pipe()
        os.set_blocking(self._bell, False)

    def is_ready(self, name: str) -> bool:
        """Whether this one of `NAMES` does what it is for."""
        return self._ready[NAMES.index(name)] == 1

    def mark(self, name: str, *, ready: bool) -> None:
        """Say whether it does, for all three processes."""
        self._ready[NAMES.index(name)] = int(ready)

    def wake(self) -> None:
        """There is something new for the worker."""
        with suppress(BlockingIOError):  # it has not yet looked at what came before
            os.write(self._bell, b"\0")

    def call_when_woken(self, call: Callable[[], None]) -> None:
        """In the worker: have this called whenever the web process has something new."""

        def listen() -> None:
            while os.read(self._rings, 4096):
                call()

        threading.Thread(target=listen, name="bell", daemon=True).start()


class Pair:
    """The web process and the worker, each a function that returns its exit code at the stop.

    `let_go` is called at the stop, by the first process.
    """

    def __init__(
        self,
        link: Link,
        *,
        web: Callable[[], int],
        work: Callable[[], int],
        let_go: Callable[[], None],
    ) -> None:
        self._link, self._let_go = link, let_go
        self._do = dict(zip(NAMES, (web, work), strict=True))
        self._alive: dict[int, str] = {}
        self._began: dict[str, float] = {}
        self._lifeline, self._held = os.pipe()
        self._told = False  #: to stop

    def run(self) -> int:
        """Keep both alive until this process is told to stop; the exit code.

        Comes back in the two as well, with what their functions return or raise.
        """
        self._heed_signals()
        gc.set_threshold(700)  # as Python has it, for what lives long
        gc.collect()
        gc.freeze()  # what no collector touches stays shared
        due, worked = dict.fromkeys(NAMES, 0.0), set[str]()
        while not self._told:
            for name in [name for name, at in due.items() if time.monotonic() >= at]:
                del due[name]
                if self._fork(name) == 0:
                    return self._do[name]()
            self._wait(0.2 if due else 3600.0)
            for name, code in self._ended():
                worked |= {name} if self._link.is_ready(name) else set()
                if name not in worked:  # it could not begin, and said why
                    self._stop()
                    return code if code > 0 else 1
                if not self._told:
                    logger.error("the %s process has ended (%s); it is started again", name, code)
                self._link.mark(name, ready=False)
                lived = time.monotonic() - self._began[name]
                due[name] = time.monotonic() + (PAUSE if lived > SHORT_LIFE else LONG_PAUSE)
        return self._stop()

    def _heed_signals(self) -> None:
        """Have every signal end `_wait`."""
        self._signalled, theirs = os.pipe()
        for end in (self._signalled, theirs):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(theirs)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOPS:
            signal.signal(number, self._be_told)

    def _be_told(self, *_: object) -> None:
        if self._told:  # a second time: nobody waits for anything any more
            self._signal(signal.SIGKILL)
            os._exit(130)
        self._told = True

    def _wait(self, seconds: float) -> None:
        if select.select([self._signalled], [], [], seconds)[0]:
            os.read(self._signalled, 512)

    def _fork(self, name: str) -> int:
        """0 in the new process."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # In between, our handler would take a signal to the new process for one to this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        pid = os.fork()
        if pid:
            self._alive[pid], self._began[name] = name, time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            return pid
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first one decides
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.close(self._held)

        def end_with_parent() -> None:
            os.read(self._lifeline, 1)
            os._exit(1)

        threading.Thread(target=end_with_parent, name="lifeline", daemon=True).start()
        return 0

    def _ended(self) -> Iterator[tuple[str, int]]:
        """Name and exit code of those that ended; negative for a signal."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if name := self._alive.pop(found[0], ""):
                    yield name, os.waitstatus_to_exitcode(found[1])

    def _stop(self) -> int:
        """Have both end; the worst of their exit codes."""
        self._let_go()
        self._signal(signal.SIGTERM)
        late, worst = time.monotonic() + STOP_WITHIN, 0
        while self._alive and time.monotonic() < late:
            self._wait(0.2)
            worst = max([worst, *(code for _, code in self._ended())])
        self._signal(signal.SIGKILL)
        return worst

    def _signal(self, number: int) -> None:
        for pid in self._alive:
            os.kill(pid, number)  # nobody has waited for it yet, so the number is still its own
