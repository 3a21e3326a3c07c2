"""A `runner` that ends itself with SIGKILL at a point; see tests/acceptance/crash_worker.py."""

from __future__ import annotations

import os
import signal

from runner.cli import main
from tests.acceptance import crash_worker


def program(point: str) -> str:
    """The Python that stands for `runner`, for `project.serve`."""
    return f"from tests.lab.crashing import crash; crash({point!r})"


def crash(point: str) -> None:
    """Be `runner` until the point is reached."""
    program, die = os.getpid(), crash_worker.kill

    def kill() -> None:
        os.kill(program, signal.SIGKILL)  # else it would start its worker again
        die()

    crash_worker.kill = kill
    crash_worker.around_steps(point)
    crash_worker.around_runs(point)
    main()
