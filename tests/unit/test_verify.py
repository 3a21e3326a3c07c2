"""Verification is three-valued: unknown never becomes fixed, and it always ends."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.entry import VerifyCheck
from runner.errors import Refused, RemoteError
from runner.incident import Check, Result, Verification
from runner.verify import (
    LONGEST,
    Observation,
    Sources,
    combine,
    conclude,
    deadline,
    fill_url,
    http_status,
    observe_once,
    returns_bool,
    settle,
    subjects,
    verify,
)

START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FIXED, NOT_FIXED, UNKNOWN = Result.FIXED, Result.NOT_FIXED, Result.UNKNOWN
CLEARED = VerifyCheck(alert="cleared")


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def seen(*results: Result, every: float = 5) -> list[Observation]:
    return [(START + s(number * every), result) for number, result in enumerate(results)]


@dataclass(frozen=True)
class Point:
    value: float


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, step: float = 0) -> None:
        self.now, self.step, self.slept = START, step, 0

    def __call__(self) -> datetime:
        self.now += s(self.step)
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.now += s(seconds)


def watch(
    answers: Sequence[Result],
    clock: Clock | None = None,
    *,
    within: float = 60,
    hold: float = 10,
    lookback: float = 0,
    cancelled: Callable[[], bool] = lambda: False,
    checks: Sequence[VerifyCheck] = (CLEARED,),
    results: Mapping[str, object] | None = None,
    early: bool = False,
) -> tuple[Verification, Clock]:
    """Verifies an alert that Alertmanager answers with `answers`, the last for ever."""
    given_answers, clock = iter(answers), clock or Clock()
    last = answers[-1]
    verification = verify(
        checks,
        Sources(alert_cleared=lambda: next(given_answers, last), results=results or {}),
        within=s(within),
        hold=s(hold),
        poll=s(5),
        lookback=s(lookback),
        now=clock,
        sleep=clock.sleep,
        cancelled=cancelled,
        early=early,
    )
    return verification, clock


# settle


@pytest.mark.parametrize(
    ("results", "now", "answer"),
    [
        ([], 0, None),
        ([], 60, UNKNOWN),
        ([FIXED], 0, None),
        ([FIXED] * 3, 10, FIXED),
        ([FIXED] * 2, 10, None),
        ([FIXED, UNKNOWN, FIXED], 10, None),
        ([FIXED, NOT_FIXED, FIXED], 10, None),
        ([NOT_FIXED, FIXED, FIXED, FIXED], 15, FIXED),
        ([FIXED, FIXED, FIXED, NOT_FIXED], 15, None),
        ([FIXED, FIXED, FIXED, UNKNOWN], 60, UNKNOWN),
        ([FIXED, FIXED, NOT_FIXED], 60, NOT_FIXED),
        ([NOT_FIXED, FIXED, FIXED], 60, NOT_FIXED),
        ([NOT_FIXED, UNKNOWN, UNKNOWN, UNKNOWN], 60, UNKNOWN),
        ([UNKNOWN], 60, UNKNOWN),
        ([FIXED], 60, UNKNOWN),
    ],
)
def test_it_settles(results: list[Result], now: float, answer: Result | None) -> None:
    """Invariant 10: only what was seen to hold is fixed; the deadline makes the rest an answer."""
    assert settle(seen(*results), START + s(now), START + s(60), s(10)) is answer


def test_one_look_is_enough_when_nothing_must_hold() -> None:
    assert settle(seen(FIXED), START, START + s(60), s(0)) is FIXED
    assert settle(seen(UNKNOWN), START, START + s(60), s(0)) is None


def test_a_gap_is_not_a_hold() -> None:
    """Invariant 10: what happened while nobody looked is unknown."""
    observations = seen(FIXED, FIXED, every=600)
    assert settle(observations, START + s(600), START + s(900), s(30), gap=s(75)) is None
    assert settle(observations, START + s(600), START + s(900), s(30)) is FIXED


def test_a_clock_that_went_back_breaks_the_hold() -> None:
    observations = [(START + s(100), FIXED), (START, FIXED)]
    assert settle(observations, START, START + s(900), s(10)) is None


@given(
    st.lists(st.tuples(st.sampled_from(Result), st.integers(1, 20)), max_size=30),
    st.integers(0, 60),
    st.integers(0, 300),
)
def test_fixed_means_that_the_last_hold_was_all_fixed(
    looks: list[tuple[Result, int]], hold: int, end: int
) -> None:
    """Invariant 10: for any sequence, fixed only if the last `hold` was fixed throughout."""
    observations, now = [], START
    for result, pause in looks:
        now += s(pause)
        observations.append((now, result))
    answer = settle(observations, now, START + s(end), s(hold))
    recent = [result for at, result in observations if now - at <= s(hold)]
    if answer is FIXED:
        assert set(recent) == {FIXED}
        assert observations[-1][0] - observations[0][0] >= s(hold)
    elif answer is None:
        assert now < START + s(end)
    else:
        assert answer is (NOT_FIXED if NOT_FIXED in recent else UNKNOWN)


# combine, deadline, conclude


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        ([], UNKNOWN),
        ([FIXED], FIXED),
        ([FIXED, UNKNOWN], UNKNOWN),
        ([FIXED, NOT_FIXED], NOT_FIXED),
        ([UNKNOWN, NOT_FIXED], NOT_FIXED),
    ],
)
def test_it_combines_checks(results: list[Result], answer: Result) -> None:
    """Invariant 10: no checks at all prove nothing."""
    checks = [Check(kind="alert", target="cleared", result=r, seen="") for r in results]
    assert combine(checks) is answer


def test_the_deadline_waits_out_the_look_back_window() -> None:
    assert deadline(START, within=s(60), hold=s(30)) == START + s(60)
    assert deadline(START, within=s(60), hold=s(30), lookback=s(300)) == START + s(330)


def test_the_deadline_has_a_bound() -> None:
    """Invariant 14: a look-back window of a month does not make a month of waiting."""
    assert deadline(START, within=s(60), hold=s(30), lookback=timedelta(30)) == START + LONGEST


def test_the_reason_names_what_stood_against_it() -> None:
    bad = Check(kind="promql", target="up == 1", result=NOT_FIXED, seen="it gives nothing")
    verification = conclude(NOT_FIXED, [bad], started=START, at=START + s(90), hold=s(30))
    assert verification.reason == "Not fixed after 1m30s: promql up == 1: it gives nothing."


# verify


def test_it_is_fixed_once_it_held() -> None:
    verification, clock = watch([NOT_FIXED, FIXED])
    assert verification.result is FIXED
    assert clock.now == START + s(15)
    assert verification.reason == "Fixed: every check held for 10s, 15s after the run."


def test_flapping_is_not_fixed() -> None:
    verification, _ = watch([FIXED, NOT_FIXED] * 30)
    assert verification.result is NOT_FIXED


def test_a_silent_source_is_unknown_at_the_deadline() -> None:
    """Invariant 10: unknown is not closed as fixed."""
    verification, clock = watch([UNKNOWN])
    assert verification.result is UNKNOWN
    assert clock.now == START + s(60)


def test_it_waits_out_the_look_back_window() -> None:
    late = [NOT_FIXED] * 60 + [FIXED]
    assert watch(late)[0].result is NOT_FIXED
    assert watch(late, lookback=300)[0].result is FIXED


REPORTED = VerifyCheck(result={"healthy": True})


@pytest.mark.parametrize(
    ("checks", "results", "answer", "slept"),
    [
        ([REPORTED], {}, UNKNOWN, 0),
        ([REPORTED], {"healthy": False}, NOT_FIXED, 0),
        ([CLEARED, REPORTED], {"healthy": False}, NOT_FIXED, 0),
        ([CLEARED, REPORTED], {}, NOT_FIXED, 12),  # the alert may yet say more
        ([REPORTED], {"healthy": True}, FIXED, 2),  # it holds as long as it has to
    ],
)
def test_what_the_play_reported_does_not_change_by_waiting(
    checks: list[VerifyCheck], results: dict[str, object], answer: Result, slept: int
) -> None:
    verification, clock = watch([NOT_FIXED], checks=checks, results=results, early=True)
    assert (verification.result, clock.slept) == (answer, slept)


def test_what_would_be_run_again_has_the_time_to_come_well_by_itself() -> None:
    verification, clock = watch([NOT_FIXED], checks=[REPORTED], results={"healthy": False})
    assert (verification.result, clock.slept) == (NOT_FIXED, 12)


def test_a_cancel_in_the_first_look_is_not_taken_for_an_answer() -> None:
    cancel = {"early": True, "cancelled": lambda: True, "checks": [REPORTED]}
    verification, _ = watch([NOT_FIXED], results={"healthy": False}, **cancel)  # type: ignore[arg-type]
    assert "cancelled" in verification.reason and verification.result is UNKNOWN


def test_it_stops_when_it_is_cancelled() -> None:
    verification, clock = watch([NOT_FIXED], cancelled=lambda: True)
    assert (verification.result, clock.slept) == (UNKNOWN, 0)
    assert "cancelled" in verification.reason


def test_it_ends_even_when_the_clock_stands_still() -> None:
    """Invariant 14: everything that waits has an end."""
    clock = Clock()
    verification = verify(
        [CLEARED],
        Sources(),
        within=s(60),
        hold=s(1),
        poll=s(0),
        now=lambda: START,
        sleep=clock.sleep,
    )
    assert verification.result is UNKNOWN
    assert clock.slept < 700


@given(st.lists(st.sampled_from(Result), min_size=1, max_size=20), st.integers(0, 40))
def test_a_verification_is_fixed_only_if_it_held(answers: list[Result], hold: int) -> None:
    """Invariant 10: for any answers, `hold` worth of looks before a fix were all fixed."""
    verification, clock = watch(answers, hold=hold)
    looks = [answers[min(n, len(answers) - 1)] for n in range(clock.slept + 1)]
    if verification.result is FIXED:
        assert set(looks[-(math.ceil(hold / 5) + 1) :]) == {FIXED}
    assert clock.now <= START + s(60)


# checks


def look(check: VerifyCheck, **sources: object) -> tuple[Result, str]:
    (one,) = observe_once([check], Sources(**sources))  # type: ignore[arg-type]
    return one.result, one.seen


@pytest.mark.parametrize("result", list(Result))
def test_the_alert_check_passes_on_what_alertmanager_says(result: Result) -> None:
    assert look(CLEARED, alert_cleared=lambda: result)[0] is result


def test_without_sources_everything_is_unknown() -> None:
    """Invariant 10: a check that nobody can look at is unknown."""
    checks = [
        CLEARED,
        VerifyCheck(promql="up == 1"),
        VerifyCheck(http="http://$host/"),
        VerifyCheck(result={"healthy": True}),
    ]
    assert {check.result for check in observe_once(checks, Sources())} == {UNKNOWN}


@pytest.mark.parametrize("error", [RemoteError("it is down"), KeyError("x"), RecursionError()])
def test_a_source_that_fails_is_unknown(error: Exception) -> None:
    """Invariant 10: an error is missing data, whatever it is."""

    def fail() -> Result:
        raise error

    assert look(CLEARED, alert_cleared=fail)[0] is UNKNOWN


QUERY = VerifyCheck(promql='up{instance="$instance"} == 1')


def answering(answers: Mapping[str, list[float]]) -> Callable[[str], list[Point]]:
    return lambda promql: [Point(value) for value in answers.get(promql, [])]


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ({'up{instance="a:1"} == 1': [1.0], 'up{instance="a:1"}': [1.0]}, FIXED),
        ({'up{instance="a:1"}': [0.0]}, NOT_FIXED),
        ({}, UNKNOWN),
        ({'up{instance="a:1"} == 1': [math.nan]}, UNKNOWN),
        ({'up{instance="a:1"} == 1': [1.0, math.nan]}, UNKNOWN),
    ],
)
def test_a_query_tells_no_from_no_data(answers: dict[str, list[float]], result: Result) -> None:
    """Invariant 10: a series that is gone is unknown, not fixed and not broken."""
    assert look(QUERY, query=answering(answers), values={"instance": "a:1"})[0] is result


def test_a_query_that_answers_zero_or_one_is_read() -> None:
    check = VerifyCheck(promql="up == bool 1")
    assert look(check, query=answering({"up == bool 1": [0.0]}))[0] is NOT_FIXED
    assert look(check, query=answering({"up == bool 1": [1.0]}))[0] is FIXED


def test_a_label_cannot_leave_its_quotes() -> None:
    """Invariant 5: a label value never becomes PromQL."""
    asked: list[str] = []
    evil = '"} or vector(1) #'
    look(QUERY, query=lambda promql: asked.append(promql) or [], values={"instance": evil})  # type: ignore[func-returns-value]
    assert asked[0] == 'up{instance="\\"} or vector(1) #"} == 1'


@pytest.mark.parametrize(
    ("promql", "parts"),
    [
        ("up == 1", ("up",)),
        ('up{a="b > 1"} > 0.5', ('up{a="b > 1"}',)),
        ("rate(x[5m]) <= 1e-3", ("rate(x[5m])",)),
        ("a == 1 and b > -2", ("a", "b")),
        ("a == 1 AND on(x) b > 2", ("a", "b")),
        ("a > 1 unless b > 1", ("a",)),
        ("a > 1 or b > 1", ()),
        ("a > b", ()),
        ("a", ()),
        ('absent(up{x="1"})', ('up{x="1"}',)),
        ("absent_over_time(up[5m])", ("present_over_time(up[5m])",)),
        ("(a > 1)", ()),
        ("1 < a", ()),
        ("", ()),
        ("sum(a == 1) by (x) >= 2", ("sum(a == 1) by (x)",)),
        ("a != 0 # == 3", ()),
    ],
)
def test_it_finds_what_must_have_data(promql: str, parts: tuple[str, ...]) -> None:
    assert subjects(promql) == parts


@given(st.text(alphabet="ab=!<>()[]{}\"'` \\#1or nd", max_size=40))
def test_any_text_can_be_read_for_its_subjects(promql: str) -> None:
    assert isinstance(subjects(promql), tuple)
    assert isinstance(returns_bool(promql), bool)


def test_bool_in_a_string_is_a_string() -> None:
    assert returns_bool("(up == bool 1)")
    assert not returns_bool('up{mode="a bool b"} == 1')


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        ({"healthy": True, "members": 3}, FIXED),
        ({"healthy": False, "members": 3}, NOT_FIXED),
        ({"healthy": True}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_the_play_must_have_reported_it(results: dict[str, object], answer: Result) -> None:
    """Invariant 10: what the play did not report is unknown."""
    check = VerifyCheck(result={"healthy": True, "members": 3})
    assert look(check, results=results)[0] is answer


def test_no_wanted_result_proves_nothing() -> None:
    assert look(VerifyCheck(result={}), results={"x": 1})[0] is UNKNOWN


# http

ADDRESSES = frozenset({"web1", "192.0.2.7", "2001:db8::7"})


@pytest.mark.parametrize(
    ("template", "values", "url"),
    [
        ("http://$host:8080/health", {"host": "web1"}, "http://web1:8080/health"),
        ("https://${host}/", {"host": "192.0.2.7"}, "https://192.0.2.7/"),
        ("http://$host:80/", {"host": "2001:db8::7"}, "http://[2001:db8::7]:80/"),
        ("http://$instance/x?y=1", {"instance": "web1:9100"}, "http://web1:9100/x?y=1"),
        ("http://$instance/", {"instance": "[2001:db8::7]:81"}, "http://[2001:db8::7]:81/"),
        ("http://lb.example.com/health", {}, "http://lb.example.com/health"),
    ],
)
def test_it_fills_urls(template: str, values: dict[str, str], url: str) -> None:
    assert fill_url(template, values, ADDRESSES) == url


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("http://$host/", "169.254.169.254"),
        ("http://$host/", "web1@evil.example.com"),
        ("http://$host/", "web1/../../admin"),
        ("http://$host/", "web1:80@evil.example.com:80"),
        ("http://$host/", "web1#"),
        ("http://$host/", "evil.example.com/web1"),
        ("http://$host/", ""),
        ("http://$host/", "web1:99999999"),
        ("http://$host/", "web1\n"),
        ("http://$other/", "web1"),
        ("http://web1/$host", "web1"),
        ("file:///etc/$host", "web1"),
        ("ftp://$host/", "web1"),
        ("$host", "web1"),
    ],
)
def test_it_calls_only_hosts_of_the_plan(template: str, value: str) -> None:
    """Invariant 5: a label never becomes an address that the inventory does not have."""
    with pytest.raises(Refused):
        fill_url(template, {"host": value}, ADDRESSES)


@given(st.text(max_size=30))
def test_no_value_reaches_another_host(value: str) -> None:
    """Invariant 5: whatever the label says, the URL's host is the plan's."""
    try:
        url = fill_url("http://$host/health", {"host": value}, ADDRESSES)
    except Refused:
        return
    assert httpx.URL(url).host in ADDRESSES


def test_every_host_of_the_run_is_checked() -> None:
    """Invariant 10: one healthy host of three is not a fix."""
    asked: list[str] = []
    sources = Sources(
        http=lambda url: asked.append(url) or (200 if "7" in url else 503),  # type: ignore[func-returns-value]
        query=lambda promql: asked.append(promql) or [Point(1)],  # type: ignore[func-returns-value]
        hosts=(("web1", "192.0.2.7"), ("web2", "2001:db8::8")),
        addresses=frozenset({"192.0.2.7", "2001:db8::8"}),
    )
    checks = [VerifyCheck(http="http://$host/"), VerifyCheck(promql='up{host="${host}"} == 1')]
    looks = observe_once(checks, sources)
    assert asked[:2] == ["http://192.0.2.7/", "http://[2001:db8::8]/"]
    assert asked[2:] == ['up{host="web1"} == 1', 'up{host="web2"} == 1']
    assert [look.result for look in looks] == [FIXED, NOT_FIXED, FIXED, FIXED]
    assert looks[1].seen == "web2: it answers 503, wanted is 200"
    assert combine(looks) is NOT_FIXED


@pytest.fixture
def server() -> Iterator[str]:
    """A server that answers 200 to /health, 302 to /moved, else 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/health": 200, "/moved": 302}.get(self.path, 503))
            self.send_header("Location", "/health")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://$host:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "result"), [("/health", FIXED), ("/moved", NOT_FIXED), ("/broken", NOT_FIXED)]
)
def test_the_url_must_answer_the_status_itself(server: str, path: str, result: Result) -> None:
    sources = {
        "http": http_status,
        "values": {"host": "127.0.0.1"},
        "addresses": frozenset({"127.0.0.1"}),
    }
    assert look(VerifyCheck(http=server + path), **sources)[0] is result


def test_a_url_that_does_not_answer_is_unknown() -> None:
    """Invariant 10: no answer is no proof of anything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        check = VerifyCheck(http=f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert look(check, http=http_status)[0] is UNKNOWN


def test_a_server_that_trickles_does_not_hold_it_up() -> None:
    """Invariant 14: the look ends though a byte comes now and then."""
    done = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.02):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(httpx.HTTPError):
            http_status(f"http://127.0.0.1:{port}/", timeout=s(0.2))
        done.set()
        thread.join()


def test_sources_are_data() -> None:
    assert replace(Sources(), results={"a": 1}).results == {"a": 1}
