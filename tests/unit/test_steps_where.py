"""What the path makes of an alert whose host, or whose unit, no label names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.errors import UsageError
from runner.incident import Incident, Level, State
from runner.plan import draft
from runner.project import Project
from runner.steps.decide import decide
from runner.steps.gather import gather
from runner.steps.judge import situation_of
from runner.steps.locate import locate
from runner.store import incidents
from tests import small_project as small
from tests.store.test_daemon import admitted
from tests.unit.test_steps_series import Answers

ENTRY = {"parameters": {"mark_text": {"from": "services"}}}
SERVICES = {
    "shop": {"unit": "shop.service", "hosts": ["web1"], "alerts": ["Down"]},
    "other": {"unit": "other.service", "hosts": ["web2"], "started_by": "patroni"},
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    inventory: dict[str, Any] = {"all": {**small.INVENTORY["all"]}}
    inventory["all"]["vars"] = inventory["all"]["vars"] | {"runner_services": SERVICES}
    made = small.project(small.make(tmp_path, entry=ENTRY, inventory=inventory))
    yield made
    made.close()


def decided(project: Project, *, host: str, **labels: str) -> Incident:
    admitted(project, small.alert(host=host, **labels))
    for step in (locate, gather, decide):
        step(project, 1)
    with project.database.read() as tx:
        return incidents.get(tx, 1)


def test_an_entry_gets_the_unit_that_the_table_says(project: Project) -> None:
    incident = decided(project, host="web1", service="")
    assert (incident.state, incident.entry) == (State.DECIDED, "mark")
    entry = project.catalog.get("mark")
    plan = draft(incident, entry, project.catalog, project.inventory())
    assert plan.variables == {"mark_text": "shop.service"}


def test_an_entry_whose_unit_is_not_known_is_not_chosen(project: Project) -> None:
    """Never the first service of a host, and a person reads why."""
    incident = decided(project, host="web2", service="other")
    assert (incident.state, incident.entry) == (State.ESCALATED, None)
    assert "mark cannot be chosen" in incident.reason
    assert "other is started by patroni" in incident.reason


def test_a_person_may_name_the_unit_by_hand(project: Project) -> None:
    with pytest.raises(UsageError, match="needs a value for mark_text: give it with -p"):
        acts.request_run(
            project, entry="mark", hosts=["web2"], values={}, by="user:ann", ceiling=Level.DRY_RUN
        )
    number = acts.request_run(
        project,
        entry="mark",
        hosts=["web2"],
        values={"mark_text": "backup.service"},
        by="user:ann",
        ceiling=Level.DRY_RUN,
    )
    with project.database.read() as tx:
        incident = incidents.get(tx, number)
    plan_of = incident.requested_values
    assert plan_of == {"mark_text": "backup.service"}


def test_a_host_that_only_a_series_names_needs_a_person(project: Project) -> None:
    """Invariant 8: whoever writes a metric may at most have a person look."""
    known = Answers({"ceph_osd_metadata": [{"hostname": "web1"}]})
    project.__dict__["prometheus"] = known
    admitted(project, small.alert(host="unknown", ceph_daemon="osd.1"))
    assert locate(project, 1)
    with project.database.read() as tx:
        incident = incidents.get(tx, 1)
    assert incident.hosts == ("web1",)
    project.__dict__["prometheus"] = None
    found = situation_of(project, incident, project.catalog.get("mark"))
    assert found.other_hosts == ("No label of the alert names web1 itself",)
