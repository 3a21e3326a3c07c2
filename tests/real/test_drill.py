"""Drills: who may be broken, what became of the fault, and the report."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts, drill
from runner.daemon import Daemon
from runner.drill import Game, figures
from runner.errors import Refused
from runner.incident import Alert, AlertStatus, Incident, Level, Purpose, State, Transition
from runner.inventory import Host, Inventory
from runner.project import Project
from tests import case_files
from tests import small_project as small

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def inventory(**variables: Any) -> Inventory:
    hosts = {name: Host(name=name, variables=own) for name, own in variables.items()}
    return Inventory(hosts=hosts, groups={})


def row(action: str, seconds: float) -> Transition:
    at = T0 + timedelta(seconds=seconds)
    return Transition(
        sequence=0, incident=1, at=at, actor="runner", action=action, previous=None, reason=""
    )


def incident(number: int = 1, *, host: str = "web1", seconds: float = 5, **fields: Any) -> Incident:
    at = T0 + timedelta(seconds=seconds)
    alert = Alert(
        fingerprint="ab", status=AlertStatus.FIRING, labels={}, annotations={}, starts_at=at
    )
    made = Incident(
        id=number,
        alert=alert,
        state=State.FIXED,
        reason="",
        created_at=at,
        updated_at=at,
        environment="test",
        ceiling=Level.AUTO,
        hosts=(host,),
    )
    return replace(made, **fields)


def played(name: str = "crash", result: str = "fixed", **phases: float) -> Game:
    return Game(
        drill=name,
        host="web1",
        result=result,
        reason="",
        injected_at=T0,
        phases=phases,
        total=sum(phases.values()) if phases else None,
    )


@pytest.mark.parametrize("value", [None, False, "true", 1, "yes", [True]])
def test_only_true_allows_a_drill(value: Any) -> None:
    with pytest.raises(Refused, match="web1 does not allow drills; set runner_drill: true"):
        drill.check(inventory(web1={"runner_drill": value}), ["web1"])


def test_every_shipped_drill_takes_its_time_in_the_variable_of_its_role() -> None:
    shipped = case_files.setting().catalog.by_kind("drill")
    assert len(shipped) > 5
    for entry in shipped:
        assert entry.role and drill.seconds_variable(entry.role) in entry.parameters, entry.id


def test_every_host_that_a_drill_touches_must_allow_it() -> None:
    found = inventory(web1={"runner_drill": True}, switch={})
    drill.check(found, ["web1"])
    with pytest.raises(Refused, match="switch does not allow drills"):
        drill.check(found, ["switch", "web1"])
    with pytest.raises(Refused, match="also acts on router, which the inventory does not have"):
        drill.check(found, ["web1", "router"])


def test_phases_are_read_from_the_trail() -> None:
    rows = [row("admitted", 3), row("judged", 4), row("running", 7), row("verifying", 9)]
    found = drill.phases(T0, [*rows, row("fixed", 14)])
    assert found == {"detect": 3, "decide": 4, "run": 2, "verify": 5}


def test_phases_that_were_not_reached_are_left_out() -> None:
    assert drill.phases(T0, [row("admitted", 3), row("escalated", 8)]) == {
        "detect": 3,
        "decide": 5,
    }
    assert drill.phases(T0, []) == {}


def test_an_alert_before_the_play_said_so_is_detected_at_once() -> None:
    assert drill.phases(T0, [row("admitted", -1), row("resolved", 1)])["detect"] == 0


def test_the_first_incident_that_was_not_asked_for_is_the_answer() -> None:
    candidates = [
        incident(9),
        incident(4, host="web2"),
        incident(5, requested_by="user:ann"),
        incident(6, state=State.SUPPRESSED),
        incident(7, seconds=-1),
        incident(8),
    ]
    found = drill.led_to(candidates, "web1", T0)
    assert found is not None and found.id == 8
    assert drill.led_to(candidates[1:5], "web1", T0) is None


def test_a_fault_without_an_incident_is_undetected() -> None:
    found = drill.game(drill="crash", host="web1", injected_at=T0, found=None)
    assert (found.result, found.phases, found.total) == ("undetected", {}, None)


def test_the_report_has_medians_results_and_a_picture(tmp_path: Path) -> None:
    games = [
        played(detect=1, decide=2, run=3, verify=4),
        played(detect=3, decide=4, run=5, verify=6),
        played("slow", "escalated", detect=1, decide=1),
        played("lost", "undetected"),
    ]
    written = figures.write(games, tmp_path / "report")
    report = json.loads(written[0].read_text())
    assert report["drills"][0]["medians"]["decide"] == 3
    assert report["results"] == {"fixed": 2, "escalated": 1, "undetected": 1}
    assert "| crash | 2 fixed | none | 2.0 | 3.0 | 4.0 | 5.0 | 14.0 |" in written[1].read_text()
    bars = ET.fromstring(written[2].read_text()).iter("{http://www.w3.org/2000/svg}title")
    assert "crash, verify: 5.0 s" in [title.text for title in bars]


def test_a_picture_escapes_what_it_names_and_may_be_empty() -> None:
    assert "&lt;b&gt;" in figures.chart([played("<b>", detect=1)])
    ET.fromstring(figures.chart([]))


def drilling(root: Path, store: str, *, allowed: bool = True) -> Project:
    """The small project, whose one entry is a drill."""
    hosts = {name: {"runner_drill": allowed} for name in ("web1", "web2")}
    everything = {"all": {**small.INVENTORY["all"], "hosts": hosts}}
    changed = {
        "kind": "drill",
        "match": [],
        "dry_run": "none",
        "parameters": {
            "mark_text": {"from": "constant", "value": "broken"},
            "mark_seconds": {"from": "choice"},
        },
    }
    path = small.make(root, entry=changed, inventory=everything)
    with (root / "roles/mark/meta/argument_specs.yml").open("a") as specs:
        specs.write("      mark_seconds: {type: int, description: When it ends.}\n")
    return small.project(path, store)


def requested(project: Project, host: str = "web1") -> int:
    span = timedelta(seconds=30)
    return acts.request_drill(project, entry="mark", host=host, span=span, by="user:ann")


def test_a_drill_is_no_remediation_and_a_remediation_is_no_drill(
    tmp_path: Path, store_url: str
) -> None:
    """Invariant 4: a drill is never run as an answer to anything."""
    project = drilling(tmp_path, store_url)
    assert project.catalog.eligible({"alertname": "Down"}) == ()
    with pytest.raises(Refused, match="is a drill; `runner drill run mark` injects it"):
        acts.request_run(project, entry="mark", hosts=["web1"], values={}, by="user:ann")
    project.close()


@pytest.mark.parametrize(
    ("allowed", "host", "sentence"),
    [
        (False, "web1", "web1 does not allow drills"),
        (True, "web9", "web9 is not a host of the inventory"),
        (True, "web*", "is not a host of the inventory"),
    ],
)
def test_a_drill_is_refused_where_it_is_not_allowed(
    tmp_path: Path, store_url: str, allowed: bool, host: str, sentence: str
) -> None:
    project = drilling(tmp_path, store_url, allowed=allowed)
    with pytest.raises(Refused, match=sentence.replace("*", r"\*")):
        requested(project, host)
    project.close()


def test_no_drill_starts_while_everything_is_paused(tmp_path: Path, store_url: str) -> None:
    project = drilling(tmp_path, store_url)
    acts.pause(project, by="user:ann", reason="a deploy")
    with pytest.raises(Refused, match="no drill now: paused by user:ann"):
        requested(project)
    project.close()


@pytest.mark.real
@pytest.mark.store
def test_a_drill_runs_once_under_its_own_purpose(tmp_path: Path, store_url: str) -> None:
    """Invariant 2: the fault is injected once, and its incident is not tried again."""
    project = drilling(tmp_path, store_url)
    daemon = Daemon(project, intake=False)
    daemon.start()
    try:
        number = requested(project)
        found = small.wait(project, number)
        assert found.incident.state is State.DRILLED, found.incident.reason
        assert [run.purpose for run in found.runs] == [Purpose.DRILL]
        assert found.transitions[0].actor == "user:ann"
        with pytest.raises(Refused, match="is a drill"):
            acts.retry(project, number, by="user:ann", reason="again")
        assert small.runs(tmp_path) == 1
    finally:
        daemon.stop()
        project.close()


@pytest.mark.real
def test_a_drill_whose_host_was_taken_out_meanwhile_injects_nothing(
    tmp_path: Path, store_url: str
) -> None:
    project = drilling(tmp_path, store_url)
    number = requested(project)
    hosts = {"web1": {"runner_drill": False}}
    written = {"all": {**small.INVENTORY["all"], "hosts": hosts}}
    (tmp_path / "inventory/hosts.yml").write_text(json.dumps(written))
    daemon = Daemon(project, intake=False)
    daemon.start()
    try:
        found = small.wait(project, number)
        assert found.incident.state is State.CANCELLED
        assert "web1 does not allow drills" in found.incident.reason
        assert small.runs(tmp_path) == 0
    finally:
        daemon.stop()
        project.close()
