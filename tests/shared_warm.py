"""One warm process for all projects of a process of tests, where plays are not what is tested.

A plugin, named in tests/conftest.py. Each project would start one of its own, which costs more
than the plays of one test. Forks are as good as new, as test_warm.py and test_warm_plays.py show;
files whose promise is about Ansible itself or about crashes are played cold. Text that must not
become code is played as a project's default is, and cold in `make nightly`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.execute.warm.client import Warm
from runner.project import Project

#: Beside what runs `runner` as a program, which knows nothing of this.
COLD = (
    "test_effects.py", "test_hosts_that_go_away.py", "test_injection.py",
    "test_loaded.py", "test_snapshot.py", "test_vault.py", "test_warm_watch.py",
)  # fmt: skip


@pytest.fixture(scope="session")
def warm_of_tests() -> Iterator[Warm]:
    """Started by the first run that wants it."""
    folder = Path(tempfile.mkdtemp(prefix="runner-tests-"))
    warm = Warm(folder, keep=True)
    yield warm
    warm.close()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def shared_warm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every project of this process fork from it, unless its test is to be cold."""
    if request.node.get_closest_marker("real") and request.path.name not in COLD:
        shared = request.getfixturevalue("warm_of_tests")
        monkeypatch.setattr(Project, "warm", property(lambda project: shared))
