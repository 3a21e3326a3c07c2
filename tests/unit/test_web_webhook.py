"""The webhook: what is acknowledged is stored, and what is refused says why in one sentence."""

from __future__ import annotations

import json
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner import acts, config
from runner.cli.metrics import WebMetrics
from runner.incident import Approval, Decision, Level, State
from runner.project import Project
from runner.steps.ask import ask
from runner.steps.judge import judge
from runner.steps.rehearse import rehearse
from runner.store import approvals, database, deliveries, incidents, records
from runner.store.order import FairTurns
from runner.web import ready, webhook
from tests import small_project as small
from tests import web_site
from tests.store.test_admit import Desk


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    return web_site.project(tmp_path, {"allow_anonymous": True, "max_body": 200_000})


def stored(project: Project) -> deliveries.StoredDelivery | None:
    with project.database.read() as tx:
        return deliveries.next_open(tx, FairTurns())


def deliver(client: httpx.Client, content: Any, **headers: str) -> httpx.Response:
    return client.post("/api/v1/alerts", content=content, headers=headers)


def test_it_acknowledges_only_what_is_stored(opened: Project) -> None:
    """Invariant 1: the very bytes are on disk once 200 is there."""
    content = web_site.body(3)
    with web_site.site(opened) as client:
        answer = deliver(client, content)
        assert answer.status_code == 200
        with sqlite3.connect(opened.database.file) as other:
            rows = other.execute("select id, body, alerts, done from deliveries").fetchall()
        other.close()
    assert rows == [(answer.json()["delivery"], content, 3, 0)]


def test_alerts_that_were_acknowledged_are_counted(opened: Project) -> None:
    message = json.loads(web_site.body(3))
    message["alerts"][0] |= {"status": "resolved", "endsAt": "2026-03-04T12:05:00Z"}
    metrics = WebMetrics(opened.database)
    with web_site.site(opened, metrics=metrics) as client:
        assert deliver(client, json.dumps(message)).status_code == 200
        assert deliver(client, "no message").status_code == 400
        told = metrics.exposition().decode()
    assert 'runner_alerts_received_total{status="firing"} 2.0' in told
    assert 'runner_alerts_received_total{status="resolved"} 1.0' in told


def test_the_query_can_lower_the_level(opened: Project) -> None:
    with web_site.site(opened) as client:
        assert (
            client.post("/api/v1/alerts?level=observe", content=web_site.body()).status_code == 200
        )
        kept = stored(opened)
        assert kept is not None and kept.ceiling is Level.OBSERVE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"not json",
        b"\xff\xfe",
        b'{"version": "3", "alerts": []}',
        b'{"version": "4"}',
        b"[" * 50_000,
        json.dumps({"version": "4", "alerts": [{"labels": {"a": "<script>" * 99}}]}).encode(),
    ],
)
def test_what_is_no_message_is_refused_in_a_short_sentence(opened: Project, content: bytes) -> None:
    with web_site.site(opened) as client:
        answer = deliver(client, content)
        assert answer.status_code == 400
        assert len(answer.json()["error"]) <= 200
        assert "<script>" not in answer.text
        assert stored(opened) is None


def test_an_unknown_level_is_refused_for_good(opened: Project) -> None:
    with web_site.site(opened) as client:
        answer = client.post("/api/v1/alerts?level=%1b[31mroot", content=web_site.body())
        assert answer.status_code == 400
        assert "root" not in answer.text


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x"])
def test_a_compressed_body_is_refused(opened: Project, encoding: str) -> None:
    with web_site.site(opened) as client:
        headers = {"Content-Encoding": encoding}
        assert deliver(client, web_site.body(), **headers).status_code == 415


def test_a_form_is_refused(opened: Project) -> None:
    with web_site.site(opened) as client:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert deliver(client, web_site.body(), **headers).status_code == 415


@pytest.mark.parametrize("path", ["/api/v1/alerts/", "//api/v1/alerts", "/api/v1/Alerts"])
def test_it_never_redirects(opened: Project, path: str) -> None:
    with web_site.site(opened) as client:
        answer = client.post(f"{client.base_url}".rstrip("/") + path, content=web_site.body())
        assert answer.status_code in (404, 405)


def raw(client: httpx.Client, head: str, *parts: bytes) -> bytes:
    """What the server answers to bytes, until it closes the connection."""
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port or 80), timeout=10) as connection:
        lines = f"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n"
        connection.sendall(lines.encode())
        for part in parts:
            connection.sendall(part)
        answer = b""
        with suppress(ConnectionResetError):  # what it has not read is thrown away
            while more := connection.recv(4096):
                answer += more
        return answer


def test_a_body_that_says_it_is_too_long_is_not_waited_for(opened: Project) -> None:
    """Invariant 14: not one byte of it is read."""
    with web_site.site(opened) as client:
        answer = raw(client, "Content-Length: 200001")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()


def test_a_chunked_body_is_cut_off_at_the_limit(opened: Project) -> None:
    """Invariant 14: the sender never says how long it is and never ends."""
    with web_site.site(opened) as client:
        chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
        answer = raw(client, "Transfer-Encoding: chunked", chunk, chunk, b"1\r\nx\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")


def test_two_ways_to_say_how_long_a_body_is_are_refused(opened: Project) -> None:
    """Invariant 21: behind a proxy that reads the other one, the rest would be a second request."""
    with web_site.site(opened) as client:
        second = b"GET /api/v1/incidents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        head = "Content-Length: 5\r\nTransfer-Encoding: chunked"
        answer = raw(client, head, b"0\r\n\r\n" + second)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_stranger_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    with web_site.site(web_site.project(tmp_path, web_site.GUARDED)) as client:
        assert raw(client, "Content-Length: 1000").startswith(b"HTTP/1.1 401 ")


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    """Invariant 14: a slow sender holds nothing for ever."""
    listen = {"allow_anonymous": True, "limits": {"body": "50ms"}}
    with web_site.site(web_site.project(tmp_path, listen)) as client:
        answer = raw(client, "Content-Length: 1000", b"{")
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_any_other_body_is_bounded_too(opened: Project) -> None:
    with web_site.site(opened) as client:
        answer = client.post("/api/v1/pause", json={"reason": "x" * 70_000})
        assert answer.status_code == 413


def test_a_locked_store_is_said_to_be_down(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: nothing was stored, so 503 asks Alertmanager to send it again."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with web_site.site(opened) as client:
        with sqlite3.connect(opened.database.file, isolation_level=None) as other:
            other.execute("begin exclusive")
            answer = deliver(client, web_site.body())
            other.execute("rollback")
        other.close()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert stored(opened) is None
        assert deliver(client, web_site.body()).status_code == 200


def test_nobody_waits_long_behind_a_locked_store(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: all are told to come again, not one after the other's whole wait."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(webhook, "TURN_SECONDS", 0.01)
    with web_site.site(opened) as client:
        with sqlite3.connect(opened.database.file, isolation_level=None) as other:
            other.execute("begin exclusive")
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: deliver(client, web_site.body()), range(4)))
            other.execute("rollback")
        other.close()
        assert [answer.status_code for answer in answers] == [503] * 4
        assert deliver(client, web_site.body()).status_code == 200


def test_a_full_disk_is_said_to_be_down(opened: Project) -> None:
    """Invariant 1: SQLite itself says that there is no room."""
    with web_site.site(opened) as client:
        _limit_pages(opened, add=2)
        answer = deliver(client, web_site.body(200))
        assert answer.status_code == 503
        assert "disk" not in answer.text
        _limit_pages(opened, add=1_000_000)
        assert deliver(client, web_site.body(200)).status_code == 200


def _limit_pages(opened: Project, *, add: int) -> None:
    """From now on the store may grow by so many pages, on every connection."""
    import sqlalchemy as sa

    def limit(connection: Any, record: Any) -> None:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages + add}")

    sa.event.listen(opened.database.engine, "connect", limit)
    opened.database.engine.dispose()


def test_a_store_that_is_down_is_not_ready(
    opened: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "FRESH", 0.0)
    with web_site.site(opened) as client:
        assert client.get("/readyz").status_code == 200
        opened.database.engine.dispose()
        for file in tmp_path.glob("runner.db*"):
            file.unlink()
        (tmp_path / "runner.db").mkdir()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert deliver(client, web_site.body()).status_code == 503


def test_a_defect_of_ours_is_answered_with_its_number(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **rest: Any) -> int:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(acts, "deliver", broken)
    with web_site.site(opened) as client:
        answer = deliver(client, web_site.body())
        assert answer.status_code == 500
        assert "error " in answer.json()["error"] and "secret" not in answer.text


def test_every_answer_of_the_webhook_is_counted(opened: Project) -> None:
    with web_site.site(opened) as client:
        app = client_app(client)
        deliver(client, web_site.body())
        deliver(client, b"{}")
        raw(client, "Content-Length: 200001")
        client.get("/api/v1/incidents")
        assert app.state.metrics.statuses == [200, 400, 413]


def client_app(client: httpx.Client) -> Any:
    return client.app  # type: ignore[attr-defined]


def test_who_delivers_an_alert_cannot_approve_what_comes_of_it(tmp_path: Path) -> None:
    """An admin's token can invent an alert; then another person must approve (four eyes)."""
    path = small.make(tmp_path, settings={"level": "approve"}, entry={"dry_run": "none"})
    opened = Project(config.load(path, listen={"port": 0, **web_site.GUARDED}))
    with web_site.site(opened) as client:
        content = small.body(small.alert())
        assert (
            client.post("/api/v1/alerts", content=content, headers=web_site.ADAM).status_code == 200
        )
        question = asked(opened)
        assert question.requested_by == "user:adam"
        given = {"answer": "approved", "plan": question.plan}
        at = f"/api/v1/approvals/{question.id}"
        refused = client.post(at, json=given, headers=web_site.ADAM)
        assert refused.status_code == 409
        assert "another person must approve" in refused.json()["error"]
        assert client.post(at, json=given, headers=web_site.ANNA).status_code == 200
        found = client.get("/api/v1/incidents/1", headers=web_site.VERA).json()
    assert found["incident"]["sender"] == "user:adam"
    first = found["transitions"][0]
    assert first["reason"] == "Down is firing (received from webhook by user:adam)"


def asked(project: Project) -> Approval:
    """The question that comes of the only delivery there is."""
    while Desk(project.database).inbox.step():
        pass
    with project.database.write() as tx:
        chosen = Decision(decider="rules", entry="mark", reason="it fits", confidence=1.0)
        records.put_decision(tx, 1, chosen)
        incidents.move(tx, 1, State.DECIDED, "chosen", entry="mark", hosts=["web1"])
    for step in (judge, rehearse, ask):
        step(project, 1)
    with project.database.read() as tx:
        (question,) = approvals.open_approvals(tx)
    return question


@pytest.mark.parametrize(
    ("listen", "who", "sender"),
    [
        (web_site.GUARDED, web_site.ALERTMANAGER, "alertmanager"),
        ({"allow_anonymous": True}, {}, "anonymous"),
    ],
)
def test_a_token_of_nobody_is_named_as_itself(
    tmp_path: Path, listen: dict[str, Any], who: dict[str, str], sender: str
) -> None:
    """No person asked for what it brings, so any person may approve it."""
    opened = web_site.project(tmp_path, listen)
    with web_site.site(opened) as client:
        client.post("/api/v1/alerts", content=web_site.body(), headers=who)
        kept = stored(opened)
    assert kept is not None and kept.sender == sender
