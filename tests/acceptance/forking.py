"""Has the crash worker imported once, and forks one for each call: `python -m …forking`.

For each line of JSON on standard input, the words of a call and two files for its output, a fork
is the worker; its status is printed when it has ended. Only the start of Python is saved.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


class Forking:
    """The process that forks, for one call at a time."""

    def __init__(self) -> None:
        self._process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.forking"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
        )

    def run(self, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        """What came of a worker. Fails when it takes longer than that, and ends it."""
        if self._process.poll() is not None:
            self._process = self._started()
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            said = [Path(folder, name) for name in ("out", "err")]
            print(json.dumps([*words, *map(str, said)]), file=self._process.stdin, flush=True)
            late = threading.Timer(seconds, os.killpg, (self._process.pid, signal.SIGKILL))
            late.start()
            answer = self._process.stdout.readline()
            late.cancel()
            assert answer, f"{words} took longer than {seconds} s"
            out, err = (path.read_text() for path in said)
        return subprocess.CompletedProcess(words, int(answer), out, err)


@cache
def forking() -> Forking:
    """One for each process of tests; it ends with its standard input."""
    return Forking()


def main() -> None:
    from tests.acceptance import crash_worker

    for line in sys.stdin:
        config, point, out, err = json.loads(line)
        pid = os.fork()
        if pid == 0:
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
            crash_worker.main(Path(config), point)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
