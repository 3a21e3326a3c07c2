"""Storage nodes on hosts of a lab, a client that writes throughout, and a runner that works there.

The two test files of storage nodes share it: each boots a lab of its own, so they run side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab import layout, project
from tests.lab.game import Game, knowing
from tests.lab.storage import Storage, running

FIVE = (*layout.MEMBERS, *layout.SPARES)
FOUR = FIVE[:-1]  #: one spare
#: Any machine comes to this point in the end; nothing is measured by it.
PATIENCE = 1200.0
#: A disk of 32 MB fills in a minute, so everything is as fast.
NODES = {
    "group": "storage",
    "spares": "storage_spares",
    "members": 'up{job="etcd"}',
    "every": "1s",
    "window": "45s",
    "step": "1s",
    "recent": "3s",
    "warning_within": "60s",
    "critical_within": "5s",
    "signals": [
        {
            "name": "wal_fill",
            "promql": 'max by (instance) (1 - node_filesystem_avail_bytes{mountpoint="/srv/wal"}'
            ' / node_filesystem_size_bytes{mountpoint="/srv/wal"})',
            "warning": 0.8,
            "critical": 0.92,
            "unit": "of 1",
        }
    ],
    "greylist": {"join_after": "3s", "critical_after": "2s", "leave_after": "30m"},
}


class Stage:
    """A lab's cluster and what makes a runner of its project."""

    def __init__(self, storage: Storage, configuration: Path, record: Any) -> None:
        self.storage, self.configuration = storage, configuration
        self._record = record

    def hold(self, name: str) -> None:
        """Stop writing: every acknowledged write is there, and never was a voter missing."""
        self.storage.stop()
        writer = self.storage.writer
        self._record("acknowledged", len(writer.acknowledged))
        self._record("longest_gap", round(writer.longest, 2))
        print(
            f"{name}: {len(writer.acknowledged)} writes acknowledged, {writer.refused} tries "
            f"refused, longest gap {writer.longest:.2f} s, never fewer than "
            f"{self.storage.fewest} voters"
        )
        assert len(writer.acknowledged) > 100
        assert writer.lost() == []
        assert self.storage.fewest >= len(layout.MEMBERS)


@pytest.fixture
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, worker_id: str, record_property: Any
) -> Iterator[Stage]:
    """A lab with the storage hosts and the settings of runner.yml that `param` names."""
    hosts, settings = request.param
    at = layout.beside(f"{worker_id}-storage")
    with running(at, tmp_path, hosts, **settings) as (storage, configuration):
        yield Stage(storage, configuration, record_property)


@pytest.fixture
def game(stage: Stage) -> Iterator[Game]:
    """A runner that works on the stage."""
    lab = stage.storage.lab
    with ExitStack() as stack:
        stack.enter_context(project.serving(lab.layout, stage.configuration))
        found = stack.enter_context(knowing(lab, stage.configuration))
        found.patience = PATIENCE
        yield found
