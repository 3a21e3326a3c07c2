"""Real demos in processes of their own, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-c", "from runner.cli import main; main()"]
#: Long enough for a machine that does a lot besides; nothing is measured by it.
PATIENCE = 240.0

_beside = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ.get('PATH', '')}"
_missing = [
    name for name in ("supervisord", "ansible-playbook") if not shutil.which(name, path=_beside)
]
needs_programs = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(_missing) and not os.environ.get("CI"),
        reason=f"{', '.join(_missing)} is not installed; pip install -e '.[demo]'",
    ),
]


class Demo:
    """Calls `runner … demo` in `folder`; its own folder is `var/demo` in there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "var" / "demo"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        self.output = ""
        self.patience = PATIENCE

    def run(self, *words: str, **environment: str) -> int:
        """Run a demo to its end; the exit code. `output` has all that it wrote."""
        return self.call("demo", *words, **environment)

    def call(self, *words: str, **environment: str) -> int:
        """Run any command; the exit code."""
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.patience,
            check=False,
        )
        self.output = done.stdout
        return done.returncode

    @contextmanager
    def started(self, *words: str, until: str) -> Iterator[subprocess.Popen[bytes]]:
        """A demo that has written `until`. It is ended at the end of the block at the latest."""
        log = self.folder / "out.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "demo", *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await(process, log, until)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(PATIENCE)
            self.output = log.read_text()

    def _await(self, process: subprocess.Popen[bytes], log: Path, until: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while until not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        process.send_signal(number)
        return process.wait(PATIENCE)

    def left_behind(self) -> list[str]:
        """Processes that know of the folder, sockets in it, and ports that still answer."""
        return [*self._processes(), *self._sockets(), *self._ports()]

    def _processes(self) -> Iterator[str]:
        for process in psutil.process_iter():
            try:
                words, place = process.cmdline(), process.cwd()
            except psutil.Error:
                continue
            if str(self.place) in " ".join([*words, place]):
                yield f"process {process.pid}: {' '.join(words)}"

    def _sockets(self) -> Iterator[str]:
        return (f"socket {path}" for path in self.place.rglob("*") if path.is_socket())

    def _ports(self) -> Iterator[str]:
        import re

        settings = (self.place / "runner.yml").read_text()
        for port in set(re.findall(r"127\.0\.0\.1:(\d+)|port: (\d+)", settings)):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", int("".join(port)))) == 0:
                    yield f"port {''.join(port)}"
