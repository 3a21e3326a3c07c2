"""Several workers on one PostgreSQL, one of which is killed: each host has one run at a time."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner.incident import Purpose, Run, State
from runner.project import Project
from runner.store import deliveries, incidents, runs
from runner.store.tables import runs as rows
from runner.store.tables import workers
from tests import small_project as small
from tests.acceptance.service_lab import soon
from tests.acceptance.test_faults import process
from tests.once import once
from tests.reliability.record import Injected

pytestmark = [pytest.mark.real, pytest.mark.slow]

HOSTS = ("web1", "web2", "db1")
SETTINGS = {
    "correlation": {"same_host": False, "topology": "runner_nothing"},
    "policy": {"max_runs": "1000/1h", "min_fidelity": 0},
    "verification": {"poll": "1s"},
}
ENTRY = {"dry_run": "none", "limits": {"cooldown": "0s", "timeout": "60s", "max_runs": "1000/1h"}}
#: The host itself sees to it too: a second run at the same time fails.
ALONE = (
    "mkdir {root}/busy-{{{{ inventory_hostname }}}} && echo {{{{ mark_text | quote }}}} >> "
    "{root}/ran && sleep 0.3 && rmdir {root}/busy-{{{{ inventory_hostname }}}}"
)


@pytest.mark.fault("takeover")
@pytest.mark.parametrize("wanted", once(12, 30))
def test_three_workers_of_which_one_is_killed(
    tmp_path: Path, postgres: Any, fault: Injected, wanted: int
) -> None:
    """Invariants 1, 2 and 3: each incident ends, no playbook twice, no two runs on a host."""
    settings = SETTINGS | {"store": {"url": postgres.new_store()}}
    extra = ALONE.format(root=tmp_path)
    config = small.make(tmp_path, settings=settings, entry=ENTRY, extra=extra)
    alerts = [
        small.alert(host=HOSTS[number % 3], service=f"shop-{number}") for number in range(wanted)
    ]
    with ExitStack() as stack:
        project = stack.enter_context(closing(small.project(config)))
        first = stack.enter_context(process(config))
        name = worker_of(project)
        for _ in range(2):
            stack.enter_context(process(config))
        for alert in alerts:  # one by one, because whoever looks first takes all there is
            small.deliver(project, alert)
            soon(lambda: waiting(project) == 0, "it is admitted")
        soon(lambda: runs_now(project, name), "the first worker runs a playbook", 90)
        first.send_signal(signal.SIGKILL)
        soon(lambda: ended(project) == wanted, "every incident ends", 240)
        count(fault, project, tmp_path, wanted)
        is_sound(project, tmp_path, wanted)


def count(fault: Injected, project: Project, root: Path, wanted: int) -> None:
    """One kill among many incidents."""
    fault.failure()
    fault.alerts(told=wanted, found=ended(project))
    with project.database.read() as tx:
        fault.ended(*(found.state for found in incidents.find(tx, limit=1000)))
    fault.runs(*Counter((root / "ran").read_text().split()).values())


def worker_of(project: Project) -> str:
    with project.database.read() as tx:
        return str(tx.execute(sa.select(workers.c.id)).scalar_one())


def runs_now(project: Project, worker: str) -> bool:
    """Whether it is in the middle of a real run, and others have been through."""
    query = sa.select(rows.c.id).where(
        rows.c.worker == worker, rows.c.outcome.is_(None), rows.c.purpose == Purpose.REMEDIATION
    )
    with project.database.read() as tx:
        return tx.execute(query).first() is not None and ended_in(tx) >= 3


def waiting(project: Project) -> int:
    with project.database.read() as tx:
        return deliveries.waiting(tx)


def ended(project: Project) -> int:
    with project.database.read() as tx:
        return ended_in(tx)


def ended_in(tx: sa.Connection) -> int:
    return len(incidents.find(tx, ended=True, limit=1000))


def is_sound(project: Project, root: Path, wanted: int) -> None:
    with project.database.read() as tx:
        found = incidents.find(tx, limit=1000)
        every = [run for incident in found for run in runs.of_incident(tx, incident.id)]
        by = {row.id: row.worker for row in tx.execute(sa.select(rows.c.id, rows.c.worker))}
    states = {incident.id: (incident.state, incident.reason) for incident in found}
    # Killed in the instant between intent and start, one cannot be proven not to have run.
    lost = [each for each in states.values() if each[0] is not State.FIXED]
    assert len(lost) <= 1 and all("Unknown" in reason for _, reason in lost), lost
    for host in HOSTS:
        alone([run for run in every if host in run.hosts])
    assert len(set(by.values())) == 3, "not every worker worked"
    ran = (root / "ran").read_text().split()
    assert len(ran) == len(set(ran)), "a playbook ran twice"
    assert len(ran) >= wanted - len(lost)


def alone(of_host: list[Run]) -> None:
    """No run begins before the one before it has ended; dry runs and probes too."""
    for before, after in pairwise(sorted(of_host, key=lambda run: run.started_at)):
        assert before.ended_at is not None and before.ended_at <= after.started_at
