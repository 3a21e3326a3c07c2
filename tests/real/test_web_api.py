"""The JSON API on a real project: the same acts and nouns as the command line."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from runner import incident_report
from runner.incident import State
from runner.project import Project
from runner.store import incidents, runs
from runner.web import api, replies
from tests import web_site


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    return web_site.project(tmp_path, web_site.GUARDED)


@pytest.fixture
def client(opened: Project) -> Iterator[httpx.Client]:
    with web_site.site(opened, web_site.ADAM) as made:
        yield made


def test_it_lists_incidents_newest_first_a_page_at_a_time(
    opened: Project, client: httpx.Client
) -> None:
    made = [web_site.incident(opened, web_site.alert(f"{n:016x}")) for n in range(5)]
    first = client.get("/api/v1/incidents?limit=3").json()
    second = client.get(f"/api/v1/incidents?limit=3&before={first['next']}").json()
    listed = [item["id"] for item in first["incidents"] + second["incidents"]]
    assert listed == made[::-1]
    assert second["next"] is None


def test_it_lists_incidents_of_some_states(opened: Project, client: httpx.Client) -> None:
    web_site.incident(opened)
    asked, _ = web_site.waiting(opened, web_site.alert("b" * 16))
    found = client.get("/api/v1/incidents?state=waiting&state=fixed").json()["incidents"]
    assert [item["id"] for item in found] == [asked]


def test_an_incident_is_the_bundle_that_the_command_line_shows(
    opened: Project, client: httpx.Client
) -> None:
    made = web_site.fixed(opened)
    with opened.database.read() as tx:
        shown = incident_report.to_json(incident_report.load(tx, made))
    assert client.get(f"/api/v1/incidents/{made}").json() == shown


def test_a_person_approves_the_plan_that_they_saw(opened: Project, client: httpx.Client) -> None:
    made, question = web_site.waiting(opened)
    given = {"answer": "approved", "plan": web_site.PLAN, "comment": "go"}
    answer = client.post(f"/api/v1/approvals/{question}", json=given, headers=web_site.ANNA)
    assert answer.status_code == 200
    assert answer.json()["answered_by"] == "user:anna"
    assert client.get(f"/api/v1/incidents/{made}").json()["incident"]["state"] == "approved"
    assert client.get("/api/v1/approvals").json() == []


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"answer": "approved", "plan": "6" * 64}, 409),
        ({"answer": "approved"}, 422),
        ({"answer": "maybe", "plan": web_site.PLAN}, 422),
        ({"answer": "approved", "plan": web_site.PLAN, "by": "user:vera"}, 422),
    ],
)
def test_an_answer_to_anything_else_does_not_count(
    opened: Project, client: httpx.Client, given: dict[str, Any], status: int
) -> None:
    _, question = web_site.waiting(opened)
    answer = client.post(f"/api/v1/approvals/{question}", json=given, headers=web_site.ANNA)
    assert answer.status_code == status
    assert client.get(f"/api/v1/approvals/{question}").json()["answer"] is None


def test_nobody_approves_what_they_asked_for(opened: Project, client: httpx.Client) -> None:
    _, question = web_site.waiting(opened, by="user:adam")
    given = {"answer": "approved", "plan": web_site.PLAN}
    assert client.post(f"/api/v1/approvals/{question}", json=given).status_code == 409


def test_an_incident_can_be_cancelled_and_handled_again(
    opened: Project, client: httpx.Client
) -> None:
    made, _ = web_site.waiting(opened)
    path = f"/api/v1/incidents/{made}"
    assert client.post(f"{path}/cancel", json={"reason": "wrong host"}).json() == {
        "incident": made,
        "state": "cancelled",
    }
    assert client.post(f"{path}/cancel", json={}).status_code == 409
    again = client.post(f"{path}/retry", json={"reason": "now"})
    assert again.status_code == 201
    with opened.database.read() as tx:
        assert incidents.get(tx, again.json()["incident"]).state is State.ADMITTED


def test_nobody_approves_what_they_had_handled_again(opened: Project, client: httpx.Client) -> None:
    """Invariant 16: four eyes, from the request to the answer; the alert asked for nothing."""
    made, _ = web_site.waiting(opened)
    path = f"/api/v1/incidents/{made}"
    assert client.post(f"{path}/cancel", json={"reason": "wrong time"}).status_code == 200
    again = client.post(f"{path}/retry", json={"reason": "now"}).json()["incident"]
    question = f"/api/v1/approvals/{web_site.asked(opened, again)}"
    given = {"answer": "approved", "plan": web_site.PLAN}
    refused = client.post(question, json=given)
    assert refused.status_code == 409
    assert "user:adam asked for it, so another person must approve" in refused.json()["error"]
    assert client.post(question, json=given, headers=web_site.ANNA).status_code == 200


@pytest.mark.real
@pytest.mark.skipif(
    not shutil.which("ansible-inventory", path=f"{Path(sys.executable).parent}:/usr/bin")
    and not os.environ.get("CI"),
    reason="ansible-inventory is missing",
)
@pytest.mark.parametrize(
    ("entry", "hosts", "status"),
    [
        ("collect_diagnostics", ["web1.example.com"], 201),
        ("collect_diagnostics", ["web*"], 409),
        ("collect_diagnostics", ["all"], 409),
        ("collect_diagnostics", ["{{ lookup('pipe', 'id') }}"], 409),
        ("collect_diagnostics", [], 422),
        ("../restart_service", ["web1.example.com"], 404),
    ],
)
def test_a_run_needs_an_entry_and_exact_hosts(
    client: httpx.Client, entry: str, hosts: list[str], status: int
) -> None:
    """Invariant 6: a pattern is not a host."""
    answer = client.post("/api/v1/runs", json={"entry": entry, "hosts": hosts})
    assert answer.status_code == status, answer.text


def test_a_run_goes_no_further_than_a_dry_run_unless_told(client: httpx.Client) -> None:
    assert api.Wanted(entry="a", hosts=["b"]).level == "dry-run"


def test_the_catalog_shows_what_may_run(opened: Project, client: httpx.Client) -> None:
    listed = client.get("/api/v1/catalog").json()
    assert {entry["id"] for entry in listed} == set(opened.catalog.entries)
    one = client.get("/api/v1/catalog/restart_service").json()
    assert len(one["content"]) == 64
    assert one["match"][0][0].startswith("alertname=~")
    assert one["limits"]["cooldown"] == "10m"


def test_everything_can_be_paused_and_resumed(opened: Project, client: httpx.Client) -> None:
    """Invariant 12: both are rows of the trail."""
    said = client.post("/api/v1/pause", json={"reason": "migration"}, headers=web_site.ANNA).json()
    assert "user:anna" in said["paused"] and "migration" in said["paused"]
    assert web_site.last_action(opened) == "pause"
    assert client.post("/api/v1/resume", json={}).json() == {"paused": None}
    assert web_site.last_action(opened) == "resume"
    assert client.post("/api/v1/resume", json={}).status_code == 409


def test_the_trail_is_verified(opened: Project, client: httpx.Client) -> None:
    """Invariant 12: an edit is found."""
    web_site.incident(opened)
    assert client.get("/api/v1/audit").json()["broken"] is None
    with opened.database.write() as tx:
        tx.execute(sa.text("update transitions set reason = 'nothing happened'"))
    assert "changed" in client.get("/api/v1/audit").json()["broken"]


def test_the_trail_is_verified_once_at_a_time(client: httpx.Client) -> None:
    with api._verifying:
        assert client.get("/api/v1/audit").status_code == 409


def test_metrics_are_in_prometheus_format(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers=web_site.ALERTMANAGER)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"runner_up 1" in answer.content


@pytest.mark.parametrize("id", ["0", "-1", str(2**63), "9" * 5000, "1.5", "one", "%00"])
def test_no_number_breaks_a_path(client: httpx.Client, id: str) -> None:
    for path in (f"/api/v1/incidents/{id}", f"/api/v1/approvals/{id}", f"/incidents/{id}"):
        assert client.get(path).status_code in (404, 422)


def test_a_comment_that_no_store_can_hold_is_kept_without_the_rest(
    opened: Project, client: httpx.Client
) -> None:
    content = b'{"reason": "a\\u0000b\\ud800c"}'
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/v1/pause", content=content, headers=headers)
    assert answer.status_code in (200, 422)
    assert client.get("/api/v1/audit").json()["broken"] is None


def test_numbers_that_json_lacks_become_null(opened: Project, client: httpx.Client) -> None:
    made = web_site.fixed(opened)
    with opened.database.write() as tx:
        run = runs.of_incident(tx, made)[0]
        sql = sa.text('update runs set results = \'{"a": NaN, "b": [1e999]}\' where id = :id')
        tx.execute(sql, {"id": run.id})
    shown = client.get(f"/api/v1/incidents/{made}").json()["runs"][0]
    assert shown["results"] == {"a": None, "b": [None]}


def test_a_refusal_is_one_visible_sentence() -> None:
    from runner.errors import Refused

    refusal = replies.as_refusal(Refused("\x1b[31mno\nno"))
    assert refusal.status == 409
    assert refusal.sentence == "\\x1b[31mno no"


@pytest.mark.parametrize("path", ["/api/v1/none", "/none", "/static/none", "/static/../app.py"])
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]
