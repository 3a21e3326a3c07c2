"""A warm process for tests: started, waited for, and ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.execute.request import RunResult
from runner.execute.run import run
from runner.execute.warm.client import Warm
from tests.local_hosts import Lab


@contextmanager
def keeper(lab: Lab, **given: Any) -> Iterator[Warm]:
    """One that a cold run with what is `given` has started, once it answers."""
    warm = Warm(lab.folder, keep=True)
    try:
        start(lab, warm, **given)
        yield warm
    finally:
        warm.close()


def start(lab: Lab, warm: Warm, **given: Any) -> None:
    """A run that finds no warm process and starts one; return once that one listens."""
    result = run(lab.request(lab.play("- ansible.builtin.debug:"), **given), warm=warm)
    assert not is_warm(result)
    wait(warm)


def wait(warm: Warm) -> None:
    """Until it listens."""
    until = time.monotonic() + 60
    while not socket_of(warm).exists():
        assert time.monotonic() < until, (socket_of(warm).parent / "log").read_text()
        time.sleep(0.05)


def socket_of(warm: Warm) -> Path:
    """Where it listens."""
    assert warm.folder is not None
    return warm.folder / "socket"


def is_warm(run: RunResult | Path) -> bool:
    """Whether its Ansible was a fork; a run is its result or its folder."""
    folder = run if isinstance(run, Path) else run.artifacts
    return bool(json.loads((folder / "ending.json").read_text())["warm"])
