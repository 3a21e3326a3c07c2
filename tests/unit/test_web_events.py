"""Live events from the real server: none twice, none lost, none for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.project import Project
from runner.store import incidents
from runner.web import events
from tests import web_site

EVENTS = "/api/v1/events"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    return web_site.project(tmp_path)


def listen(client: httpx.Client, last: str | None = None) -> Any:
    headers = {} if last is None else {"Last-Event-ID": last}
    return client.stream("GET", EVENTS, headers=headers)


def frames(answer: httpx.Response) -> Iterator[dict[str, str]]:
    frame: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            yield frame
            frame = {}
        else:
            name, _, value = line.partition(": ")
            frame[name] = value


def sequence(opened: Project) -> int:
    with opened.database.read() as tx:
        return incidents.last_change(tx)


def test_a_transition_is_told_as_it_happens(opened: Project) -> None:
    with web_site.site(opened) as client, listen(client) as answer:
        told = frames(answer)
        assert next(told) == {"retry": "3000"}
        made = web_site.incident(opened, reason="line\nbreak \x1b")
        frame = next(told)
        content = json.loads(frame["data"])
        assert frame["event"] == "transition"
        assert (content["incident"], content["action"]) == (made, "admitted")
        assert content["reason"] == "line\nbreak \x1b"


def test_whoever_comes_back_gets_what_they_missed_once(opened: Project) -> None:
    with web_site.site(opened) as client:
        web_site.incident(opened)
        seen = sequence(opened)
        missed = [web_site.incident(opened, web_site.alert(f"{n:016x}")) for n in range(3)]
        with listen(client, str(seen)) as answer:
            told = frames(answer)
            next(told)
            new = web_site.incident(opened, web_site.alert("f" * 16))
            got = [next(told) for _ in range(4)]
    assert [json.loads(frame["data"])["incident"] for frame in got] == [*missed, new]
    assert [int(frame["id"]) for frame in got] == list(range(seen + 1, seen + 5))


@pytest.mark.parametrize("last", ["999999", "0"])
def test_whoever_was_away_for_too_long_reads_anew(
    opened: Project, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: what is sent again has a bound."""
    monkeypatch.setattr(events, "MAX_MISSED", 2)
    for n in range(4):
        web_site.incident(opened, web_site.alert(f"{n:016x}"))
    with web_site.site(opened) as client, listen(client, last) as answer:
        assert next(frames(answer))["event"] == "reset"


@pytest.mark.parametrize("last", ["", "-1", "x", "9" * 40, "1 2"])
def test_a_number_that_is_none_is_ignored(opened: Project, last: str) -> None:
    with web_site.site(opened) as client, listen(client, last) as answer:
        assert next(frames(answer)) == {"retry": "3000"}


def test_a_quiet_connection_is_kept_alive(opened: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    with web_site.site(opened) as client, listen(client) as answer:
        lines = answer.iter_lines()
        assert any(line.startswith(":") for line in lines)


def test_only_so_many_may_listen(tmp_path: Path) -> None:
    """Invariant 14: listeners have a bound, and leaving makes room."""
    listen_to = {"allow_anonymous": True, "limits": {"streams": 1}}
    opened = web_site.project(tmp_path, listen_to)
    with web_site.site(opened) as client:
        with listen(client):
            assert client.get(EVENTS).status_code == 429
        feed = client.app.state.feed  # type: ignore[attr-defined]
        while feed._listeners:
            web_site.incident(opened, web_site.alert(f"{sequence(opened):016x}"))
        with listen(client) as answer:
            assert answer.status_code == 200


def test_one_user_cannot_take_every_stream(tmp_path: Path) -> None:
    """Invariant 21: 64 streams of one viewer leave room for others."""
    with (
        web_site.site(web_site.project(tmp_path, web_site.GUARDED)) as client,
        ExitStack() as open_streams,
    ):
        statuses = []
        for _ in range(64):
            answer = open_streams.enter_context(client.stream("GET", EVENTS, headers=web_site.VERA))
            statuses.append(answer.status_code)
        assert statuses == [200] * 16 + [429] * 48
        assert answer.headers["retry-after"] == "30"
        with client.stream("GET", EVENTS, headers=web_site.ANNA) as other:
            assert other.status_code == 200


def test_a_listener_comes_back_after_a_while(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: a credential that was taken away does not listen for ever."""
    monkeypatch.setattr(events, "LIFETIME_SECONDS", 0.02)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    with web_site.site(opened) as client, listen(client) as answer:
        assert list(answer.iter_lines())


def test_stopping_the_server_ends_every_listener(opened: Project) -> None:
    with web_site.site(opened) as client, listen(client) as answer:
        client.app.state.feed.close()  # type: ignore[attr-defined]
        assert list(answer.iter_lines()) == ["retry: 3000", ""]


def test_a_listener_that_cannot_keep_up_is_let_go(opened: Project) -> None:
    """Invariant 14: what waits for one listener has a bound."""
    import asyncio

    web_site.incident(opened)
    with opened.database.read() as tx:
        from runner.store import audit_log

        item = audit_log.after(tx, 0)[0]
    opened.close()

    async def flood() -> Any:
        listener = events.Listener(asyncio.get_running_loop())
        for _ in range(events.MAX_WAITING + 1):
            listener.give(item)
        return listener.queue.qsize(), await listener.queue.get()

    assert asyncio.run(flood()) == (1, None)
