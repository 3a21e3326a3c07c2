"""`runner case add`: what happened becomes a case that passes as it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from runner.cases.file import CaseFile, load
from runner.cases.harvest import harvest
from runner.cases.run import rules_alone, run
from runner.errors import Refused
from runner.incident import Decision, Evidence, State
from runner.incident_report import Bundle
from runner.inventory import Inventory, parse
from runner.project import Project
from runner.store import incidents, records
from tests import web_site
from tests.case_files import setting
from tests.small_project import look

HOSTS = {
    "web1.example.com": {"runner_level": "auto", "secret_thing": "x"},
    "web2.example.com": {},
    "db1.example.com": {},
}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Project]:
    made = web_site.project(tmp_path)
    yield made
    made.close()


def inventory() -> Inventory:
    groups = {"all": list(HOSTS), "web": ["web1.example.com", "web2.example.com"]}
    listed = {name: {"hosts": hosts} for name, hosts in groups.items()}
    return parse(json.dumps({**listed, "_meta": {"hostvars": HOSTS}}))


def made(folder: Path, found: Bundle, known: Inventory | None = None) -> CaseFile:
    path = folder / "cases" / "it.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(harvest(found, known, lambda text: text.replace("hunter2", "[masked]")))
    return load(path)


def test_a_fixed_incident_expects_its_entry(tmp_path: Path, opened: Project) -> None:
    found = look(opened, web_site.fixed(opened))
    case = made(tmp_path, found, inventory())
    assert case.expect.entry == (found.incident.entry,)
    assert case.expect.hosts == found.incident.hosts
    assert case.alert is not None and case.alert.labels == found.incident.alert.labels


def test_what_was_made_passes(tmp_path: Path, opened: Project) -> None:
    labels = {**_labels(), "instance": "web-1:9100"}
    number = web_site.fixed(opened, web_site.alert(labels=labels))
    case = made(tmp_path, look(opened, number))
    assert not run(case, setting(), rules_alone, decider="rules").failures


def test_only_hosts_of_its_groups_and_the_runners_variables_are_kept(
    tmp_path: Path, opened: Project
) -> None:
    found = look(opened, web_site.fixed(opened))
    moved = replace(found, incident=replace(found.incident, hosts=("web1.example.com",)))
    kept = yaml.safe_load(harvest(moved, inventory(), str))["inventory"]
    assert kept == {
        "web1.example.com": {"groups": ["web"], "runner_level": "auto"},
        "web2.example.com": {"groups": ["web"]},
    }


def _labels() -> dict[str, str]:
    return {"alertname": "ServiceDown", "instance": "web1.example.com", "service": "app"}


def test_one_that_nobody_could_handle_expects_nothing(tmp_path: Path, opened: Project) -> None:
    number = web_site.incident(opened)
    with opened.database.write() as tx:
        records.put_decision(tx, number, Decision(decider="rules", entry=None, reason="None."))
        incidents.move(tx, number, State.ESCALATED, "None.")
    case = made(tmp_path, look(opened, number))
    assert case.expect.entry == ("none_of_these",)


def test_one_that_was_not_fixed_expects_nothing_and_says_so(
    tmp_path: Path, opened: Project
) -> None:
    number, _ = web_site.waiting(opened)
    with opened.database.write() as tx:
        incidents.move(tx, number, State.DENIED, "the service is not to be touched")
    text = harvest(look(opened, number), None, str)
    assert "was chosen and the incident ended denied" in text
    assert yaml.safe_load(text)["expect"]["entry"] == "none_of_these"


def test_secrets_in_labels_and_evidence_stay_out(tmp_path: Path, opened: Project) -> None:
    labels = {**_labels(), "dsn": "postgres://u:hunter2@db"}
    number = web_site.incident(opened, web_site.alert(labels=labels))
    with opened.database.write() as tx:
        at = look(opened, number).incident.created_at
        item = Evidence(number=1, kind="log", source="s", title="Log", text="a\nb: 'c'\n# d", at=at)
        records.put_evidence(tx, number, (item,))
    case = made(tmp_path, look(opened, number))
    assert "hunter2" not in case.path.read_text()
    assert case.evidence.logs == {"Log": "a\nb: 'c'\n# d"}


def test_what_a_person_asked_for_is_no_case(opened: Project, tmp_path: Path) -> None:
    found = look(opened, web_site.incident(opened))
    asked = replace(found.incident, requested_by="user:ann")
    by_hand = replace(found, incident=asked)
    with pytest.raises(Refused, match="asked for by user:ann"):
        harvest(by_hand, None, str)
