"""The Prometheus client: bounded, in sentences, and right about a real server."""

from __future__ import annotations

import gzip
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runner.config import Prometheus
from runner.errors import RemoteData, RemoteError
from runner.evidence import gather
from runner.evidence.prometheus import PrometheusClient
from runner.incident import Alert, AlertStatus
from tests.real_alertmanager import RealPrometheus, eventually, start_prometheus

__all__ = ["start_prometheus"]  # a fixture

AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Fake(ThreadingHTTPServer):
    """A server that answers every request with one prepared answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.authorization: list[str | None] = []

    def say(self, data: Any, status: int = 200) -> None:
        self.status, self.body = status, json.dumps(data).encode()

    def result(self, result: Any) -> None:
        self.say({"status": "success", "data": {"result": result}})


class _Handler(BaseHTTPRequestHandler):
    server: Fake

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.authorization.append(self.headers["Authorization"])
        self.send_response(self.server.status)
        length = {"Content-Length": str(len(self.server.body))}
        for name, value in (length | self.server.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(fake: Fake) -> Iterator[PrometheusClient]:
    settings = Prometheus.model_validate(
        {"url": f"http://127.0.0.1:{fake.server_port}/", "timeout": "2s"}
    )
    one = PrometheusClient(settings, max_body=10_000)
    yield one
    one.close()


def test_it_gives_samples(fake: Fake, client: PrometheusClient) -> None:
    fake.result(
        [
            {"metric": {"a": "1"}, "value": [1, "0.5"]},
            {"metric": {}, "value": [1, "NaN"]},
            {"metric": {}, "value": [1, "+Inf"]},
            {"metric": {}, "histogram": [1, {"count": "3"}]},
        ]
    )
    samples = client.query("x", AT)
    assert [sample.known for sample in samples] == [True, False, True, False]
    assert (samples[0].labels, samples[0].value, samples[2].value) == ({"a": "1"}, 0.5, math.inf)
    asked = parse_qs(urlsplit(fake.paths[0]).query)
    assert (asked["query"], asked["time"]) == (["x"], [f"{AT.timestamp():.3f}"])


def test_a_scalar_is_one_sample(fake: Fake, client: PrometheusClient) -> None:
    fake.result([1, "7"])
    assert [sample.value for sample in client.query("7")] == [7.0]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>not JSON</html>",
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"data": null}',
        b'{"data": {"result": null}}',
        b'{"data": {"result": [null]}}',
        b'{"data": {"result": [{"metric": {}, "value": [1]}]}}',
        b'{"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}',
        b'{"data": {"result": [{"metric": [], "value": [1, "2"]}]}}',
        b'{"data": {"result": [{"metric": {}, "values": [[1, "2"]]}]}}',
        b'{"data": {"result": "text"}}',
        b'{"data": {"result": [{"metric": {}, "value": [1, ' + b"9" * 5000 + b"]}]}}",
        b"[" * 5000,
        b"\xff\xfe\x00",
    ],
)
def test_what_was_not_promised_is_said_so(
    fake: Fake, client: PrometheusClient, body: bytes
) -> None:
    """Invariant 10: a strange answer is an error, never an empty result."""
    fake.body = body
    with pytest.raises(RemoteData, match=r"Prometheus at 127\.0\.0\.1"):
        client.query("x")
    with pytest.raises(RemoteData):
        client.rules()


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (422, True), (429, False), (503, False)]
)
def test_a_refusal_names_status_and_reason(
    fake: Fake, client: PrometheusClient, status: int, permanent: bool
) -> None:
    fake.say({"status": "error", "error": "parse error: \x1b[31munexpected"}, status)
    with pytest.raises(RemoteError) as caught:
        client.query("x{")
    assert caught.value.permanent is permanent
    assert f"answered {status}: parse error: \\x1b[31munexpected" in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_has_a_greatest_size(fake: Fake, client: PrometheusClient, packed: bool) -> None:
    """Invariant 14: an answer of any size, also a compressed one, is bounded."""
    fake.result([{"metric": {"a": "x" * 20_000}, "value": [1, "1"]}])
    if packed:
        fake.body, fake.headers = gzip.compress(fake.body), {"Content-Encoding": "gzip"}
    with pytest.raises(RemoteData, match="more than 10000 bytes"):
        client.query("x")


def test_it_logs_in_with_what_the_file_says_now(fake: Fake, tmp_path: Path) -> None:
    """Invariant 13: tokens come from a file, and a rotated one needs no restart."""
    token = tmp_path / "token"
    settings = Prometheus.model_validate(
        {
            "url": f"http://127.0.0.1:{fake.server_port}",
            "auth": {"bearer_token_file": str(token)},
        }
    )
    client = PrometheusClient(settings)
    for text in ("one", "two"):
        token.write_text(text)
        fake.result([])
        client.query("x")
        fake.say({"data": {"groups": []}})
        client.rules()
    client.close()
    assert fake.authorization == ["Bearer one"] * 2 + ["Bearer two"] * 2


def test_a_server_that_does_not_answer_is_named() -> None:
    """Invariant 14: a question ends at its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        client = PrometheusClient(
            Prometheus.model_validate({"url": f"http://{address}", "timeout": "100ms"})
        )
        with pytest.raises(RemoteError) as caught:
            client.query("x")
        client.close()
    assert str(caught.value) == f"Prometheus at {address} did not answer within 100ms"


def test_a_password_in_the_url_is_not_in_the_message() -> None:
    """Invariant 13: errors are shown, so they hold no secret."""
    client = PrometheusClient(Prometheus(url="http://ann:hunter2@127.0.0.1:1/"))
    with pytest.raises(RemoteError) as caught:
        client.query("x")
    client.close()
    assert str(caught.value) == "Prometheus at 127.0.0.1:1 cannot be reached"
    assert caught.value.__suppress_context__


def rule(name: str = "A", query: str = "x", **labels: str) -> dict[str, Any]:
    return {
        "type": "alerting",
        "name": name,
        "query": query,
        "duration": 60,
        "keepFiringFor": 30,
        "labels": labels,
    }


def test_it_reads_the_alerting_rules(fake: Fake, client: PrometheusClient) -> None:
    rules = [rule(query="rate(x[5m]) > 1"), {"type": "recording", "name": "b", "query": "y"}]
    fake.say({"data": {"groups": [{"interval": 15, "rules": rules}]}})
    (one,) = client.rules()
    assert (one.name, one.lookback) == ("A", timedelta(minutes=6, seconds=45))


@pytest.mark.parametrize(
    ("labels", "expr", "query"),
    [
        ({"severity": "page"}, None, "page"),
        ({"severity": "warn"}, None, "warn"),
        ({"severity": "other"}, None, "any"),
        ({"severity": "page"}, "any", "any"),
        ({"severity": "page"}, "somewhere else", "page"),
    ],
)
def test_it_finds_the_rule_of_an_alert(
    fake: Fake, client: PrometheusClient, labels: dict[str, str], expr: str | None, query: str
) -> None:
    rules = [
        rule(query="any", team="{{ $labels.team }}") | {"labels": {}},
        rule(query="page", severity="page"),
        rule(query="warn", severity="warn"),
        rule(name="B", query="other", severity="page"),
    ]
    fake.say({"data": {"groups": [{"interval": 15, "rules": rules}]}})
    found = client.rule_of("A", labels, expr)
    assert found is not None and found.query == query


def test_no_rule_of_the_name_is_none(fake: Fake, client: PrometheusClient) -> None:
    fake.say({"data": {"groups": []}})
    assert client.rule_of("A", {}) is None


def test_it_reads_active_alerts(fake: Fake, client: PrometheusClient) -> None:
    at = "2026-03-04T11:59:00.123456789Z"
    fake.say({"data": {"alerts": [{"labels": {"a": "1"}, "state": "firing", "activeAt": at}]}})
    (one,) = client.alerts()
    assert (one.state, one.active_at) == ("firing", AT - timedelta(minutes=1))


def test_policy_verification_and_gathering_load_no_client() -> None:
    """Heavy imports stay where a Prometheus is configured."""
    code = (
        "import sys, runner.evidence.gather, runner.evidence.mask, runner.verify, runner.policy;"
        "sys.exit(bool({'requests', 'prometheus_api_client'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


RULES = """
groups:
  - name: test
    rules:
      - alert: Hot
        expr: max_over_time(heat{instance=~".+"}[3s]) > 0.5
        for: 1s
        labels: {severity: page}
"""


@pytest.mark.real
def test_a_real_prometheus_gives_evidence(
    start_prometheus: Callable[..., RealPrometheus],
) -> None:
    server = start_prometheus('heat{unit="a"} 0.75\nsick NaN\n', rules=RULES)
    server.wait_for("heat")
    client = PrometheusClient(Prometheus(url=server.url))
    (sample,) = client.query("heat > 0.5")
    assert (sample.value, sample.labels["unit"]) == (0.75, "a")
    assert [one.known for one in client.query("sick")] == [False]
    assert client.query("heat > 1") == ()
    with pytest.raises(RemoteError, match="parse error") as caught:
        client.query("heat{")
    assert caught.value.permanent
    found = client.rule_of("Hot", sample.labels | {"severity": "page"})
    assert found is not None and found.lookback == timedelta(seconds=5)
    eventually(lambda: [a for a in client.alerts() if a.state == "firing"], "a firing alert")

    now = datetime.fromtimestamp(time.time(), UTC)
    alert = Alert(
        fingerprint="f" * 16,
        status=AlertStatus.FIRING,
        labels=dict(sample.labels) | {"alertname": "Hot", "severity": "page"},
        annotations={},
        starts_at=now,
    )
    (shown,) = gather.rule(client, alert, at=now)
    assert "max_over_time(heat" in shown.text and "0.75" in shown.text
    (vital,) = gather.vitals(client, "127.0.0.1", at=now)
    assert "up: 1 (127.0.0.1:" in vital.text and "CPU used: unknown, no data" in vital.text
    client.close()
