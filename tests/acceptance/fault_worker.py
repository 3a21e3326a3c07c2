"""A worker process: `fault_worker.py RUNNER_YML [MOMENT [ACT]]`; works until it is ended.

At MOMENT it does ACT to itself: `freeze` (SIGSTOP, until somebody sends SIGCONT) or `kill`.
RUNNER_TEST_VERSION is the release that it takes itself for.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import runner

runner.__version__ = os.environ.get("RUNNER_TEST_VERSION", runner.__version__)

from runner.daemon import Daemon  # noqa: E402
from runner.project import Project  # noqa: E402
from tests.acceptance.moments import Moments  # noqa: E402

SIGNALS = {"freeze": signal.SIGSTOP, "kill": signal.SIGKILL}


def end(act: str) -> None:
    os.kill(os.getpid(), SIGNALS[act])
    time.sleep(1)  # the signal may take a moment; nothing may happen in it


def main(config: Path, moment: str = "", act: str = "kill") -> None:
    Moments(moment, partial(end, act))
    Daemon(Project.load(config)).start()
    print("works", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
