"""A lab from its first process to its last: up, down, and what a crashed one left behind."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tests.lab import authority, cgroups, containers, host, image, layout, lxcfs, shell, watch
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call, inhabitants, missing

#: A host without watchers left ends while it boots, and says so nowhere.
_WATCHERS, _ENOUGH = Path("/proc/sys/fs/inotify/max_user_instances"), 1024
_PROGRAMS = (
    "ip",
    "lxcfs",
    "mmdebstrap",
    "nsenter",
    "openssl",
    "ssh",
    "ssh-keygen",
    *watch.PROGRAMS,
)


def obstacle() -> str:
    """Why no lab can run here, whatever is installed, as a sentence; empty when one can."""
    if os.geteuid() != 0:
        return "the lab needs root, for network namespaces and containers"
    if not Path("/dev/fuse").exists():
        return "the lab needs /dev/fuse, for lxcfs"
    try:
        call("unshare", "--net", "--mount", "true")
    except LabError as error:
        return f"the lab needs network and mount namespaces of its own: {error}"
    return ""


def lacking() -> str:
    """Which programs of the lab are not installed, as a sentence; empty when all are."""
    absent = missing((*containers.chosen().PROGRAMS, *_PROGRAMS))
    installs = "`make lab-system` installs them on Debian"
    return f"the lab needs {', '.join(absent)}; {installs}" if absent else ""


class Lab:
    """A running lab. `close` leaves nothing; after a crash, the next start clears up."""

    def __init__(self, at: Layout, hosts: Sequence[str], tell: Callable[[str], None]) -> None:
        """Raises LabError; what was started by then is removed."""
        if why := obstacle() or lacking():
            raise LabError(why)
        self.layout = at
        self.hosts: list[str] = []
        self._tell = tell
        self._lock = _claim(at)
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            if remove(at):
                tell("removed what an earlier lab had left behind")
            self._image = image.ready(tell)
            self._start(hosts)
        except BaseException:
            self.close()
            raise

    def _start(self, hosts: Sequence[str]) -> None:
        began = time.monotonic()
        _raise_limit()
        self.layout.state.mkdir(parents=True)
        self._network()
        self._keys()
        self._processes.append(lxcfs.start(self.layout))
        self._processes += watch.start(self.layout, secrets.token_hex(16))
        self.boot(*hosts)
        watch.wait(self.layout)
        self._tell(f"{len(self.hosts)} hosts and monitoring in {time.monotonic() - began:.1f} s")

    def boot(self, *hosts: str) -> None:
        """Boot hosts together, wait until their units run, and have them watched."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._boot, hosts))
            self.hosts += hosts
            list(pool.map(self._settle, hosts))
        watch.watch(self.layout, self.hosts)

    def _boot(self, name: str) -> None:
        folder = self.layout.upper(name) / "etc/ssl/lab"
        folder.mkdir(parents=True)
        authority.certify(self.layout, name, folder)
        host.boot(self.layout, self._image, name)
        host.wait(self.layout, name)

    def _settle(self, name: str) -> None:
        # A part of the storage cluster has no quorum: its members start for ever.
        if name not in layout.MEMBERS or set(layout.MEMBERS) <= set(self.hosts):
            host.settle(self.layout, name)

    def power_off(self, name: str) -> None:
        """Cut a host's power; it stays in the inventory, and its disk stays too."""
        host.stop(self.layout, name)

    def power_on(self, name: str) -> None:
        """Boot a host whose power was cut, until its units run."""
        host.start(self.layout, name)
        host.wait(self.layout, name)
        self._settle(name)

    def run(self, name: str, *command: str, check: bool = True, text: str = "") -> str:
        """What a command on a host prints, without SSH."""
        return host.run(self.layout, name, *command, check=check, text=text)

    def link(self, name: str) -> str:
        """What the control namespace knows of its end of a host's cable."""
        return call("ip", "-n", self.layout.id, "link", "show", "dev", layout.interface(name))

    def _network(self) -> None:
        namespace = self.layout.id
        call("ip", "netns", "add", namespace)
        call("ip", "-n", namespace, "link", "set", "lo", "up")
        call("ip", "-n", namespace, "link", "add", "br0", "type", "bridge")
        address = f"{layout.GATEWAY}/{layout.PREFIX}"
        call("ip", "-n", namespace, "addr", "add", address, "dev", "br0")
        call("ip", "-n", namespace, "link", "set", "br0", "up")

    def _keys(self) -> None:
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", self.layout.key)
        authority.found(self.layout)
        (self.layout.state / "ssh").mkdir(mode=0o700)

    def close(self) -> None:
        """End and remove everything."""
        remove(self.layout)
        for process in self._processes:
            process.kill()
            process.wait()
        self._lock.close()


def _raise_limit() -> None:
    """Let the machine's root have watchers for some twenty hosts; each takes about seven."""
    if int(_WATCHERS.read_text()) < _ENOUGH:
        try:
            _WATCHERS.write_text(str(_ENOUGH))
        except OSError as error:
            raise LabError(f"{_WATCHERS} cannot be raised to {_ENOUGH}: {error}") from None


@contextmanager
def claimed(at: Layout) -> Iterator[None]:
    """The lock of a lab for the time of the block. Raises LabError when one lives."""
    with _claim(at):
        yield


def _claim(at: Layout) -> TextIO:
    """The lock that a living lab holds. Raises LabError when there is one."""
    at.state.parent.mkdir(parents=True, exist_ok=True)
    lock = at.state.with_name(f"{at.state.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LabError(
            f"a lab runs in {at.state} already; end it, or name another folder in RUNNER_LAB_STATE"
        ) from None
    return lock


def remove(at: Layout) -> bool:
    """Remove a lab, whole or in pieces; whether there was anything."""
    there = at.state.exists() or at.namespace.exists()
    for way in containers.WAYS.values():
        way.remove(at)
    shell.end(lambda: inhabitants(at.namespace))
    call("ip", "netns", "delete", at.id, check=False)
    lxcfs.remove(at)
    cgroups.forget(lambda: cgroups.of_lab(at))
    shutil.rmtree(at.state, ignore_errors=True)
    return there


@contextmanager
def running(
    hosts: Sequence[str] = layout.DEFAULT,
    at: Layout | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Lab]:
    """A lab for the time of the block; Ctrl-C, SIGTERM and SIGHUP end it in order too."""
    _on_signal(_interrupt)
    made = Lab(at or layout.default(), hosts, tell)
    try:
        yield made
    finally:
        _on_signal(signal.SIG_IGN)  # a second Ctrl-C must not cut the clearing up short
        made.close()
        _on_signal(_interrupt)


def _on_signal(act: Callable[..., None] | signal.Handlers) -> None:
    """What ends a program does this instead; only the main thread may say so."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, act)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
