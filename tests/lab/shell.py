"""Programs of the machine, called with a sentence when they fail."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something of the lab does not work; the text says what, and what to do."""


def call(*command: str | Path, check: bool = True, text: str = "", seconds: float = 120) -> str:
    """What the program prints. Raises LabError with its last words when it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed; run `make lab-system` as root") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(map(str, command))} did not end in {seconds:.0f} s") from None
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise LabError(f"{' '.join(map(str, command))} failed: {said}")
    return done.stdout


def missing(programs: Sequence[str]) -> list[str]:
    """Those of the programs that are not installed; administrators' folders are searched too."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return [program for program in programs if shutil.which(program, path=path) is None]


def enter(namespace: Path | str) -> None:
    """Move this thread, and those that it starts from now on, into a network namespace."""
    handle = os.open(namespace, os.O_RDONLY)
    try:
        if _libc.setns(handle, _CLONE_NEWNET):
            raise LabError(f"{namespace} cannot be entered: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """This thread in a network namespace, for the time of the block."""
    here = f"/proc/self/fd/{(own := os.open('/proc/thread-self/ns/net', os.O_RDONLY))}"
    try:
        enter(namespace)
        yield
    finally:
        enter(here)
        os.close(own)


def inhabitants(namespace: Path) -> list[int]:
    """The processes that live in a network namespace, this one left out."""
    try:
        wanted = namespace.stat().st_ino
    except OSError:
        return []
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/net").stat().st_ino == wanted and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def end(find: Callable[[], Iterable[int]]) -> None:
    """Kill the processes that are found, and look again until all that are found are dead."""
    deadline = time.monotonic() + 10
    while (found := [process for process in find() if _lives(process)]) and (
        time.monotonic() < deadline
    ):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _lives(process: int) -> bool:
    """Whether it still holds anything: a zombie holds nothing but its number."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
