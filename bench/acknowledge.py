"""How fast alerts are acknowledged while incidents are worked on; nothing leaves loopback."""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from bench.incidents import JSON, serving
from bench.measure import Measure
from tests import small_project as small

SECONDS = 12.0
CLIENTS = 4
#: (alerts in a body, goal in alerts a second)
CASES = ((1, 500), (10, 3_000), (100, 10_000))
BUSY_HOSTS = 30


def measure() -> Iterator[Measure]:
    for alerts, goal in CASES:
        with tempfile.TemporaryDirectory() as name, serving(Path(name)) as site:
            idle, _ = _rate(site.url, alerts, known=True)
            over = threading.Event()
            worker = threading.Thread(target=_keep_busy, args=(site.url, over))
            worker.start()
            time.sleep(3)  # until playbooks run
            rate, late = _rate(site.url, alerts, known=False)
            over.set()
            worker.join()
        what = f"acknowledged while playbooks run, {alerts} new a body"
        yield Measure(name=what, value=rate, unit="alerts/s", goal=f">= {goal}")
        yield Measure(name=f"{what}: p99", value=1000 * late, unit="ms", goal="< 100")
        yield Measure(name=what, value=rate / idle, control="known alerts, nothing to do", goal="")


def _keep_busy(url: str, over: threading.Event) -> None:
    """Alerts that playbooks answer, so many that there is always one to run."""
    for number in itertools.count():
        alerts = [small.alert("Down", f"web{n}", service=f"b{number}") for n in range(BUSY_HOSTS)]
        httpx.post(f"{url}/api/v1/alerts", content=small.body(*alerts), headers=JSON, timeout=60)
        if over.wait(5):
            return


def _rate(url: str, alerts: int, *, known: bool) -> tuple[float, float]:
    """(alerts a second, the 99th percentile in seconds) of some clients at once."""
    numbers = itertools.count()
    until = time.monotonic() + SECONDS

    def client(_: int) -> list[float]:
        times = []
        with httpx.Client(base_url=url, headers=JSON, timeout=60) as opened:
            while time.monotonic() < until:
                first = 0 if known else next(numbers) * alerts
                content = _body(first, alerts)
                began = time.perf_counter()
                opened.post("/api/v1/alerts", content=content).raise_for_status()
                times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(CLIENTS) as pool:
        times = list(itertools.chain.from_iterable(pool.map(client, range(CLIENTS))))
    return alerts * len(times) / SECONDS, statistics.quantiles(times, n=100)[98]


def _body(first: int, alerts: int) -> bytes:
    """Alerts that no entry fits."""
    made = [
        {
            "status": "firing",
            "labels": {"alertname": "Unheard", "instance": "web1:9100", "part": str(number)},
            "annotations": {"summary": "nobody knows what this is"},
            "startsAt": "2026-03-04T12:00:00.000Z",
        }
        for number in range(first, first + alerts)
    ]
    return json.dumps({"version": "4", "status": "firing", "alerts": made}).encode()
