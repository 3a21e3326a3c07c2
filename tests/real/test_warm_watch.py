"""What is watched, copied and compared for a run is the same when its process is warm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.daemon import Daemon
from runner.execute.warm.client import Warm
from runner.incident import Outcome, State
from tests import small_project as small
from tests.loading_project import Lab
from tests.local_hosts import needs_ansible
from tests.warm_process import is_warm, wait

pytestmark = [*needs_ansible, pytest.mark.slow]

INCLUDE = """\
- ansible.builtin.copy: {content: x, dest: "ROOT/before", mode: "0600"}
- ansible.builtin.include_role: {name: "{{ 'un' ~ 'seen' }}"}
  ignore_errors: true
- ansible.builtin.copy: {content: x, dest: "ROOT/after", mode: "0600"}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    warm = Warm(tmp_path, keep=True)
    yield replace(Lab.at(tmp_path), warm=warm)
    warm.close()


def test_a_warm_run_reports_what_it_loads_and_loads_nothing_else(lab: Lab) -> None:
    """Invariant 16: the dry run's list, the copy, and the end before what the plan lacks."""
    assert lab.warm is not None
    catalog = lab.catalog
    _, _, cold = lab.dry_run(catalog, lab.draft(catalog))
    wait(lab.warm)
    plan, _, hot = lab.dry_run(catalog, lab.draft(catalog))
    assert (is_warm(cold), is_warm(hot)) == (False, True)
    assert (hot.loaded, hot.included, hot.diff_hash) == (cold.loaded, cold.included, cold.diff_hash)
    assert hot.outcome is Outcome.CHANGED
    assert hot.loaded
    result = lab.run(catalog, plan)
    assert is_warm(result)
    assert result.outcome is Outcome.CHANGED, result.reason
    assert (lab.root / "conf").read_text() == "SHARED linux\n"
    lab.write("roles/author.role/tasks/main.yml", INCLUDE.replace("ROOT", str(lab.root)))
    lab.write("roles/unseen/tasks/main.yml", "- ansible.builtin.meta: noop\n")
    catalog = lab.catalog
    stopped = lab.run(catalog, lab.draft(catalog))
    assert is_warm(stopped)
    assert stopped.outcome is Outcome.FAILED
    unseen = lab.root / "roles/unseen/tasks/main.yml"
    assert f"it would have loaded {unseen}" in stopped.reason
    assert (lab.root / "before").exists()
    assert not (lab.root / "after").exists()


def test_dry_runs_and_runs_of_incidents_are_warm(tmp_path: Path) -> None:
    """Once the first one has started the process: from the alert to the end, as in production."""
    project = small.project(
        small.make(
            tmp_path, entry={"rehearsal": "required"}, settings={"execution": {"warm": True}}
        )
    )
    assert project.warm is not None
    project.warm.keep = True
    daemon = Daemon(project)
    daemon.start()
    try:
        small.deliver(project, small.alert())
        first = small.wait(project, 1)
        wait(project.warm)
        small.deliver(project, small.alert(host="web2"))
        second = small.wait(project, 2)
    finally:
        daemon.stop()
        project.close()
    assert [each.incident.state for each in (first, second)] == [State.FIXED, State.FIXED]
    folder = project.state / "artifacts"
    assert not is_warm(folder / first.runs[0].id)
    assert len(second.runs) >= 2
    assert all(is_warm(folder / run.id) for run in second.runs)
