"""`explain` of an alert and of an incident: one mechanism, and only what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner import acts
from runner.cli.explain import reasons
from runner.incident import WAITS, Decision, Level, Reason, State, Verdict
from runner.project import Project
from runner.store import incidents, records
from tests import web_site
from tests.command_line import answered, call
from tests.small_project import look, make, project


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    yield made
    made.close()


def explained(path: Path, number: int) -> str:
    result = call(path, "incident", "explain", number)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_incident_that_ran_says_what_and_why(path: Path, opened: Project) -> None:
    text = explained(path, web_site.fixed(opened))
    assert "It ran: restart_service on unit app.service of web-1." in text
    assert "\n  part         unit app.service of web-1\n" in text
    for word in ("chosen", "not ", "level", "approval 1", "remediation", "verified"):
        assert f"\n  {word}" in text
    assert "runner incident show 1" in text


def test_both_ways_give_the_same_reasons(path: Path, opened: Project) -> None:
    web_site.fixed(opened)
    by_number = answered(path, "incident", "explain", 1)
    by_alert = answered(path, "alert", "explain", "a1b2c3d4e5f60718")
    assert by_number == by_alert
    assert [said["about"] for said in by_number["reasons"][:2]] == ["part", "chosen"]
    assert by_number["incident"]["incident"]["part"] == "unit app.service"


def test_one_that_waits_says_that_nothing_ran_yet(path: Path, opened: Project) -> None:
    web_site.waiting(opened)
    assert "Nothing has run yet: an approval is pending." in explained(path, 1)


def test_one_that_ended_without_a_run_says_so(path: Path, opened: Project) -> None:
    number = web_site.incident(opened)
    with opened.database.write() as tx:
        nothing = Decision(
            decider="rules", entry=None, reason="None of 2 eligible entries matches."
        )
        records.put_decision(tx, number, nothing)
        incidents.move(tx, number, State.ESCALATED, nothing.reason)
    text = explained(path, number)
    assert "Nothing was changed on a host." in text
    assert "chosen       no entry: None of 2 eligible entries matches." in text


def test_it_names_earlier_incidents_of_the_same_alert(path: Path, opened: Project) -> None:
    first = web_site.fixed(opened)
    with opened.database.write() as tx:
        again = incidents.reopen(tx, incidents.get(tx, first), reason="once more")
    assert "before       incident 1 fixed" in explained(path, again)
    assert "before" not in explained(path, first)


def test_it_fits_on_a_screen_whatever_was_recorded(path: Path, opened: Project) -> None:
    number = web_site.fixed(opened)
    found = look(opened, number)
    many = tuple((f"entry_{n}", "x" * 5000) for n in range(500))
    decision = replace(found.decisions[0], decider="model", alternatives=many)
    with opened.database.write() as tx:
        records.put_decision(tx, number, decision)
    text = explained(path, number)
    assert len(text.splitlines()) <= 32
    assert max(map(len, text.splitlines())) <= 320
    assert len(reasons(look(opened, number))) > 500


def test_outside_text_cannot_steer_the_terminal(path: Path, opened: Project) -> None:
    evil = "\x1b]0;owned\x07\u202egpj.exe"
    number = web_site.incident(opened, web_site.alert(labels={"alertname": evil}))
    text = explained(path, number)
    assert "\x1b" not in text and "\u202e" not in text


def test_an_unknown_number_is_5(path: Path) -> None:
    result = call(path, "incident", "explain", 77)
    assert result.exit_code == 5
    assert "77" in result.stderr


def test_a_reason_that_holds_it_back_is_said_once(path: Path, opened: Project) -> None:
    """With the level that it allows, and not again with each time that it held it back."""
    number = web_site.incident(opened)
    why = "restart_service ran on web-1 at 2026-01-31 09:12:03 UTC; it needs 10m between runs."
    verdict = Verdict(
        level=Level.OBSERVE,
        reasons=(Reason(rule="cooldown", level=Level.OBSERVE, text=why),),
    )
    until = datetime.now(UTC) + timedelta(minutes=10)
    for _ in range(2):
        with opened.database.write() as tx:
            records.put_verdict(tx, number, verdict)
            because = f"level observe: {verdict.why}"
            incidents.hold(tx, number, because, until=until, longest=timedelta(days=1))
    assert explained(path, number).count(why) == 1


def test_one_that_waits_for_a_host_says_who_holds_it_since_when(
    path: Path, opened: Project
) -> None:
    """Invariant 22, case K2: wherever somebody looks at the incident."""
    number = web_site.incident(opened)
    said = "waits for web-1, held by run 3f2a91c0 of incident 7 since 2026-01-31 09:12:03"
    with opened.database.write() as tx:
        assert incidents.note(tx, number, WAITS, said)
    assert f"waits        {said}" in explained(path, number)
    assert said in call(path, "incident", "show", number).stdout


def test_one_that_is_held_back_says_until_when_and_how_to_end_it(
    path: Path, opened: Project
) -> None:
    """Invariant 22: until when, why, and what a person may do."""
    number = web_site.incident(opened)
    with opened.database.write() as tx:
        until = datetime.now(UTC) + timedelta(minutes=30)
        incidents.hold(tx, number, "it cools down", until=until, longest=timedelta(days=1))
    text = explained(path, number)
    assert text.count("it cools down") == 1
    assert f"it is held back until {until:%Y-%m-%d %H:%M:%S} UTC, then judged again." in text
    assert f"runner incident cancel {number}" in text
    shown = call(path, "incident", "show", number).stdout
    assert "held until" in shown and f"{until:%Y-%m-%d %H:%M:%S} UTC" in shown
    assert "held" in call(path, "incident", "list").stdout
    acts.cancel(opened, number, by="user:ann", reason="not today")
    assert look(opened, number).incident.state is State.CANCELLED
