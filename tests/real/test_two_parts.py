"""Two services of one host are handled at one time, each by a real play of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.daemon import Daemon
from runner.incident import Purpose, State
from tests import small_project as small

pytestmark = pytest.mark.real

SERVICES = {"nginx": {"unit": "nginx"}, "redis": {"unit": "redis.service"}}
ENTRY = {
    "parameters": {"mark_text": {"from": "services"}},
    "target": {"part": "unit mark_text", "exclusive": "part"},
    "dry_run": "none",
}
#: Each play waits until the other one has begun, and fails when it never does.
MEETS = (
    "touch {root}/here-{{{{ mark_text }}}}; for i in $(seq 300); do "
    "test $(ls {root}/here-* | wc -l) -ge 2 && exit 0; sleep 0.1; done; exit 1"
)


def test_runs_on_two_parts_of_a_host_meet_there(tmp_path: Path) -> None:
    """Invariant 3: both entries declare it, and the inventory lists both units."""
    everywhere = small.INVENTORY["all"]["vars"] | {"runner_services": SERVICES}
    path = small.make(
        tmp_path,
        entry=ENTRY,
        extra=MEETS.format(root=tmp_path),
        inventory={"all": {**small.INVENTORY["all"], "vars": everywhere}},
    )
    project = small.project(path)
    daemon = Daemon(project)
    daemon.start()
    try:
        # What the sender calls the service is the same, and the units tell them apart.
        small.deliver(
            project,
            small.alert(service="shop", name="Down", unit="nginx.service"),
            small.alert(service="shop", name="Down", unit="redis.service"),
        )
        found = [small.wait(project, number) for number in (1, 2)]
    finally:
        daemon.stop()
        project.close()
    assert [(one.incident.state, one.incident.part) for one in found] == [
        (State.FIXED, "unit nginx.service"),
        (State.FIXED, "unit redis.service"),
    ], [one.incident.reason for one in found]
    first, second = ([r for r in one.runs if r.purpose is Purpose.REMEDIATION] for one in found)
    assert first[0].hosts == second[0].hosts == ("web1",)
    said = [row.reason for row in found[0].transitions if row.action == State.RUNNING]
    assert said == ["mark on unit nginx.service of web1, attempt 1"]
