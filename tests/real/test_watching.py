from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from runner.config import Watch
from runner.errors import ConfigError, RemoteData, RemoteError, StoreError
from runner.incident import AlertStatus
from runner.intake.payload import Delivery, parse
from runner.intake.watching import Follower, WatchLoop, look
from tests.real_alertmanager import RealPrometheus, Target, free_port

pytest_plugins = ["tests.real_alertmanager"]

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """A sample as the Prometheus client gives it."""

    labels: dict[str, str] = field(default_factory=dict)
    value: float = 1.0


def watch(**fields: Any) -> Watch:
    source = {} if "http" in fields else {"promql": "load > 1"}
    return Watch.model_validate({"name": "Web", "every": "10ms"} | source | fields)


def answering(reply: httpx.Response | Exception) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(reply, Exception):
            raise reply
        return reply

    return httpx.MockTransport(handle)


def seen(reply: httpx.Response | Exception, **fields: Any) -> list[str]:
    of = watch(http="http://web1.example.com/health", **fields)
    return [sighting.seen for sighting in look(of, None, answering(reply))()]


def caused_by(cause: OSError) -> httpx.ConnectError:
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("reply", "fields", "expected"),
    [
        (httpx.Response(200), {}, []),
        (httpx.Response(204), {"status": 204}, []),
        (httpx.Response(503), {}, ["HTTP 503 instead of 200"]),
        (
            httpx.Response(302, headers={"Location": "http://evil/"}),
            {},
            [
                "HTTP 302 instead of 200: it redirects to http://evil/, and redirects are not "
                "followed"
            ],
        ),
        (httpx.ReadTimeout("slow"), {}, ["no answer within 5s"]),
        (
            caused_by(ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
            {},
            ["[Errno 111] refused"],
        ),
        (httpx.RemoteProtocolError(""), {}, ["the connection broke"]),
    ],
)
def test_an_http_watch_sees_what_the_target_does(reply, fields, expected):
    assert seen(reply, **fields) == expected


@pytest.mark.parametrize(
    "cause",
    [
        socket.gaierror(-3, "Temporary failure in name resolution"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_trouble_on_our_side_says_nothing_of_the_target(cause):
    """Invariant 10: when we cannot ask, the target is unknown, not down."""
    with pytest.raises(RemoteError, match="cannot be asked"):
        seen(caused_by(cause))


def test_a_promql_watch_sees_each_series():
    samples = [Series({"instance": "a"}, 0.97), Series({"instance": "b"}, float("nan"))]
    found = look(watch(), lambda promql: samples if promql == "load > 1" else [])()
    assert [(one.labels["instance"], one.seen) for one in found] == [
        ("a", "value 0.97"),
        ("b", "value nan"),
    ]


def test_a_promql_watch_that_sees_too_much_sees_nothing():
    """Invariant 14: a query that fits everything does not start a thousand incidents."""
    with pytest.raises(RemoteData, match="more than 1000 series"):
        look(watch(), lambda _: [Series()] * 1001)()


def test_a_promql_watch_needs_prometheus():
    with pytest.raises(ConfigError, match=r"prometheus\.url"):
        WatchLoop([watch()], print)


def test_a_watch_s_url_is_checked_at_the_start():
    with pytest.raises(ConfigError):
        WatchLoop([watch(http="web1/health")], print)


def failing() -> Any:
    raise RemoteError("Prometheus does not answer.")


def test_it_warns_once_when_it_is_blind_and_says_when_it_sees_again(caplog):
    caplog.set_level(logging.INFO)
    looks = [failing] * 5 + [list]
    follower = Follower(watch(), lambda: looks.pop(0)(), pytest.fail, {})
    for number in range(6):
        follower.evaluate(START + timedelta(seconds=number))
    assert [record.action for record in caplog.records] == ["watch_blind", "watch_sees"]


def test_it_tells_how_often_in_a_row_it_could_not_look():
    looks, told = [failing, failing, list, list], []
    note = lambda watch, failures: told.append(failures)  # noqa: E731
    follower = Follower(watch(), lambda: looks.pop(0)(), pytest.fail, {}, note)
    for number in range(4):
        follower.evaluate(START + timedelta(seconds=number))
    assert told == [1, 2, 0]


def test_a_delivery_that_fails_is_made_again():
    """Invariant 1: what fires is not forgotten because the store was down."""
    delivered: list[Delivery] = []
    stores: list[Callable[[Delivery], object]] = [lambda _: failing_store(), delivered.append]
    source = look(watch(), lambda _: [Series()])
    follower = Follower(watch(), source, lambda delivery: stores.pop(0)(delivery), {})
    with pytest.raises(StoreError):
        follower.evaluate(START)
    follower.evaluate(START + timedelta(seconds=1))
    follower.evaluate(START + timedelta(seconds=2))
    assert len(delivered) == 1 and delivered[0].alerts[0].status is AlertStatus.FIRING


def failing_store() -> None:
    raise StoreError("The store is down.")


class Inbox:
    """Where a loop delivers; waits for the next delivery."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._arrived = threading.Condition()

    def __call__(self, delivery: Delivery) -> None:
        with self._arrived:
            self.deliveries.append(delivery)
            self._arrived.notify_all()

    def wait(self, count: int) -> list[Delivery]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.deliveries) >= count, 20)
            return self.deliveries


@contextlib.contextmanager
def running(loop: WatchLoop) -> Iterator[None]:
    loop.start()
    try:
        yield
    finally:
        assert loop.stop(20)


def test_the_loop_delivers_what_reads_back_as_a_webhook_body():
    inbox = Inbox()
    samples = [Series({"instance": "a"})]
    with running(WatchLoop([watch()], inbox, query=lambda _: samples)):
        (first,) = inbox.wait(1)[:1]
        samples.clear()
        second = inbox.wait(2)[1]
    assert parse(first.raw, source="watch") == first
    assert (first.source, first.group_key) == ("watch", "watch:Web")
    assert first.alerts[0].fingerprint == second.alerts[0].fingerprint
    assert second.alerts[0].status is AlertStatus.RESOLVED


def test_the_loop_goes_on_after_an_error_that_nobody_foresaw(caplog):
    inbox = Inbox()
    errors = [ZeroDivisionError("surprise"), StoreError("down")]

    def query(_: str) -> list[Series]:
        if errors:
            raise errors.pop(0)
        return [Series()]

    with running(WatchLoop([watch()], inbox, query=query)):
        inbox.wait(1)
    assert "surprise" in caplog.text


def test_the_loop_stops_while_a_watch_waits_for_its_next_turn():
    with running(WatchLoop([watch(every="1h")], print, query=lambda _: [])):
        pass


def test_a_loop_that_never_started_can_be_stopped():
    assert WatchLoop([watch()], print, query=lambda _: []).stop()


def test_the_loop_takes_over_its_own_alerts_from_before_a_restart():
    inbox = Inbox()
    with running(WatchLoop([watch()], inbox, query=lambda _: [Series()])):
        fired = inbox.wait(1)[0].alerts
    after = Inbox()
    two = [watch(), watch(name="Other")]
    with running(WatchLoop(two, after, query=lambda _: [], firing=fired)):
        (ended,) = after.wait(1)[0].alerts
    assert ended.status is AlertStatus.RESOLVED and len(after.deliveries) == 1


@pytest.mark.real
def test_an_http_watch_sees_a_real_server_go_away():
    target, inbox = Target("ok"), Inbox()
    assert look(watch(http=target.url), None)() == []
    with running(WatchLoop([watch(http=target.url)], inbox)):
        target.stop()
        (alert,) = inbox.wait(1)[0].alerts
    assert "Errno" in alert.annotations["seen"]  # refused, or reset while it stops


@pytest.mark.real
def test_an_http_watch_sees_a_port_where_nothing_listens():
    (sighting,) = look(watch(http=f"http://127.0.0.1:{free_port()}/"), None)()
    assert "refused" in sighting.seen


@pytest.mark.real
def test_a_name_that_does_not_resolve_is_unknown():
    """Invariant 10: a resolver in trouble is not the target's trouble."""
    with pytest.raises(RemoteError, match="cannot be asked"):
        look(watch(http="http://no-such-host.invalid/"), None)()


@pytest.mark.real
def test_a_promql_watch_fires_and_clears_with_a_real_prometheus(prometheus: RealPrometheus):
    def query(promql: str) -> list[Series]:
        return [Series(one["metric"], float(one["value"][1])) for one in prometheus.query(promql)]

    inbox = Inbox()
    prometheus.expose('load{disk="a"} 5\nload{disk="b"} 0\n')
    with running(WatchLoop([watch(every="200ms")], inbox, query=query)):
        (fired,) = inbox.wait(1)[0].alerts
        prometheus.expose("load 0\n")
        (ended,) = inbox.wait(2)[1].alerts
    assert fired.labels["disk"] == "a" and "__name__" not in fired.labels
    assert ended.status is AlertStatus.RESOLVED
