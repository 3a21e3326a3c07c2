"""A `runner` that ends itself with SIGKILL at a point; see tests/acceptance/crash_worker.py."""

from __future__ import annotations

from runner.cli import main
from tests.acceptance.crash_worker import around_runs, around_steps


def program(point: str) -> str:
    """The Python that stands for `runner`, for `project.serve`."""
    return f"from tests.lab.crashing import crash; crash({point!r})"


def crash(point: str) -> None:
    """Be `runner` until the point is reached."""
    around_steps(point)
    around_runs(point)
    main()
