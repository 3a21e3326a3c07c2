"""Which part of its hosts a run acts on, and when that counts as a key."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import shipped
from runner.catalog import load
from runner.incident import Decision, Incident, Level, Outcome, Purpose, Run, State
from runner.inventory.parts import listed, problems
from runner.policy import judge as verdict_of
from runner.project import Project
from runner.steps.gather import gather
from runner.steps.judge import judge, situation_of
from runner.steps.locate import locate
from runner.steps.part import KNOWN_FOR, part_of
from runner.steps.perform import _locked_part
from runner.store import incidents, records, runs, workers
from tests import small_project as small
from tests.policy_case import entry
from tests.store.test_daemon import admitted

SERVICES = {
    "nginx": {"unit": "nginx", "group": "all", "alerts": ["NginxDown"], "processes": ["nginx"]},
    "redis": {"unit": "redis.service", "hosts": ["web1"]},
    "queue": {"unit": "queue@{id}.service", "hosts": ["web1"]},
}
ENTRY = {
    "match": ['alertname=~".*Down"'],
    "parameters": {"mark_text": {"from": "label name|service"}},
    "target": {"part": "unit mark_text", "exclusive": "part"},
    "limits": {"cooldown": "30m", "timeout": "60s"},
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    made: list[Project] = []

    def project(entry: dict[str, Any] | None = None, **variables: Any) -> Project:
        everywhere = small.INVENTORY["all"]["vars"] | {"runner_services": SERVICES} | variables
        inventory = {"all": {**small.INVENTORY["all"], "vars": everywhere}}
        path = small.make(tmp_path, entry=ENTRY | (entry or {}), inventory=inventory)
        made.append(small.project(path))
        with made[-1].database.write() as tx:
            workers.join(tx, "worker", "here")
        return made[-1]

    yield project
    for each in made:
        each.close()


def opened(project: Project, **labels: str) -> Incident:
    """An incident on web1."""
    number = small.open_one(project, labels)
    with project.database.write() as tx:
        incidents.move(tx, number, State.LOCATED, "for the test", hosts=["web1"])
        return incidents.get(tx, number)


def part(project: Project, touched: tuple[str, ...] = ("web1",), **labels: str) -> str | None:
    incident = opened(project, **labels)
    return part_of(project, incident, project.catalog.get("mark"), ("web1",), touched)


def ran(
    project: Project,
    *,
    part: str | None = None,
    purpose: Purpose = Purpose.REMEDIATION,
    host: str = "web1",
    results: dict[str, Any] | None = None,
    outcome: Outcome = Outcome.CHANGED,
    ago: timedelta = timedelta(minutes=1),
) -> None:
    """An earlier run of another incident."""
    now = datetime.now(UTC)
    run = Run(
        id=uuid.uuid4().hex,
        incident=900,
        purpose=purpose,
        attempt=uuid.uuid4().int % 2**30,
        entry="mark",
        hosts=(host,),
        part=part,
        plan="p",
        started_at=now,
        deadline=now + timedelta(minutes=1),
    )
    with project.database.write() as tx:
        runs.intend(tx, run, worker="worker", lock=run.hosts)
        runs.conclude(tx, run.id, outcome=outcome, results=results, started_at=now - ago)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"service": "nginx"}, "unit nginx.service"),
        ({"service": "nginx.service"}, "unit nginx.service"),
        ({"name": "redis.service"}, "unit redis.service"),
        ({"service": "invented"}, None),
        ({"service": "nginx.socket"}, None),
        ({"name": "queue@7.service"}, None),  # the table lists no instance
        ({"name": "", "service": ""}, None),
    ],
)
def test_a_part_counts_when_the_inventory_lists_it(
    make: Callable[..., Project], labels: dict[str, str], found: str | None
) -> None:
    """Invariant 3: an invented name is no key of its own."""
    assert part(make(), **labels) == found


def test_what_runs_on_another_host_is_no_part_of_this_one(make: Callable[..., Project]) -> None:
    project = make()
    incident = opened(project, service="redis")
    entry = project.catalog.get("mark")
    assert part_of(project, incident, entry, ("web2",), ("web2",)) is None
    assert part_of(project, incident, entry, ("web1", "web2"), ("web1", "web2")) is None
    both = opened(project, service="nginx")
    assert part_of(project, both, entry, ("web1", "web2"), ("web1", "web2"))


def test_a_play_that_acts_on_further_hosts_has_no_part(make: Callable[..., Project]) -> None:
    assert part(make(), touched=("db1", "web1"), service="nginx") is None


def test_an_entry_without_a_part_is_for_the_whole_host(make: Callable[..., Project]) -> None:
    assert part(make(entry={"target": {}}), service="nginx") is None


def test_the_inventory_may_list_parts_of_any_kind(make: Callable[..., Project]) -> None:
    given = {"database": ["shop", "a b"], "mountpoint": ["/srv/"], "planet": ["x"], "unit": "x"}
    project = make(
        entry={"target": {"part": "database mark_text"}},
        runner_parts=given,
    )
    assert part(project, service="shop") == "database shop"
    assert {"mountpoint /srv", "process nginx"} <= listed(project.inventory(), "web1")
    assert list(problems(project.inventory())) == [
        f"runner_parts.planet {NO_KIND}",
        f"runner_parts.unit {NO_KIND}",
        "runner_parts.database: 'a b' can be the name of no database",
    ]


NO_KIND = (
    "is no kind with a list of names; kinds are unit, mountpoint, container, process, database"
)
PROBED = {"parts": {"unit": ["app.service", 7, "a b"], "mountpoint": "x"}}


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"host": "web2"}, False),
        ({"purpose": Purpose.DRY_RUN}, False),
        ({"outcome": Outcome.FAILED}, False),
        ({"ago": KNOWN_FOR + timedelta(minutes=1)}, False),
        ({"results": {"parts": {"unit": ["other"]}}}, False),
        ({"results": {"parts": "app.service"}}, False),
    ],
)
def test_a_probe_of_the_host_lists_parts_too(
    make: Callable[..., Project], changes: dict[str, Any], counts: bool
) -> None:
    project = make()
    assert part(project, service="app") is None
    ran(project, **{"purpose": Purpose.PROBE, "results": PROBED, **changes})
    assert part(project, service="app") == ("unit app.service" if counts else None)


def test_a_probe_that_lists_nothing_does_not_hide_one_that_did(
    make: Callable[..., Project],
) -> None:
    project = make()
    ran(project, purpose=Purpose.PROBE, results=PROBED, ago=timedelta(hours=1))
    ran(project, purpose=Purpose.PROBE, results={"facts": {}})
    assert part(project, service="app") == "unit app.service"


def test_shipped_entries_name_the_part_that_they_act_on() -> None:
    """What takes other parts along has the whole host for itself: a restart, a volume group."""
    catalog = load(shipped.playbooks(), ())
    said = {entry.id: entry.target for entry in catalog.entries.values() if entry.target.part}
    assert {id: (target.part_kind, target.exclusive) for id, target in said.items()} == {
        "clean_disk": ("mountpoint", "part"),
        "end_idle_sessions": ("database", "part"),
        "extend_filesystem": ("mountpoint", "host"),
        "free_inodes": ("mountpoint", "part"),
        "raise_open_files": ("process", "host"),
        "reload_configuration": ("unit", "host"),
        "remount_filesystem": ("mountpoint", "host"),
        "restart_service": ("unit", "host"),
    }


@pytest.mark.parametrize(("exclusive", "locked"), [("part", "unit a.service"), ("host", "")])
def test_a_run_locks_a_part_only_where_its_entry_says_so(exclusive: str, locked: str) -> None:
    """Invariant 3: to know the part is not to be alone with it."""
    given = entry(
        parameters={"unit": {"from": "services"}},
        target={"part": "unit unit", "exclusive": exclusive},
    )
    assert _locked_part(given, "unit a.service") == locked
    assert _locked_part(given, None) == ""


# --- what is kept for each part ---------------------------------------------------------------


def rules(project: Project, **labels: str) -> set[str]:
    """The rules that limit a run of the entry for an alert with these labels."""
    found = situation_of(project, opened(project, **labels), project.catalog.get("mark"))
    chosen = (Decision(decider="rules", entry="mark", reason="it fits"),)
    reasons = verdict_of(replace(found, decisions=chosen)).reasons
    return {reason.rule for reason in reasons if reason.level is not Level.AUTO}


def test_a_cooldown_is_of_one_part(make: Callable[..., Project]) -> None:
    project = make()
    ran(project, part="unit nginx.service")
    assert rules(project, service="nginx") == {"cooldown"}
    assert rules(project, service="redis") == set()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.text(st.sampled_from("abnginx@.-/ é"), max_size=12))
def test_an_invented_name_opens_no_fresh_cooldown(make_once: Project, name: str) -> None:
    """Invariant 17: the host is the key of whatever nobody knows it to have."""
    known = {"nginx", "nginx.service"}
    if name in known:
        return
    assert "cooldown" in rules(make_once, service=name)


@pytest.fixture
def make_once(make: Callable[..., Project]) -> Project:
    project = make()
    ran(project, part="unit redis.service")
    return project


def test_a_run_without_a_part_counts_for_every_part(make: Callable[..., Project]) -> None:
    project = make()
    ran(project, part=None)
    assert rules(project, service="nginx") == rules(project, service="redis") == {"cooldown"}


def test_the_incident_says_which_part(make: Callable[..., Project]) -> None:
    project = make()
    number = opened(project, service="nginx").id
    with project.database.write() as tx:
        chosen = Decision(decider="rules", entry="mark", reason="it fits")
        records.put_decision(tx, number, chosen)
        incidents.move(tx, number, State.DECIDED, "for the test", entry="mark")
    judge(project, number)
    found = small.look(project, number)
    assert found.incident.part == "unit nginx.service"
    assert found.radius is not None and found.radius.part == "unit nginx.service"


# --- which incidents are one ------------------------------------------------------------------


def located(project: Project, *alerts: dict[str, Any]) -> list[Incident]:
    admitted(project, *alerts)
    for number in range(1, len(alerts) + 1):
        locate(project, number)
        gather(project, number)
    with project.database.read() as tx:
        return [incidents.get(tx, number) for number in range(1, len(alerts) + 1)]


def test_two_services_of_one_host_are_two_incidents(make: Callable[..., Project]) -> None:
    """Neither alert has a label `service`: the units that they name tell them apart."""
    first, second = located(
        make(),
        small.alert(service="", name="UnitDown") | {"labels": labels("nginx.service")},
        small.alert(service="", name="UnitDown") | {"labels": labels("redis.service")},
    )
    assert (first.part, second.part) == ("unit nginx.service", "unit redis.service")
    assert second.joined is None and second.state is not State.SUPPRESSED


def test_two_spellings_of_one_service_are_one_incident(make: Callable[..., Project]) -> None:
    _, second = located(
        make(),
        small.alert(service="nginx"),
        small.alert() | {"labels": labels("nginx.service")},
    )
    assert second.joined == 1
    assert "same host web1 and unit nginx.service" in second.reason


def test_names_that_nobody_knows_are_one_incident(make: Callable[..., Project]) -> None:
    _, second = located(
        make(),
        small.alert() | {"labels": labels("one.service")},
        small.alert() | {"labels": labels("two.service")},
    )
    assert second.joined == 1


def labels(unit: str) -> dict[str, str]:
    return {"alertname": "UnitDown", "instance": "web1:9100", "name": unit}
