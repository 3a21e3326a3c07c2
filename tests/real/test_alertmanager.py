from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from runner import config
from runner.config import Credentials
from runner.errors import ConfigError, RemoteData, RemoteError
from runner.intake.advice import advise
from runner.intake.alertmanager import Alertmanagers, Standing, exactly
from runner.intake.fingerprint import fingerprint
from runner.intake.payload import parse
from runner.text import storable
from tests.real_alertmanager import RealAlertmanager, Sink, eventually

pytest_plugins = ["tests.real_alertmanager"]

LABELS = {"alertname": "HttpDown", "instance": "web1"}
PRINT = fingerprint(LABELS)
ALERT: dict[str, Any] = {
    "fingerprint": PRINT,
    "labels": LABELS,
    "annotations": {"summary": "down"},
    "startsAt": "2026-11-21T00:11:14.842Z",
    "endsAt": "2026-11-21T00:16:14.842Z",
    "receivers": [{"name": "runner"}, {"name": "people"}],
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
}


def silenced(*ids: str) -> dict[str, Any]:
    status = {"state": "suppressed", "silencedBy": list(ids), "inhibitedBy": []}
    return ALERT | {"status": status}


Answer = httpx.Response | Exception | list[dict[str, Any]]


def peers(*answers: Answer, auth: Credentials | None = None) -> Alertmanagers:
    """One peer for each answer, which it gives to every question."""

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = answers[int(request.url.host.removeprefix("am"))]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer) if isinstance(answer, list) else answer

    asked: list[httpx.Request] = []
    found = Alertmanagers(
        [
            config.Alertmanager(url=f"http://am{number}:9093/prefix/", auth=auth or Credentials())
            for number in range(len(answers))
        ],
        transport=httpx.MockTransport(handle),
    )
    found.asked = asked  # type: ignore[attr-defined]
    return found


DOWN = httpx.ConnectError("refused")


def test_it_asks_only_for_what_fires_and_nobody_silenced():
    one = peers([ALERT])
    one.active_alerts(['severity="critical"'], "ok.rcv")
    (request,) = one.asked
    assert request.url.path == "/prefix/api/v2/alerts"
    assert dict(request.url.params) == {
        "active": "true",
        "silenced": "false",
        "inhibited": "false",
        "unprocessed": "false",
        "filter": 'severity="critical"',
        "receiver": r"ok\.rcv",
    }


def test_it_reads_an_active_alert():
    (alert,) = peers([ALERT]).active_alerts(receiver="people")
    assert (alert.fingerprint, alert.labels) == (PRINT, LABELS)
    assert alert.starts_at == datetime(2026, 11, 21, 0, 11, 14, 842000, tzinfo=UTC)
    assert (alert.ends_at, alert.receiver, alert.source) == (None, "people", "pull")


def test_it_merges_peers_by_fingerprint():
    later = ALERT | {"startsAt": "2026-11-21T00:12:00Z"}
    other = ALERT | {"labels": {"alertname": "Other"}}  # its fingerprint is only a note
    found = peers([later], [ALERT, other]).active_alerts()
    assert [alert.fingerprint for alert in found] == [PRINT, fingerprint(other["labels"])]
    assert found[0].starts_at.minute == 11


def test_it_leaves_out_what_a_server_returns_against_the_question():
    assert peers([silenced("s1")]).active_alerts() == ()


def test_a_peer_that_is_down_is_left_out_while_another_answers(caplog):
    with caplog.at_level(logging.WARNING):
        assert len(peers(DOWN, [ALERT]).active_alerts()) == 1
    assert "http://am0:9093/prefix/ does not answer" in caplog.text


def test_nothing_is_known_when_every_peer_is_down():
    """Invariant 10: no answer is not the answer that nothing fires."""
    with pytest.raises(RemoteError, match="does not answer: refused"):
        peers(DOWN, DOWN).active_alerts()
    with pytest.raises(RemoteError, match="No Alertmanager is configured"):
        peers().state_of(PRINT, LABELS)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json=[ALERT | {"fingerprint": ""}]),
        httpx.Response(200, json=[ALERT | {"startsAt": "soon"}]),
        httpx.Response(200, json=[ALERT | {"startsAt": "0001-01-01T00:00:00Z"}]),
        httpx.Response(200, json=[ALERT | {"status": {"state": "odd"}}]),
        httpx.Response(200, content=b"[" * 100_000),
    ],
)
def test_an_answer_of_another_form_is_an_error(answer):
    """Invariant 10: an answer that cannot be read is not an empty one."""
    with pytest.raises(RemoteData):
        peers(answer).active_alerts()


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (302, True), (429, False), (503, False)]
)
def test_a_refusal_says_whether_asking_again_helps(status, permanent):
    answer = httpx.Response(status, text="no\x1b[2J", headers={"Location": "http://evil/"})
    one = peers(answer)
    with pytest.raises(RemoteError) as caught:
        one.active_alerts()
    assert caught.value.permanent is permanent and str(status) in str(caught.value)
    assert str(caught.value).isprintable() and len(one.asked) == 1


def test_an_answer_has_a_bound(monkeypatch):
    """Invariant 14: no answer fills the memory."""
    monkeypatch.setattr("runner.intake.peer.MAX_ANSWER", 1000)
    with pytest.raises(RemoteData, match="more than 1000 bytes"):
        peers(httpx.Response(200, content=b" " * 2000)).active_alerts()


def test_it_logs_in():
    one = peers([], auth=Credentials(bearer_token="t0ken"))
    one.active_alerts()
    assert one.asked[0].headers["Authorization"] == "Bearer t0ken"


def test_a_password_in_the_url_is_used_and_not_shown(caplog):
    """Invariant 13: httpx logs the URL of every request."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    peer = config.Alertmanager(url="http://me:s3cret@am:9093")
    one = Alertmanagers([peer], transport=httpx.MockTransport(handle))
    with caplog.at_level(logging.DEBUG), pytest.raises(RemoteError) as caught:
        one.active_alerts()
    assert asked[0].headers["Authorization"].startswith("Basic ")
    assert "s3cret" not in str(caught.value) + caplog.text + one.status()[0].url


@pytest.mark.parametrize("url", ["am:9093", "file:///etc/passwd", "http://", "http://[::1", "//x"])
def test_a_url_that_is_none_is_a_mistake_of_the_configuration(url):
    with pytest.raises(ConfigError):
        Alertmanagers([config.Alertmanager(url=url)])


def test_rule_5_the_rest_of_a_truncated_group_is_fetched_by_its_labels():
    """Rule 5: `truncatedAlerts > 0`: fetch the rest from the API by groupLabels."""
    stray = ALERT | {"labels": {"alertname": "Other"}, "fingerprint": "1" * 16}
    one = peers([ALERT, stray])
    found = one.complete({"alertname": "HttpDown"}, "runner")
    assert [alert.fingerprint for alert in found] == [PRINT]
    assert one.asked[0].url.params.get_list("filter") == ['alertname="HttpDown"']
    assert one.asked[0].url.params["receiver"] == "runner"


@pytest.mark.parametrize(
    ("answers", "standing"),
    [
        ([[ALERT]], Standing.FIRING),
        ([[]], Standing.ABSENT),
        ([[ALERT | {"labels": {"alertname": "Other"}}]], Standing.ABSENT),
        ([[ALERT | {"fingerprint": "0" * 16}]], Standing.FIRING),
        ([[silenced("s1")]], Standing.SILENCED),
        ([[ALERT], [silenced("s1")]], Standing.SILENCED),
        ([[], [ALERT]], Standing.FIRING),
        ([DOWN, [ALERT]], Standing.FIRING),
        ([[ALERT | {"status": {"state": "unprocessed"}}]], Standing.UNPROCESSED),
        ([[ALERT | {"status": {"state": "suppressed"}}]], Standing.UNPROCESSED),
    ],
)
def test_rule_6_the_answer_that_allows_least_counts(answers, standing):
    """Rule 6: check against the API before execution; absent, silenced, inhibited: cancel."""
    state = peers(*answers).state_of(PRINT, LABELS)
    assert state.standing is standing
    assert state.firing is (standing is Standing.FIRING)


def test_rule_6_it_says_which_silence_and_since_when():
    state = peers([silenced("s1", "s2")]).state_of(PRINT, LABELS)
    assert state.by == ("s1", "s2") and "s1, s2" in state.reason
    assert state.starts_at == datetime(2026, 11, 21, 0, 11, 14, 842000, tzinfo=UTC)


def restarted(*ages: timedelta | None) -> Alertmanagers:
    """A peer for each age, none of which holds an alert; None has no start to tell."""

    def handle(request: httpx.Request) -> httpx.Response:
        age = ages[int(request.url.host.removeprefix("am"))]
        if not request.url.path.endswith("/status"):
            return httpx.Response(200, json=[])
        answer: dict[str, Any] = {
            "versionInfo": {"version": "0.34.0"},
            "cluster": {"status": "ready"},
            "config": {"original": ""},
        }
        if age is not None:
            answer["uptime"] = (datetime.now(UTC) - age).isoformat()
        return httpx.Response(200, json=answer)

    urls = [f"http://am{number}:9093" for number in range(len(ages))]
    transport = httpx.MockTransport(handle)
    return Alertmanagers([config.Alertmanager(url=url) for url in urls], transport=transport)


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize("ages", [[HOUR], [MINUTE, HOUR], [6 * MINUTE], [None]], ids=str)
def test_rule_7_absent_counts_where_somebody_could_know(ages):
    """Rule 7: a peer that was there all the time, or long enough to have been told again."""
    since = datetime.now(UTC) - 30 * MINUTE
    assert restarted(*ages).state_of(PRINT, LABELS, since=since).standing is Standing.ABSENT


def test_rule_7_absent_after_a_restart_is_not_known():
    """Invariant 10: Alertmanager keeps alerts in memory only."""
    since = datetime.now(UTC) - 30 * MINUTE
    with pytest.raises(RemoteError, match="restarted"):
        restarted(MINUTE, 2 * MINUTE).state_of(PRINT, LABELS, since=since)
    lately = datetime.now(UTC) - timedelta(seconds=20)  # it was told after its start
    assert restarted(MINUTE).state_of(PRINT, LABELS, since=lately).standing is Standing.ABSENT


def test_a_question_names_labels_exactly_and_leaves_out_what_it_cannot_name():
    labels = {
        "a": 'say "hi" \\ {x="y"},b=~".*"',
        "dotted.name": "x",
        "long": "x" * 300,
        "odd": "a\nb",
        "replaced": "a\ufffdb",
        "empty": "",
    }
    assert exactly(labels) == ['a="say \\"hi\\" \\\\ {x=\\"y\\"},b=~\\".*\\""']


def test_a_question_stays_short():
    assert len(exactly({f"n{number}": "v" for number in range(100)})) == 30


def test_status_tells_each_peer_apart():
    answer = {
        "versionInfo": {"version": "0.34.0"},
        "cluster": {"status": "ready"},
        "config": {"original": "route: {}"},
        "uptime": "2026-11-21T00:11:14.842Z",
    }
    good, bad = peers(httpx.Response(200, json=answer), DOWN).status()
    assert (good.version, good.cluster, good.error) == ("0.34.0", "ready", "")
    assert "refused" in bad.error


# With real ones.

HOOKED = """
route:
  receiver: runner
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
receivers:
- name: runner
  webhook_configs: [{{url: "{url}", max_alerts: 2}}]
inhibit_rules:
- source_matchers: [alertname="HostDown"]
  target_matchers: [alertname="HttpDown"]
  equal: [instance]
"""


@pytest.fixture
def client() -> Iterator[Callable[..., Alertmanagers]]:
    """A function (real Alertmanagers) that makes a client of all of them."""
    with contextlib.ExitStack() as made:

        def make(*real: RealAlertmanager) -> Alertmanagers:
            found = [config.Alertmanager(url=one.url) for one in real]
            return made.enter_context(Alertmanagers(found))

        yield make


@pytest.mark.real
def test_a_real_alertmanager_tells_how_an_alert_stands(
    start_alertmanager: Callable[..., RealAlertmanager],
    sink: Sink,
    client: Callable[..., Alertmanagers],
):
    real = start_alertmanager(HOOKED.format(url=sink.url))
    one = client(real)

    def standing(**labels: str) -> Standing:
        return one.state_of(fingerprint(labels), labels).standing

    assert standing(**LABELS) is Standing.ABSENT
    real.fire(**LABELS)
    assert standing(**LABELS) is Standing.FIRING
    real.fire(alertname="HostDown", instance="web1")
    eventually(lambda: standing(**LABELS) is Standing.INHIBITED, "inhibition")
    real.resolve(alertname="HostDown", instance="web1")
    eventually(lambda: standing(**LABELS) is Standing.FIRING, "the end of inhibition")
    silence = real.silence(instance="web1")
    state = one.state_of(PRINT, LABELS)
    assert (state.standing, state.by) == (Standing.SILENCED, (silence,))
    assert one.active_alerts() == ()


@pytest.mark.real
@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": 'say "hi" \\ {a="b"},c=~".*"', "instance": "web 1"},
        {"alertname": "lines\nand\ttabs\x1b", "x": "é 漢 🙂", "y": "\u202e"},
        {"alertname": "nul\x00inside"},
        {"alertname": "long" * 2000},
    ],
    ids=["quotes", "controls", "nul", "long"],
)
def test_a_real_alertmanager_finds_odd_labels_again(
    labels: dict[str, str], alertmanager: RealAlertmanager, client: Callable[..., Alertmanagers]
):
    alertmanager.fire(**labels)
    one = client(alertmanager)
    (alert,) = one.active_alerts()
    assert alert.fingerprint == fingerprint({name: storable(v) for name, v in labels.items()})
    state = one.state_of(alert.fingerprint, alert.labels)
    assert state.firing and state.starts_at == alert.starts_at


@pytest.mark.real
def test_the_webhook_and_the_api_name_the_same_activation(
    start_alertmanager: Callable[..., RealAlertmanager],
    sink: Sink,
    client: Callable[..., Alertmanagers],
):
    """Rule 4: the webhook writes nanoseconds, the API milliseconds."""
    real = start_alertmanager(HOOKED.format(url=sink.url))
    real.fire(starts_at="2026-01-01T00:00:00.123987654Z", **LABELS)
    body = sink.wait()
    assert b"00.123987654Z" in body
    hooked, pulled = parse(body).alerts[0], client(real).pull().alerts[0]
    assert (hooked.fingerprint, hooked.starts_at) == (pulled.fingerprint, pulled.starts_at)


@pytest.mark.real
def test_rule_5_with_a_real_truncated_group(
    start_alertmanager: Callable[..., RealAlertmanager],
    sink: Sink,
    client: Callable[..., Alertmanagers],
):
    real = start_alertmanager(HOOKED.format(url=sink.url))
    times = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2090-01-01T00:00:00Z"}
    real.post([{"labels": LABELS | {"n": str(number)}, **times} for number in range(5)])
    real.fire(alertname="Other", instance="web2")
    delivery = parse(sink.wait(lambda content: content["truncatedAlerts"] > 0))
    found = client(real).complete(delivery.group_labels, delivery.receiver)
    assert len(delivery.alerts) == 2 and {alert.labels["n"] for alert in found} == set("01234")
    assert {alert.fingerprint for alert in delivery.alerts} < {a.fingerprint for a in found}


@pytest.mark.real
def test_rule_12_two_real_peers_are_asked_and_one_may_be_down(
    start_alertmanager: Callable[..., RealAlertmanager], client: Callable[..., Alertmanagers]
):
    first, second = start_alertmanager(), start_alertmanager()
    first.fire(**LABELS)
    second.fire(alertname="Only", instance="here")
    one = client(first, second)
    assert len(one.pull().alerts) == 2
    first.stop()
    assert [alert.name for alert in one.active_alerts()] == ["Only"]
    second.stop()
    with pytest.raises(RemoteError):
        one.active_alerts()


@pytest.mark.real
def test_a_real_peer_tells_its_version_and_configuration(
    start_alertmanager: Callable[..., RealAlertmanager],
    sink: Sink,
    client: Callable[..., Alertmanagers],
):
    (status,) = client(start_alertmanager(HOOKED.format(url=sink.url))).status()
    assert status.error == "" and status.version and status.cluster == "disabled"
    said = advise(status.config, "runner")
    assert any("max_alerts" in sentence for sentence in said)


@pytest.mark.real
def test_a_receiver_s_name_is_not_a_pattern(
    alertmanager: RealAlertmanager, client: Callable[..., Alertmanagers]
):
    """Invariant 5: a dot in a name fits a dot only."""
    alertmanager.fire(**LABELS)
    one = client(alertmanager)
    assert len(one.active_alerts(receiver="none")) == 1
    assert one.active_alerts(receiver="n.ne") == () == one.active_alerts(receiver=".*")
    assert json.loads(one.pull(receiver="n.ne").raw)["receiver"] == r"n\.ne"
