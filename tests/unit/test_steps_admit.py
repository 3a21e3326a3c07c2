"""Whether an alert is still ours when its turn comes, and which labels name other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner import config
from runner.catalog.entry import Entry
from runner.errors import RemoteError
from runner.incident import Incident, Level, State
from runner.intake.alertmanager import Alertmanagers, AlertState, Standing
from runner.intake.payload import parse
from runner.inventory import Host, Inventory
from runner.project import Project
from runner.steps.locate import NOT_LISTED, admit
from runner.steps.other_hosts import other_hosts
from runner.steps.progress import Then
from runner.store import incidents, tables
from tests import small_project as small
from tests.policy_case import entry


class Asked:
    """An Alertmanager that holds every alert in one way; None: it does not answer."""

    def __init__(self, standing: Standing | None) -> None:
        self.standing = standing

    def state_of(self, *_: Any, **__: Any) -> AlertState:
        if self.standing is None:
            raise RemoteError("Alertmanager does not answer.")
        return AlertState(standing=self.standing, reason="It is so.", starts_at=datetime.now(UTC))

    def close(self) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Project]:
    project = small.project(small.make(tmp_path))
    yield project
    project.close()


def opened(project: Project, *, late: bool) -> int:
    (alert,) = parse(small.body(small.alert())).alerts
    with project.database.write() as tx:
        return incidents.open_incident(
            tx,
            replace(alert, late=late),
            environment="test",
            ceiling=Level.AUTO,
            reason="fires",
        )


def kept(project: Project, number: int) -> Incident:
    with project.database.read() as tx:
        return incidents.get(tx, number)


@pytest.mark.parametrize(
    ("standing", "goes_on", "late"),
    [
        (Standing.ABSENT, False, True),
        (Standing.SILENCED, False, True),
        (Standing.FIRING, True, False),
        (Standing.UNPROCESSED, True, True),
        (None, True, True),
    ],
)
def test_a_late_firing_is_checked_with_alertmanager(
    made: Project, standing: Standing | None, goes_on: bool, late: bool
) -> None:
    """Invariant 18: what is not listed there runs nothing; what is, is as good as any other;
    while nobody can say, it goes on and a person is asked."""
    made.__dict__["alertmanagers"] = Asked(standing)
    number = opened(made, late=True)
    assert admit(made, number) is Then(goes_on)
    assert kept(made, number).alert.late is late
    if standing is Standing.ABSENT:
        assert (kept(made, number).state, kept(made, number).reason) == (State.RESOLVED, NOT_LISTED)


def test_an_alert_that_is_not_late_is_not_ended_by_a_list_without_it(made: Project) -> None:
    """Rule 7: the pre-flight asks again before anything runs."""
    made.__dict__["alertmanagers"] = Asked(Standing.ABSENT)
    assert admit(made, opened(made, late=False))


@pytest.mark.parametrize(
    ("since_start", "goes_on"), [(timedelta(seconds=5), True), (timedelta(hours=1), False)]
)
def test_what_was_held_back_is_not_over_because_alertmanager_was_restarted(
    made: Project, since_start: timedelta, goes_on: bool
) -> None:
    """Invariant 18: a peer that started since may not have been told again of what fires."""
    number = opened(made, late=False)
    with made.database.write() as tx:
        before = datetime.now(UTC) - timedelta(minutes=1)
        tx.execute(tables.incidents.update().values(created_at=before))
        until = datetime.now(UTC) + timedelta(minutes=1)
        assert incidents.hold(tx, number, "cools down", until=until, longest=timedelta(days=1))
    made.__dict__["alertmanagers"] = empty(since_start)
    assert admit(made, number) is Then(goes_on)
    assert kept(made, number).state is (State.HELD if goes_on else State.RESOLVED)


def empty(since_start: timedelta) -> Alertmanagers:
    """A peer that was started so long ago, and lists nothing."""
    status = {
        "versionInfo": {"version": "0.28.1"},
        "cluster": {"status": "ready"},
        "config": {"original": ""},
        "uptime": (datetime.now(UTC) - since_start).isoformat(),
    }

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=status if request.url.path.endswith("status") else [])

    peer = config.Alertmanager(url="http://am:9093")
    return Alertmanagers([peer], transport=httpx.MockTransport(handle))


INVENTORY = Inventory(
    hosts={name: Host(name=name, variables={}) for name in ("web1", "web2", "mon1")},
    groups={"all": ("mon1", "web1", "web2")},
)


def named(entry: Entry, **labels: str) -> list[str]:
    (alert,) = parse(small.body(small.alert(**labels))).alerts
    now = datetime.now(UTC)
    incident = Incident(
        id=1, alert=alert, state=State.DECIDED, reason="", created_at=now, updated_at=now,
        environment="test", ceiling=Level.AUTO, hosts=("web1",),
    )  # fmt: skip
    return list(other_hosts(incident, entry, INVENTORY, config.Locate()))


def test_a_label_that_names_another_inventory_host_is_a_contradiction() -> None:
    assert named(entry()) == []
    assert named(entry(), node="web1", hostname="unknown") == []
    assert named(entry(), node="web2") == ['The label node="web2" names web2, not web1']
    assert named(entry(), exported_instance="web2:9100")


def test_instance_says_only_what_was_scraped_where_the_entry_goes_by_another_label() -> None:
    by_node = entry(target={"label": "node"})
    assert named(by_node, server="mon1") == ['The label server="mon1" names mon1, not web1']
    by_instance = entry()
    assert named(by_node, host="mon1", node="web1") == []
    assert named(by_instance, host="mon1", node="web1") == [
        'The label instance="mon1:9100" names mon1, not web1'
    ]
