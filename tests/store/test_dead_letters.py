"""What cannot be read is kept, bounded, seen and handed in again: store, command line and API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner import acts
from runner.config import Retention
from runner.errors import BadDelivery, Refused
from runner.incident import Level
from runner.project import Project
from runner.store import audit_log, dead_letters, deliveries, retention
from runner.store.database import Database
from runner.store.dead_letters import KEPT, MOST, DeadLetter
from runner.store.order import FairTurns
from runner.text.duration import parse as duration
from tests import small_project as small
from tests import web_site
from tests.command_line import answered, call

BAD = small.alert(host="web2") | {"labels": ["not", "labels"]}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def letters(database: Database, **wanted: Any) -> tuple[DeadLetter, ...]:
    with database.read() as tx:
        return dead_letters.find(tx, limit=1000, **wanted)


def add(database: Database, body: bytes, at: datetime = NOW, sender: str = "alertmanager") -> None:
    with database.write() as tx:
        dead_letters.add(
            tx,
            body=body,
            reason="no",
            source="webhook",
            sender=sender,
            ceiling=Level.AUTO,
            at=at,
        )


@pytest.mark.store
def test_the_same_again_counts_and_is_one_row(database: Database) -> None:
    """Invariant 14: Alertmanager sends a refused body at every flush."""
    for minute in range(3):
        add(database, b"x", NOW + timedelta(minutes=minute))
    (found,) = letters(database)
    assert (found.times, found.last_at - found.received_at) == (3, timedelta(minutes=2))


@pytest.mark.store
def test_a_sender_has_so_many_rows_of_so_many_bytes_and_pushes_out_only_its_own(
    database: Database,
) -> None:
    """Invariants 14 and 21: nobody fills the disk, and nobody hides what another one sent."""
    add(database, b"x" * (KEPT + 1), sender="user:ann")
    with database.write() as tx:
        for number in range(MOST + 5):
            dead_letters.add(
                tx,
                body=str(number).encode(),
                reason="no",
                source="webhook",
                sender="alertmanager",
                ceiling=Level.AUTO,
                at=NOW + timedelta(seconds=number),
            )
    found = letters(database)
    assert len(found) == MOST + 1
    oldest, newest = found[-1], found[0]
    assert (oldest.sender, oldest.size, len(oldest.body)) == ("user:ann", KEPT + 1, KEPT)
    assert not oldest.whole and newest.whole
    assert newest.text == str(MOST + 4)


@pytest.mark.store
def test_they_go_with_the_deliveries(database: Database) -> None:
    """Invariant 14."""
    add(database, b"x")
    keep = Retention(deliveries=duration("1d"))
    with database.write() as tx:
        assert "dead_letters" not in retention.sweep(tx, keep, NOW + timedelta(hours=23))
        assert retention.sweep(tx, keep, NOW + timedelta(hours=25))["dead_letters"] == 1


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Project]:
    project = small.project(small.make(tmp_path))
    yield project
    project.close()


def test_one_bad_alert_costs_only_itself(made: Project) -> None:
    """Invariant 1: the good ones are stored with it, in one transaction."""
    received = acts.deliver(made, small.body(small.alert(), BAD), source="webhook")
    assert (len(received.alerts), received.unread[0].position) == (1, 1)
    (letter,) = letters(made.database)
    assert (letter.delivery, letter.position) == (received.delivery, 1)
    assert json.loads(letter.body)["labels"] == ["not", "labels"]
    with made.database.read() as tx:
        stored = deliveries.next_open(tx, FairTurns())
    assert stored is not None and stored.alerts == 1


def test_a_refused_body_is_kept_with_its_sender(made: Project) -> None:
    with pytest.raises(BadDelivery):
        acts.deliver(made, b"{", source="webhook", sender="user:ann", ceiling=Level.OBSERVE)
    (letter,) = letters(made.database)
    assert (letter.body, letter.sender, letter.delivery) == (b"{", "user:ann", None)
    assert letter.ceiling is Level.OBSERVE and "not JSON" in letter.reason


def test_what_still_cannot_be_read_is_not_replayed(made: Project) -> None:
    acts.deliver(made, small.body(small.alert(), BAD), source="webhook")
    with pytest.raises(Refused, match=r"still cannot be read: .*labels"):
        acts.replay(made, 1, by="user:ann")
    assert len(letters(made.database)) == 1


def test_a_replay_is_a_delivery_of_whoever_sent_it(made: Project) -> None:
    """It counts as sent by its sender, at its level, and as asked for by both."""
    readable = json.dumps(small.alert()).encode()
    with made.database.write() as tx:  # as an older release left it
        dead_letters.add(
            tx, body=readable, reason="too new", source="webhook", sender="user:ann",
            ceiling=Level.OBSERVE, at=NOW, delivery=1, position=3,
        )  # fmt: skip
    received = acts.replay(made, 1, by="user:bob")
    with made.database.read() as tx:
        stored = deliveries.next_open(tx, FairTurns())
        (said,) = [row for row in audit_log.walk(tx) if row.action == "replay"]
    assert stored is not None and stored.id == received.delivery
    assert (stored.sender, stored.ceiling) == ("user:ann, user:bob", Level.OBSERVE)
    assert (said.actor, said.reason) == ("user:bob", "dead letter 1 replayed as delivery 1")
    assert letters(made.database) == () and len(letters(made.database, replayed=True)) == 1
    with pytest.raises(Refused, match="was replayed as delivery 1"):
        acts.replay(made, 1, by="user:bob")


def test_what_was_not_kept_whole_is_not_replayed(made: Project) -> None:
    add(made.database, b"[" + b" " * KEPT + b"]")
    with pytest.raises(Refused, match="only the first 65536 were kept"):
        acts.replay(made, 1, by="user:ann")


# The command line.

CASES = Path(__file__).parents[1] / "inputs"
SENT = {
    "W1-grafana-webhook": lambda body: body,
    "W2-one-bad-alert": lambda body: body,
    "W3-number-annotation": lambda body: body,
    "W4-bom": lambda body: b"\xef\xbb\xbf" + body,
    "a bare list": lambda _: json.dumps([small.alert() | {"status": {"state": "active"}}]).encode(),
}


def sent(name: str) -> bytes:
    path = CASES / name / "body.json"
    return SENT[name](path.read_bytes() if path.exists() else b"")


@pytest.mark.parametrize("name", SENT)
def test_what_people_send_is_taken_from_standard_input(name: str, tmp_path: Path) -> None:
    path = small.make(tmp_path)
    result = call(path, "alert", "handle", "-", "--no-wait", input=sent(name))
    assert (result.exit_code, result.stdout) == (0, "delivery 1 is stored\n"), result.output


def test_an_alert_that_cannot_be_read_is_said_and_is_2(tmp_path: Path) -> None:
    path = small.make(tmp_path)
    body = small.body(small.alert(), BAD)
    result = call(path, "alert", "handle", "-", "--no-wait", input=body)
    assert (result.exit_code, result.stdout) == (2, "delivery 1 is stored\n")
    assert "alert 1 is kept as a dead letter: The body is not version 4 at alerts.1.labels" in (
        result.stderr
    )


def test_what_a_list_holds_as_silenced_is_left_out_and_said(tmp_path: Path) -> None:
    quiet = small.alert() | {"status": {"state": "suppressed", "silencedBy": ["x"]}}
    path = small.make(tmp_path)
    result = call(path, "alert", "handle", "-", "--no-wait", input=json.dumps([quiet]).encode())
    assert result.exit_code == 0 and "1 silenced or inhibited alert left out" in result.stderr


def test_dead_letters_are_listed_shown_and_replayed(tmp_path: Path) -> None:
    path = small.make(tmp_path)
    assert "No dead letters" in call(path, "delivery", "list").stderr
    secret = small.body(small.alert())[:-1] + b', "password": "hunter2hunter2"\x1b'
    assert call(path, "alert", "handle", "-", input=secret).exit_code == 2
    listed = call(path, "delivery", "list").stdout
    assert "stdin" in listed and "not JSON" in listed
    shown = call(path, "delivery", "show", 1).stdout
    assert "hunter2" not in shown and "\x1b" not in shown and "SHA-256" in shown
    (found,) = answered(path, "delivery", "list")
    assert (found["whole"], found["times"]) == (True, 1) and "body" not in found
    assert answered(path, "delivery", "show", 1)["body"].startswith("{")
    assert call(path, "delivery", "show", 2).exit_code == 5
    refused = call(path, "delivery", "replay", 1, "--as", "ann")
    assert refused.exit_code == 6 and "still cannot be read" in refused.stderr


# The web.


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with web_site.site(web_site.project(tmp_path, web_site.GUARDED)) as client:
        yield client


def post(client: httpx.Client, content: bytes, who: dict[str, str], **more: str) -> httpx.Response:
    return client.post("/api/v1/alerts", content=content, headers=who | more)


@pytest.mark.parametrize("name", SENT)
def test_what_people_send_is_taken_by_the_webhook(name: str, client: httpx.Client) -> None:
    answer = post(client, sent(name), web_site.ALERTMANAGER)
    assert (answer.status_code, answer.json()) == (200, {"delivery": 1, "unread": []})


def test_the_webhook_names_what_it_could_not_read(client: httpx.Client) -> None:
    answer = post(client, small.body(small.alert(), BAD), web_site.ALERTMANAGER)
    assert answer.status_code == 200
    (unread,) = answer.json()["unread"]
    assert unread["alert"] == 1 and "alerts.1.labels" in unread["reason"]


def test_refused_bodies_are_kept_but_not_of_strangers(client: httpx.Client) -> None:
    """Invariant 21: who shows no credential leaves nothing behind."""
    assert post(client, b"{", {}).status_code == 401
    assert client.get("/api/v1/dead-letters", headers=web_site.VERA).json() == []
    assert post(client, b"{", web_site.ALERTMANAGER).status_code == 400
    wrong = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(client, b"a=b", web_site.ADAM, **wrong).status_code == 415
    second, first = client.get("/api/v1/dead-letters", headers=web_site.VERA).json()
    assert (first["sender"], second["sender"]) == ("alertmanager", "user:adam")
    assert "Content-Type" in second["reason"]


def test_who_may_see_and_who_may_replay(client: httpx.Client) -> None:
    post(client, b"{", web_site.ALERTMANAGER)
    at = "/api/v1/dead-letters/1"
    assert client.get(at, headers=web_site.VERA).json()["body"] == "{"
    assert client.get(at, headers=web_site.ALERTMANAGER).status_code == 403
    for who, status in ((web_site.VERA, 403), (web_site.ANNA, 403), (web_site.ADAM, 409)):
        assert client.post(f"{at}/replay", headers=who).status_code == status
    assert client.get("/api/v1/dead-letters/7", headers=web_site.VERA).status_code == 404
