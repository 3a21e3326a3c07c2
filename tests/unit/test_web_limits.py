"""What one client may take of the web server, and what a wrong credential costs."""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from runner.config import WebLimits
from runner.web import body as bodies
from runner.web import connections
from runner.web.body import Body, Places
from runner.web.logins import FREE, LONGEST_DELAY, MAX_ADDRESSES, FailedLogins
from runner.web.replies import Refusal
from tests import web_site

WRONG = {"Authorization": "Bearer guessed"}


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- connections ---------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    limits = {"connections": 20, "connections_per_address": 8, "headers": "300ms"}
    listen = {"allow_anonymous": True, "limits": limits}
    with web_site.site(web_site.project(tmp_path, listen)) as client:
        yield client


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.base_url.port or 80), timeout=10)


def healthy(one: socket.socket) -> None:
    """Ask on this connection, and read the whole answer."""
    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok\n"):
        part = one.recv(1000)
        assert part, "it was closed"
        answer += part


def reasons(client: httpx.Client) -> list[str]:
    return client.app.state.metrics.reasons  # type: ignore[attr-defined, no-any-return]


def gone(one: socket.socket) -> bool:
    try:
        return one.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_who_keeps_us_waiting_longest_makes_room(client: httpx.Client) -> None:
    """Invariant 21: too many connections of one address cost that address its oldest."""
    with ExitStack() as held:
        silent = [held.enter_context(connect(client)) for _ in range(8)]
        assert client.get("/healthz").status_code == 200
        assert gone(silent[0]) and reasons(client)[0] == "crowded"


def test_headers_that_do_not_end_have_a_time(client: httpx.Client) -> None:
    """Invariant 21: also on a connection that was answered before, and byte by byte."""
    with connect(client) as one:
        healthy(one)
        one.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError):
            for _ in range(20):
                one.sendall(b"x")
                time.sleep(0.1)
    assert reasons(client) == ["headers"]


def test_an_idle_connection_is_kept(client: httpx.Client) -> None:
    """Alertmanager keeps its connection for the next group."""
    with connect(client) as one:
        for _ in range(2):
            healthy(one)
            time.sleep(0.6)
    assert reasons(client) == []


@pytest.mark.parametrize(
    ("client", "counts_for"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (None, "unknown"),
    ],
)
def test_an_address_is_what_one_sender_has(client: tuple[str, int] | None, counts_for: str) -> None:
    assert connections.address_of(client) == counts_for


def test_connections_leave_descriptors_for_the_rest() -> None:
    """Invariant 21: the store and Ansible need some, whatever is asked for."""
    assert connections.room(WebLimits(), 1024) == 624
    assert connections.room(WebLimits(), 65536) == 1000
    assert connections.room(WebLimits(), 100) == 16


def test_the_descriptor_limit_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        wanted = min(before[1], connections.MAX_DESCRIPTORS)
        assert connections.raise_descriptors() == wanted
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# --- bodies --------------------------------------------------------------------------------


def read(length: int | None, *, chunk: int, every: float, within: float = 60) -> bytes:
    """The body that comes as `chunk` bytes `every` so many seconds."""
    headers = Headers({} if length is None else {"content-length": str(length)})
    left = length if length is not None else 10 * chunk

    async def receive() -> Message:
        nonlocal left
        await anyio.sleep(every)
        part = b"x" * min(chunk, left)
        left -= len(part)
        return {"type": "http.request", "body": part, "more_body": left > 0}

    return anyio.run(Body(headers, receive, 10**6, within).all)


def test_a_body_is_waited_for_by_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 21: one that cannot arrive in time at its pace is not waited for to the end."""
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.1)
    assert len(read(5000, chunk=1000, every=0.05)) == 5000
    began = time.monotonic()
    with pytest.raises(Refusal, match="too slowly") as refused:
        read(5000, chunk=1, every=0.02)
    assert refused.value.status == 408 and time.monotonic() - began < 30
    with pytest.raises(Refusal, match="too slowly"):
        read(None, chunk=1, every=0.02)


def test_large_bodies_of_one_address_leave_places_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 21: who waits too long for a place is asked to send again (invariant 1)."""
    monkeypatch.setattr(bodies, "PLACE_SECONDS", 0.05)

    async def crowd() -> None:
        places = Places()
        async with anyio.create_task_group() as group, anyio.create_task_group():
            full = anyio.Event()

            async def hold() -> None:
                async with places.place("192.0.2.1"):
                    await full.wait()

            for _ in range(bodies.LARGE_OF_ONE):
                group.start_soon(hold)
            await anyio.sleep(0.01)
            with pytest.raises(Refusal) as refused:
                async with places.place("192.0.2.1"):
                    pass
            assert refused.value.status == 503
            async with places.place("192.0.2.2"):
                full.set()
        assert not places._of and not places._wanted

    anyio.run(crowd)


# --- failed logins -------------------------------------------------------------------------


def test_each_failed_login_waits_longer() -> None:
    clock = Clock()
    failed = FailedLogins(clock)
    delays = []
    for _ in range(FREE + 9):
        delays.append(failed.delay("192.0.2.1"))
        failed.answered("192.0.2.1")
        clock.now += delays[-1]
    assert delays == [0.0] * FREE + [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert failed.delay("192.0.2.2") == 0.0, "others wait for nothing"
    clock.now += 3600
    assert failed.delay("192.0.2.1") == 0.0, "it is forgotten after a while"


def test_failures_in_parallel_wait_one_after_the_other() -> None:
    failed = FailedLogins(Clock())
    delays = [failed.delay("192.0.2.1") for _ in range(8)]
    assert delays == [0, 0, 0, 0.5, 1.5, 3.5, 7.5, 15.5]
    assert failed.delay("192.0.2.1") == 0.0, "a flood holds no more connections than that"


def test_failed_logins_are_remembered_in_bounded_memory() -> None:
    """Invariant 14: a sender with many addresses fills nothing."""
    failed = FailedLogins(Clock())
    for number in range(3 * MAX_ADDRESSES):
        failed.delay(str(number))
    assert len(failed._by_address) == MAX_ADDRESSES


def test_a_failed_login_leaves_a_trace_and_delays_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 21: whoever fails waits; a right credential beside it, from the same address,
    does not, so that failing holds up no delivery."""
    with (
        web_site.site(web_site.project(tmp_path, web_site.GUARDED)) as client,
        caplog.at_level(logging.WARNING),
    ):
        metrics = client.app.state.metrics  # type: ignore[attr-defined]
        for _ in range(FREE):
            assert client.get("/api/v1/incidents", headers=WRONG).status_code == 401
        with ExitStack() as held:
            for _ in range(5):  # the last of them waits for 15 s
                one = held.enter_context(connect(client))
                one.sendall(b"GET /api/v1/incidents HTTP/1.1\r\nHost: a\r\n")
                one.sendall(b"Authorization: Bearer guessed\r\n\r\n")
            while metrics.failed_logins < FREE + 5:
                time.sleep(0.01)
            began = time.monotonic()
            headers = web_site.ALERTMANAGER
            answer = client.post("/api/v1/alerts", content=web_site.body(), headers=headers)
            assert answer.status_code == 200 and time.monotonic() - began < LONGEST_DELAY / 3
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
        assert client.get("/api/v1/incidents").status_code == 401
        assert metrics.failed_logins == FREE + 5, "a browser that asks first has not failed"
    assert "a login from 127.0.0.1 failed" in caplog.text and "guessed" not in caplog.text
