"""Alerts a second through the real server, and how long an acknowledgement takes.

A server in a process of its own, a SQLite file in a temporary folder, synchronous=FULL as in
production; clients over loopback. Nothing works on what is stored. `python -m bench.intake`.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import signal
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psutil

#: (alerts in a body, requests, clients at once)
CASES = ((1, 2000, 8), (10, 1500, 8), (10_000, 12, 2))
SUSTAINED = 100_000  #: alerts over which the server's memory is watched
SUSTAINED_BODY = 100
WARM = 50  #: requests before anything is measured


@dataclass(frozen=True, kw_only=True)
class Result:
    """One case: rate in alerts a second, times in milliseconds."""

    alerts: int
    clients: int
    rate: float
    p50: float
    p99: float


def main() -> None:
    """Print the figures, one line each."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(Path(folder), theirs)
        )
        server.start()
        try:
            _measure(ours.recv(), psutil.Process(server.pid))
        finally:
            ours.send("stop")
            server.join(30)


def serve(folder: Path, parent: Connection) -> None:
    """The server, until the parent says anything."""
    from runner import config
    from runner.cli.metrics import WebMetrics
    from runner.project import Project
    from runner.web.app import create_app
    from runner.web.serve import Server

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    content = {
        "listen": {"port": 0, "allow_anonymous": True},
        "store": {"url": f"sqlite:///{folder / 'runner.db'}"},
    }
    project = Project(config.build(content, root=folder))
    server = Server(create_app(project, WebMetrics(project.database)), project.config.listen)
    server.start()
    parent.send(server.url)
    parent.recv()
    server.stop()
    project.close()


def _measure(url: str, server: psutil.Process) -> None:
    _post(url, body(1), WARM, 2)
    print("alerts/body  clients  alerts/s   p50 ms   p99 ms")
    for alerts, requests, clients in CASES:
        found = _case(url, alerts, requests, clients)
        print(
            f"{found.alerts:>11,} {found.clients:>8} {found.rate:>9,.0f}"
            f" {found.p50:>8.1f} {found.p99:>8.1f}",
            flush=True,
        )
    _memory(url, server)


def _case(url: str, alerts: int, requests: int, clients: int) -> Result:
    began = time.perf_counter()
    times = _post(url, body(alerts), requests, clients)
    passed = time.perf_counter() - began
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Result(
        alerts=alerts,
        clients=clients,
        rate=alerts * requests / passed,
        p50=cuts[49] * 1000,
        p99=cuts[98] * 1000,
    )


def _memory(url: str, server: psutil.Process) -> None:
    """Resident memory before and after, once buffers have their size."""
    content = body(SUSTAINED_BODY)
    _post(url, content, WARM, 4)
    before = server.memory_info().rss
    _post(url, content, SUSTAINED // SUSTAINED_BODY, 4)
    after = server.memory_info().rss
    print(
        f"memory over {SUSTAINED:,} alerts: {before / 1e6:.1f} MB to {after / 1e6:.1f} MB"
        f" ({(after - before) / 1e6:+.1f} MB)"
    )


def _post(url: str, content: bytes, requests: int, clients: int) -> list[float]:
    """Seconds that each acknowledgement took. Raises when one was refused."""
    share = [requests // clients + (n < requests % clients) for n in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        parts = pool.map(lambda count: _client(url, content, count), share)
        return list(itertools.chain.from_iterable(parts))


def _client(url: str, content: bytes, count: int) -> list[float]:
    times = []
    headers = {"Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.post("/api/v1/alerts", content=content).raise_for_status()
            times.append(time.perf_counter() - began)
    return times


def body(alerts: int) -> bytes:
    """An Alertmanager message of this many alerts, each of the usual size."""
    made = [
        {
            "status": "firing",
            "labels": {
                "alertname": "ServiceDown",
                "instance": f"web-{n}.example.com:9100",
                "job": "node",
                "service": "shop",
                "severity": "critical",
            },
            "annotations": {
                "summary": f"web-{n} does not answer.",
                "runbook_url": "https://runbooks.example.com/ServiceDown",
            },
            "startsAt": "2026-03-04T12:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.com/graph?g0.expr=up",
            "fingerprint": f"{n:016x}",
        }
        for n in range(alerts)
    ]
    message = {
        "version": "4",
        "groupKey": "{}:{}",
        "status": "firing",
        "receiver": "runner",
        "groupLabels": {},
        "alerts": made,
    }
    return json.dumps(message).encode()


if __name__ == "__main__":
    main()
