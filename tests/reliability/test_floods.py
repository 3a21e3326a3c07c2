"""Who sends badly, slowly or too much harms only itself. Real processes on loopback, bounded."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from runner.incident import State
from runner.store import incidents, records, tables
from tests import small_project as small
from tests.acceptance.service_lab import REPOSITORY, SERVE, end
from tests.notify_servers import Web, web
from tests.real_alertmanager import free_port
from tests.reliability.record import Injected

pytestmark = [pytest.mark.real, pytest.mark.slow]

TOKEN = "a-token-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DESCRIPTORS = 1024  #: of the runner
#: Seconds in which health and a valid alert must be answered: five times what is promised.
AT_ONCE = 5.0
#: Seconds in which a critical alert must be decided: five times what is promised.
DECIDED = 300.0


class Site:
    """`runner serve` with a token, few descriptors and short limits, in a process of its own."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.port = free_port()
        self.log = root / "runner.log"
        listen = {
            "port": self.port,
            "auth": {"bearer_token_file": str(root / "token")},
            "limits": {"headers": "3s"},
        }
        self.config = small.make(root, settings={"listen": listen, "level": "observe"} | settings)
        (root / "token").write_text(TOKEN)
        self._out = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LIMITED, "-c", str(self.config), "serve"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )
        self.project = small.project(self.config)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.health() < 30
        except httpx.TransportError:
            return False

    def health(self) -> float:
        """Seconds until /healthz was answered, on a connection of its own."""
        began = time.monotonic()
        url = f"http://127.0.0.1:{self.port}/healthz"
        assert httpx.get(url, timeout=30, trust_env=False).is_success
        return time.monotonic() - began

    def deliver(self, body: bytes) -> float:
        """Seconds until a delivery was acknowledged."""
        began = time.monotonic()
        url = f"http://127.0.0.1:{self.port}/api/v1/alerts"
        headers = {**BEARER, "Content-Type": "application/json"}
        answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        return time.monotonic() - began

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def close(self) -> None:
        self.project.close()
        end(self.process)
        self._out.close()


_LIMITED = (
    "import resource; "
    f"resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS})); " + SERVE
)


@contextmanager
def serving(root: Path, **settings: Any) -> Iterator[Site]:
    site = Site(root, **settings)
    try:
        small.until(site.answers, "`runner serve` answers")
        yield site
    finally:
        site.close()


@pytest.fixture(autouse=True)
def descriptors() -> None:
    """The sender needs some, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))


def ended(site: Site) -> int:
    """How many incidents have ended."""
    with site.project.database.read() as tx:
        return sum(n for state, n in incidents.counts(tx).items() if State(state).ended)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it; what it said before that is read."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.fault("slow_headers")
def test_half_sent_requests_take_nothing_from_others(tmp_path: Path, fault: Injected) -> None:
    """Invariant 21: they are closed after a time, and the one that waited longest makes room."""
    with serving(tmp_path) as site, ExitStack() as held:
        half = []
        for _ in range(1200):
            one = held.enter_context(site.connection())
            one.sendall(b"POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\n")
            half.append(one)
        fault.failure(len(half))
        slowest = 0.0
        for _ in range(12):
            slowest = max(slowest, site.health())
            for one in half[-50:]:
                try:
                    one.send(b"X")  # a byte now and then buys no time
                except OSError:
                    pass
            time.sleep(0.5)
        slowest = max(slowest, site.deliver(small.body(small.alert("Unknown"))))
        small.until(lambda: all(closed(one) for one in half), "every half is closed", 30)
        small.until(lambda: ended(site) == 1, "the alert is handled")
        fault.alerts(told=1, found=ended(site))
        fault.saw("connections closed", len(half))
        assert slowest < AT_ONCE
    assert site.log.stat().st_size < 1_000_000


@pytest.mark.fault("slow_bodies")
def test_slow_bodies_take_nothing_from_others(tmp_path: Path, fault: Injected) -> None:
    """Invariant 21: a body is waited for by what came of it."""
    head = (
        f"POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    ).encode()
    with serving(tmp_path) as site, ExitStack() as held:
        slow = [held.enter_context(site.connection()) for _ in range(200)]
        for one in slow:
            one.sendall(head + b"{")
        fault.failure(len(slow))
        slowest, told, ends = 0.0, 0, time.monotonic() + 60
        while not all(closed(one) for one in slow):
            assert time.monotonic() < ends, "a slow body is still waited for"
            for one in slow:
                try:
                    one.send(b" ")
                except OSError:
                    pass
            if told < 5:
                told += 1
                slowest = max(slowest, site.deliver(small.body(small.alert(f"Unknown{told}"))))
            time.sleep(1)
        small.until(lambda: ended(site) == told, "the alerts are handled")
        fault.alerts(told=told, found=ended(site))
        fault.saw("bodies refused", len(slow))
        assert slowest < AT_ONCE


def flood(site: Site, count: int) -> int:
    """Alerts of one host: half of them join one another, half are of services of their own."""
    alerts = [
        small.alert(
            "Noise", number=str(n), severity="warning", service=f"s{n}" if n % 2 else "shop"
        )
        for n in range(count)
    ]
    for begin in range(0, count, 500):
        site.deliver(small.body(*alerts[begin : begin + 500]))
    return count


def critical(site: Site, since: float) -> float:
    """Seconds until a critical alert of another host was decided."""
    site.deliver(small.body(small.alert("Down", host="web2", severity="critical")))

    def decided() -> bool:
        with site.project.database.read() as tx:
            query = sa.select(tables.incidents.c.id).where(tables.incidents.c.alertname == "Down")
            number = tx.execute(query).scalar()
            return number is not None and records.decisions_of(tx, number) != ()

    small.until(decided, "the critical alert is decided", DECIDED)
    return time.monotonic() - since


def incidents_of(site: Site) -> tuple[int, int]:
    """(incidents, different fingerprints)"""
    rows = tables.incidents.c
    with site.project.database.read() as tx:
        query = sa.select(sa.func.count(), sa.func.count(sa.distinct(rows.fingerprint)))
        found, different = tx.execute(query).one()
    return int(found), int(different)


@pytest.mark.fault("flood_of_one_host")
def test_a_flood_of_one_host_does_not_delay_another(tmp_path: Path, fault: Injected) -> None:
    """Invariant 21: hosts take turns, in the inbox and in the queue."""
    with serving(tmp_path) as site:
        told = flood(site, fault.times(2000, 200))
        fault.failure(told)
        took = critical(site, time.monotonic())
        fault.saw("critical alerts decided in time")
        small.until(lambda: incidents_of(site)[0] > told, "every alert is admitted", DECIDED)
        assert incidents_of(site) == (told + 1, told + 1)
        assert took < DECIDED
        print(f"decided after {took:.1f} s")


@pytest.mark.nightly
def test_ten_thousand_alerts_of_one_host(tmp_path: Path) -> None:
    """Invariant 21: as above to its end; what joined wakes once, and nothing grows by waiting."""
    with serving(tmp_path) as site:
        told = flood(site, 10_000)
        took = critical(site, time.monotonic())
        assert took < DECIDED
        print(f"decided after {took:.1f} s")
        began = time.monotonic()
        small.until(lambda: ended(site) > told, "every alert has ended", 3600)
        print(f"ended after {time.monotonic() - began:.0f} s")
        assert incidents_of(site) == (told + 1, told + 1)


def storm(count: int) -> bytes:
    """One delivery with so many hosts that the inventory does not know."""
    alerts = [
        small.alert("NodeDown", host=f"storm{n:04d}", severity="critical") for n in range(count)
    ]
    return small.body(*alerts)


def receiving(receiver: Web) -> dict[str, Any]:
    """Settings of a site that tells this receiver."""
    chat = {"name": "chat", "url": f"json://{receiver.address}"}
    return {"notify": {"console": False, "receivers": [chat], "storm": {"quiet": "5s"}}}


def messages(receiver: Web) -> tuple[list[str], list[str]]:
    """(those about a storm, those about one incident)"""
    subjects = [str(body["title"]) for body in receiver.bodies]
    about = [one for one in subjects if one in ("[runner] storm", "[runner] digest")]
    return about, [one for one in subjects if one not in about]


def weathered(site: Site, receiver: Web, count: int) -> None:
    """The storm has come, and its digest."""
    site.deliver(storm(count))
    known = small.alert("Unfit", host="web1", severity="critical")
    site.deliver(small.body(known))
    small.until(lambda: ended(site) == count + 1, "every alert has ended", 600)
    small.until(lambda: "[runner] digest" in messages(receiver)[0], "the digest is sent", 60)


@pytest.mark.fault("storm_of_unknown")
def test_a_storm_of_unknown_hosts_is_three_messages_at_most(
    tmp_path: Path, fault: Injected
) -> None:
    """Invariant 21: with the critical alert of a known host told by itself."""
    count = fault.times(400, 100)
    with web() as receiver, serving(tmp_path, **receiving(receiver)) as site:
        weathered(site, receiver, count)
        about, single = messages(receiver)
        fault.failure(count)
        fault.alerts(told=count + 1, found=ended(site))
        fault.saw("messages about the storm", len(about))
        assert len(about) <= 3
        assert single == [f"[runner] #{count + 1} Unfit web1"]


@pytest.mark.nightly
def test_two_thousand_unknown_hosts(tmp_path: Path) -> None:
    """Invariant 21: as above, with as many as were seen to be 2,000 messages."""
    with web() as receiver, serving(tmp_path, **receiving(receiver)) as site:
        weathered(site, receiver, 2000)
        about, single = messages(receiver)
        assert len(about) <= 3
        assert single == ["[runner] #2001 Unfit web1"]
