"""Alerts handed in on the command line, with the real engine and real Ansible."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner import acts
from runner.cli.session import Session
from runner.incident import State
from runner.intake.fingerprint import fingerprint
from runner.store import incidents
from tests import small_project as small
from tests import web_site
from tests.command_line import PROGRAM, answered, call, environment, process
from tests.local_hosts import needs_ansible
from tests.store.test_admit import Desk

MARK = fingerprint(small.alert()["labels"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small.make(tmp_path)


class Handled:
    """What `alert handle -` did, in a process of its own, with nobody else at work."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.path = small.make(folder)
        self.body = small.body(small.alert()).decode()
        self.ended = process(self.path, "alert", "handle", "-", input=self.body)


@pytest.fixture(scope="module")
def handled(tmp_path_factory: pytest.TempPathFactory) -> Handled:
    return Handled(tmp_path_factory.mktemp("handle"))


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Handled:
    """The same with `--level approve`, so that it waits for a person."""
    made = Handled.__new__(Handled)
    made.root = tmp_path_factory.mktemp("waiting")
    made.path = small.make(made.root)
    body = small.body(small.alert()).decode()
    made.ended = process(
        made.path, "alert", "handle", "-", "--level", "approve", "-o", "json", input=body
    )
    return made


class TestHandled:
    pytestmark = needs_ansible

    def test_it_prints_each_step_until_it_is_fixed(self, handled: Handled) -> None:
        assert handled.ended.returncode == 0, handled.ended.stderr
        lines = handled.ended.stdout.splitlines()
        steps = [line.split()[2] for line in lines if line.startswith("#1")]
        assert steps == ["admitted", "located", "gathered", "decided", "judged", "planned",
                         "approved", "running", "verifying", "fixed"]  # fmt: skip
        assert lines[-1] == "incident 1: Down on web1: fixed"
        assert small.runs(handled.root) == 1

    def test_it_says_nothing_else(self, handled: Handled) -> None:
        assert handled.ended.stderr == ""

    def test_the_same_body_again_opens_nothing(self, handled: Handled) -> None:
        again = process(handled.path, "alert", "handle", "-", input=handled.body)
        assert again.returncode == 0
        assert "1 alert, nothing new" in again.stdout
        assert f"{MARK} Down is firing: incident 1, fixed" in again.stdout
        assert small.runs(handled.root) == 1

    def test_explain_finds_it_by_the_beginning(self, handled: Handled) -> None:
        text = call(handled.path, "alert", "explain", MARK[:4]).stdout
        assert "incident 1 fixed" in text
        assert "chosen" in text
        assert "remediation" in text
        assert len(text.splitlines()) <= 24

    def test_the_trail_of_it_is_whole(self, handled: Handled) -> None:
        assert call(handled.path, "audit", "verify").exit_code == 0

    def test_a_question_to_a_person_is_0_and_says_how_to_answer(self, waiting: Handled) -> None:
        assert waiting.ended.returncode == 0, waiting.ended.stderr
        (found,) = json.loads(waiting.ended.stdout)["incidents"]
        assert found["incident"]["state"] == "waiting"
        assert found["verdict"]["level"] == "approve"
        assert small.runs(waiting.root) == 0
        assert (
            "runner approval approve 1" in call(waiting.path, "alert", "explain", MARK[:4]).stdout
        )

    def test_an_approval_with_work_sees_it_through(self, waiting: Handled) -> None:
        words = ("approval", "approve", 1, "--yes", "--work", "--as", "ann")
        ended = process(waiting.path, *words)
        assert ended.returncode == 0, ended.stderr
        assert "incident 1: Down on web1: fixed" in ended.stdout
        assert "admitted" not in ended.stdout  # that was told before
        assert small.runs(waiting.root) == 1


@pytest.mark.parametrize("level", ["observe", "dry-run"])
@pytest.mark.real
@needs_ansible[1]
def test_the_level_of_the_call_is_a_cap(path: Path, level: str) -> None:
    body = small.body(small.alert()).decode()
    ended = process(path, "--level", level, "alert", "handle", "-", input=body)
    assert ended.returncode == 0, ended.stderr
    assert {"observe": "observed", "dry-run": "dry_run"}[level] in ended.stdout.splitlines()[-3]
    assert small.runs(path.parent) == 0


@pytest.mark.real
@needs_ansible[1]
def test_an_incident_that_is_escalated_is_1(path: Path) -> None:
    body = small.body(small.alert(host="nowhere")).decode()
    ended = process(path, "alert", "handle", "-", input=body)
    assert ended.returncode == 1
    assert "incident 1: Down on nowhere:9100: escalated" in ended.stdout
    assert "runner incident retry 1" in ended.stdout
    again = process(path, "alert", "handle", "-", input=body)
    assert again.returncode == 0
    assert "is firing: incident 1, escalated\n    runner incident retry 1" in again.stdout


class Working:
    """Stands in for a worker: takes deliveries, has incident 2 join the first, then ends that."""

    def __init__(self, session: Session) -> None:
        self.database, self.looks = session.project.database, 0

    def __enter__(self) -> Working:
        return self

    def __exit__(self, *given: object) -> None:
        pass

    def step(self) -> None:
        self.looks += 1
        Desk(self.database).inbox.step()
        with self.database.write() as tx:
            if self.looks == 3 and len(incidents.find(tx)) == 2:
                incidents.move(tx, 2, State.SUPPRESSED, "handled by incident 1", joined=1)
            if self.looks == 6:
                incidents.move(tx, 1, State.ESCALATED, "no entry matches")


@pytest.mark.parametrize("host", ["web1", "web2"])
def test_an_alert_that_is_handled_already_waits_for_that_incident(
    path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The same alert, and another one that joins the incident; the code is that incident's."""
    monkeypatch.setattr("runner.cli.alert.StandIn", Working)
    opened, first = small.project(path), small.alert()
    Desk(opened.database).deliver(first)
    opened.close()
    body = small.body(first if host == "web1" else small.alert(host=host))
    result = call(path, "alert", "handle", "-", input=body)
    assert result.exit_code == 1, result.output
    assert "incident 1: Down on web1:9100: escalated" in result.stdout


def test_no_wait_stores_it_and_says_that_nobody_works(path: Path) -> None:
    """Invariant 1: what is stored is not lost because nobody works now."""
    body = path.parent / "body.json"
    body.write_bytes(small.body(small.alert()))
    result = call(path, "alert", "handle", body, "--no-wait")
    assert (result.exit_code, result.stdout) == (0, "delivery 1 is stored\n")
    assert "No worker is running" in result.stderr


@pytest.mark.parametrize("body", ["", "{}", '{"version": "3", "alerts": []}', "[" * 100_000])
def test_a_body_that_is_none_is_2_and_a_sentence(path: Path, body: str) -> None:
    result = call(path, "alert", "handle", "-", "--no-wait", input=body)
    assert result.exit_code == 2
    assert result.stderr.startswith("runner: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_body_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Invariant 14: what is read has a bound."""
    listen = {"allow_anonymous": True, "max_body": 100}
    path = small.make(tmp_path, settings={"listen": listen})
    result = call(path, "alert", "handle", "-", input=small.body(small.alert()))
    assert result.exit_code == 2
    assert "listen.max_body" in result.stderr


def test_a_file_that_is_not_there_is_2(path: Path) -> None:
    assert call(path, "alert", "handle", path.parent / "none.json").exit_code == 2


def test_explain_of_an_unknown_alert_is_5(path: Path) -> None:
    result = call(path, "alert", "explain", "ffff%")
    assert result.exit_code == 5
    assert "no incident was opened" in result.stderr


def test_explain_says_what_waits_when_nobody_works(path: Path) -> None:
    opened = small.project(path)
    acts.deliver(opened, small.body(small.alert()), source="webhook")
    opened.close()
    assert "1 delivery has not been processed" in call(path, "alert", "explain", MARK).stderr


def test_explain_of_two_alerts_names_both(path: Path) -> None:
    opened = small.project(path)
    web_site.incident(opened, web_site.alert("abcd" + "0" * 12))
    web_site.incident(opened, web_site.alert("abcd" + "1" * 12))
    opened.close()
    result = call(path, "alert", "explain", "abcd")
    assert result.exit_code == 2
    assert "abcd000000000000 (ServiceDown), abcd111111111111" in result.stderr
    assert answered(path, "alert", "explain", "abcd0")["incident"]["incident"]["id"] == 1


def test_pull_without_an_alertmanager_is_3(path: Path) -> None:
    result = call(path, "alert", "pull")
    assert result.exit_code == 3
    assert "no Alertmanager is configured" in result.stderr


class Answering:
    """Alertmanagers that answer the same every time."""

    def __init__(self, *found: object) -> None:
        self.found = found

    def active_alerts(self, filters: object = (), receiver: object = None) -> tuple[object, ...]:
        return self.found

    def close(self) -> None:
        pass


def test_pull_stores_what_is_new_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = Answering(web_site.alert(starts_at=datetime.now(UTC)))
    monkeypatch.setattr("runner.project.Project.alertmanagers", peers)
    assert call(path, "alert", "pull", "--no-wait").stdout == "delivery 1 is stored\n"
    opened = small.project(path)
    inbox = Desk(opened.database).inbox
    while inbox.step():
        pass
    opened.close()
    result = call(path, "alert", "pull", "--no-wait")
    assert result.exit_code == 0
    assert "No new active alerts" in result.stderr


@pytest.mark.real
@needs_ansible[1]
def test_ctrl_c_leaves_a_stored_incident(path: Path) -> None:
    """Invariant 1."""
    with subprocess.Popen(
        [*PROGRAM, "--config", str(path), "alert", "handle", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(),
    ) as running:  # fmt: skip
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(small.body(small.alert()).decode())
        running.stdin.close()
        assert "admitted" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
    (found,) = answered(path, "incident", "list")
    assert found["state"] in ("admitted", "located", "planned", "judged")
