from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadDelivery
from runner.incident import Alert, AlertStatus
from runner.intake import payload
from runner.intake.fingerprint import fingerprint
from runner.intake.payload import Delivery, compose, moment, parse, quote, unquote
from tests.real_alertmanager import RealAlertmanager, Sink

pytest_plugins = ["tests.real_alertmanager"]

FIRING: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "HttpDown", "instance": "web1"},
    "annotations": {"summary": "web1 is down"},
    "startsAt": "2026-11-21T00:11:14.842Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example.com/graph",
    "fingerprint": fingerprint({"alertname": "HttpDown", "instance": "web1"}),
}


def body(*alerts: dict[str, Any], **fields: Any) -> bytes:
    content = {
        "version": "4",
        "receiver": "runner",
        "status": "firing",
        "groupKey": '{}:{alertname="HttpDown"}',
        "groupLabels": {"alertname": "HttpDown"},
        "externalURL": "http://alertmanager.example.com",
        "truncatedAlerts": 0,
        "alerts": list(alerts or [FIRING]),
    }
    return json.dumps(content | fields).encode()


def refusal(content: bytes) -> str:
    with pytest.raises(BadDelivery) as caught:
        parse(content)
    return str(caught.value)


# The twelve rules of a receiver, as far as the body decides them.


def test_rule_1_the_raw_body_is_kept_byte_for_byte_to_be_stored_before_anything_else():
    """Invariant 1: store the raw body first (rule 1); it reads back as the same delivery."""
    content = body().replace(b": ", b" :  ")
    assert parse(content).raw == content
    assert parse(parse(content).raw) == parse(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"text": "my own payload"}', "no version"),
        (body(version="3"), "has version '3'"),
        (body(version=4), "has version 4;"),
        (b"7", "neither an Alertmanager message nor a list of alerts"),
        (b"", "is empty"),
        (b"\xff\xff", "not UTF-8"),
        (body().decode().encode("utf-16-le"), "not JSON"),
    ],
)
def test_rule_2_a_body_that_is_not_version_4_is_refused_with_a_short_text(content, words):
    """Rule 2: 400 (short text) for non-v4 bodies."""
    said = refusal(content)
    assert words in said
    assert len(said) <= payload.MAX_MESSAGE and said.isprintable()


def test_rule_3_alerts_are_read_one_by_one_and_the_status_of_the_group_is_ignored():
    """Rule 3: iterate `alerts[]`; decide per alert; ignore group `status`."""
    ended = FIRING | {"status": "resolved", "endsAt": "2026-11-21T00:12:00Z"}
    delivery = parse(body(FIRING, ended, status="nonsense"))
    assert [alert.status for alert in delivery.alerts] == [
        AlertStatus.FIRING,
        AlertStatus.RESOLVED,
    ]


def test_rule_4_one_start_is_the_same_whichever_way_the_time_is_written():
    """Rule 4: messages of one firing are known by their `startsAt`."""
    nanoseconds = parse(body(FIRING | {"startsAt": "2026-11-21T02:11:14.842999999+02:00"}))
    milliseconds = parse(body())
    assert nanoseconds.alerts[0].starts_at == milliseconds.alerts[0].starts_at
    assert nanoseconds.alerts[0].fingerprint == milliseconds.alerts[0].fingerprint


def test_rule_5_the_number_of_truncated_alerts_and_the_group_labels_are_told():
    """Rule 5: `truncatedAlerts > 0`: fetch the rest from the API by groupLabels."""
    delivery = parse(body(truncatedAlerts=3))
    assert delivery.truncated == 3
    assert delivery.group_labels == {"alertname": "HttpDown"}


def test_rule_8_the_notification_reason_is_only_a_hint_of_any_form():
    """Rule 8: treat `notification_reason` as a hint."""
    assert parse(body(notification_reason="repeat interval elapsed")).hint.startswith("repeat")
    assert parse(body(notification_reason={"new": ["form"]})).hint == ""
    assert parse(body()).hint == ""


def test_rule_9_the_receiver_is_un_escaped():
    """Rule 9: un-escape `receiver` before comparing."""
    assert parse(body(receiver=r"ok\.rcv \(eu\)")).receiver == "ok.rcv (eu)"


def test_rule_10_an_old_starts_at_is_not_refused():
    """Rule 10: do not reject old `startsAt`."""
    old = parse(body(FIRING | {"startsAt": "1999-12-31T23:59:59Z"}))
    assert old.alerts[0].starts_at == datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)


# Fields.


def test_it_reads_every_field_of_an_alert():
    assert parse(body()).alerts == (
        Alert(
            fingerprint=fingerprint(FIRING["labels"]),
            status=AlertStatus.FIRING,
            labels={"alertname": "HttpDown", "instance": "web1"},
            annotations={"summary": "web1 is down"},
            starts_at=datetime(2026, 11, 21, 0, 11, 14, 842000, tzinfo=UTC),
            generator_url="http://prometheus.example.com/graph",
            receiver="runner",
        ),
    )


def test_it_ignores_fields_that_newer_versions_add():
    assert len(parse(body(FIRING | {"new": 1}, routeLabels={"a": "b"}, new=[{}])).alerts) == 1


def test_it_takes_null_for_absent_maps():
    alert = FIRING | {"annotations": None, "endsAt": None, "generatorURL": None}
    delivery = parse(body(alert, groupLabels=None, truncatedAlerts=None, groupKey=None))
    assert delivery.alerts[0].annotations == {} and delivery.group_labels == {}


def test_it_computes_a_fingerprint_that_a_script_left_out():
    alert = {key: value for key, value in FIRING.items() if key != "fingerprint"}
    expected = fingerprint(FIRING["labels"])
    assert parse(body(alert)).alerts[0].fingerprint == expected
    assert parse(body(alert | {"fingerprint": ""})).alerts[0].fingerprint == expected


def test_the_fingerprint_is_that_of_a_captured_body():
    labels = {
        "alertname": "HttpDown",
        "host": "h1",
        "instance": "127.0.0.1:9115",
        "job": "http",
        "service": "nginx",
        "severity": "critical",
        "url": "http://10.77.0.11:80/",
        "empty": "",
    }
    assert fingerprint(labels) == "d47af3ce138ce42c"
    assert fingerprint({}) == "cbf29ce484222325"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "suppressed"},
        {"status": None},
        {"labels": None},
        {"labels": []},
        {"labels": {"a": {}}},
        {"labels": {"a": None}},
        {"labels": {"": "empty name"}},
        {"labels": {"n" * 2000: "v"}},
        {"labels": {f"n{i}": "v" for i in range(501)}},
        {"annotations": {"a": ["list"]}},
        {"startsAt": 1700000000},
        {"startsAt": "1700000000"},
        {"startsAt": "2026-11-21"},
        {"startsAt": "2026-11-21T00:11:14"},
        {"startsAt": "2026-13-21T00:11:14Z"},
        {"startsAt": "12026-11-21T00:11:14Z"},
        {"startsAt": "9999-12-31T23:59:59-05:00"},
        {"startsAt": "\u0662026-11-21T00:11:14Z"},
        {"endsAt": "9999-12-31T23:59:59-05:00"},
        {"endsAt": 5},
        {"generatorURL": {}},
    ],
    ids=str,
)
def test_it_refuses_an_alert_of_the_wrong_form(change):
    said = refusal(body(FIRING | change))
    assert said.startswith("The body is not version 4 at alerts.0.")
    assert len(said) <= payload.MAX_MESSAGE and said.isprintable()


@pytest.mark.parametrize("name", ["status", "labels"])
def test_it_refuses_an_alert_with_a_missing_field(name):
    assert name in refusal(body({key: value for key, value in FIRING.items() if key != name}))


@pytest.mark.parametrize(
    "change",
    [
        {"alerts": None},
        {"alerts": {}},
        {"alerts": [None]},
        {"truncatedAlerts": -1},
        {"truncatedAlerts": True},
        {"truncatedAlerts": 1.5},
        {"truncatedAlerts": 10**20},
        {"receiver": 5},
        {"groupLabels": {"a": {}}},
    ],
    ids=str,
)
def test_it_refuses_a_body_of_the_wrong_form(change):
    assert refusal(body(**change)).startswith("The body is not version 4 at ")


# What people send.

CASES = Path(__file__).parents[1] / "inputs"


def case(name: str) -> bytes:
    return (CASES / name / "body.json").read_bytes()


def test_grafana_s_own_webhook_is_read_like_alertmanager_s():
    """It has Alertmanager's shape, version 1, and numbers and links of its own."""
    (alert,) = parse(case("W1-grafana-webhook")).alerts
    assert (alert.name, alert.labels["instance"]) == ("ServiceDown", "web1.example.com")
    assert "57c6d9296de2ad39" in alert.notes[0]  # of labels that Grafana takes out


def test_an_alert_without_a_time_began_when_it_arrived():
    """Year 1 is what Grafana's documented sample has; the good one beside it is not lost."""
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    first, second = parse(case("W2-one-bad-alert"), at=at).alerts
    assert (first.starts_at, first.undated) == (at, True)
    assert (second.starts_at.hour, second.undated) == (10, False)


def test_numbers_are_taken_as_their_text():
    (alert,) = parse(case("W3-number-annotation")).alerts
    assert alert.labels["port"] == "9100" and alert.annotations == {"value": "93.5"}
    assert alert.fingerprint == fingerprint(alert.labels)
    (alert,) = parse(body(FIRING | {"annotations": {"a": True, "b": 10**30, "c": 1.0}})).alerts
    assert alert.annotations == {"a": "true", "b": str(10**30), "c": "1.0"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_body(encoding):
    content = case("W4-bom").decode().encode(encoding)
    assert parse(content).alerts == parse(case("W4-bom")).alerts


LISTED: dict[str, Any] = {
    "labels": {"alertname": "HttpDown", "instance": "web1"},
    "annotations": {},
    "startsAt": "2026-11-21T00:11:14.842Z",
    "endsAt": "2090-01-01T00:00:00Z",
    "updatedAt": "2026-11-21T00:11:14.842Z",
    "fingerprint": FIRING["fingerprint"],
    "receivers": [{"name": "runner"}],
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    "generatorURL": "",
}


def listed(*alerts: dict[str, Any]) -> Delivery:
    return parse(json.dumps(alerts).encode(), at=datetime(2026, 11, 30, tzinfo=UTC))


def test_a_bare_list_is_read_as_the_api_and_amtool_write_it():
    (alert,) = listed(LISTED).alerts
    assert (alert.status, alert.name, alert.contradictions) == (AlertStatus.FIRING, "HttpDown", ())
    assert listed() == listed()  # an empty list is none


@pytest.mark.parametrize(
    "status",
    [
        {"state": "suppressed"},
        {"state": "active", "silencedBy": ["a-silence"]},
        {"state": "active", "inhibitedBy": ["0123456789abcdef"]},
    ],
)
def test_what_a_list_holds_as_silenced_or_inhibited_is_left_out(status):
    """Nothing may run for what somebody wants quiet, and the API lists it unless told not to."""
    found = listed(LISTED | {"status": status}, LISTED)
    assert (len(found.alerts), found.quiet) == (1, 1)


@pytest.mark.parametrize(
    ("ends_at", "status"),
    [
        (None, "firing"),
        ("0001-01-01T00:00:00Z", "firing"),
        ("2090-01-01T00:00:00Z", "firing"),
        ("2026-11-29T00:00:00Z", "resolved"),
    ],
)
def test_a_list_as_prometheus_posts_it_says_by_endsat_what_is_over(ends_at, status):
    posted = {"labels": LISTED["labels"], "startsAt": LISTED["startsAt"], "endsAt": ends_at}
    assert listed(posted).alerts[0].status == status


# One alert that cannot be read.


def test_one_alert_that_cannot_be_read_costs_only_itself():
    found = parse(body(FIRING, FIRING | {"labels": ["x"]}, FIRING | {"startsAt": "soon"}))
    assert len(found.alerts) == 1
    assert [each.position for each in found.unread] == [1, 2]
    assert json.loads(found.unread[1].content)["startsAt"] == "soon"
    assert "alerts.2.startsAt" in found.unread[1].reason


# The fingerprint, and what a message contradicts.


@pytest.mark.parametrize("given", ["00000000000000aa", "not hex", 7, ["x"]])
def test_the_sender_s_fingerprint_is_only_a_note(given):
    """Invariant 18: an alert's identity is computed from its labels."""
    (alert,) = parse(body(FIRING | {"fingerprint": given})).alerts
    assert alert.fingerprint == FIRING["fingerprint"]
    assert "is not that of the labels" in alert.notes[0] and alert.contradictions == ()


def test_two_alerts_of_one_sent_fingerprint_are_two():
    """Invariant 18: whoever sends the fingerprint of another alert does not become it."""
    content = (CASES / "fingerprint-collision.json").read_bytes()
    first, second = parse(content).alerts
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("alert", "fields", "words"),
    [
        ({}, {"truncatedAlerts": 2}, "left 2 alerts of the same group out"),
        ({}, {"commonLabels": {"instance": "web2"}}, 'commonLabels say instance="web2"'),
        ({}, {"commonLabels": {"host": "web2"}}, 'commonLabels say host="web2", the alert ""'),
        ({}, {"groupLabels": {"instance": "web2"}}, 'groupLabels say instance="web2"'),
        ({"endsAt": "2026-11-21T00:12:00Z"}, {}, "ended at 2026-11-21 00:12:00 UTC"),
    ],
)
def test_what_a_message_contradicts_is_said(alert, fields, words):
    (read,) = parse(body(FIRING | alert, **fields)).alerts
    (said,) = read.contradictions
    assert words in said


def test_a_firing_alert_with_an_end_in_the_past_is_a_contradiction():
    content = (CASES / "firing-with-past-endsAt.json").read_bytes()
    (alert,) = parse(content, at=datetime(2026, 11, 30, 12, tzinfo=UTC)).alerts
    assert alert.status is AlertStatus.FIRING and len(alert.contradictions) == 1


def test_a_start_in_the_future_is_told():
    at = datetime(2026, 11, 21, tzinfo=UTC)
    (alert,) = parse(body(FIRING | {"startsAt": "2026-11-22T00:00:00Z"}), at=at).alerts
    assert alert.notes == ("its startsAt is 1d ahead of our clock",)
    (alert,) = parse(body(FIRING | {"startsAt": "9999-12-30T00:00:00Z"}), at=at).alerts
    assert "years ahead of our clock" in alert.notes[0]


# Hostile JSON.


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("9" * 5000, "number that is too long"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": 1, "a": 2}', "same key twice"),
        ('"\x1b"', "not JSON"),
        ("01", "not JSON"),
    ],
    ids=lambda text: text[:12],
)
def test_it_refuses_what_is_not_plain_json(value, words):
    assert words in refusal(body()[:-1] + f', "more": {value}}}'.encode())


def test_it_refuses_a_body_of_too_many_parts_before_it_takes_their_memory(monkeypatch):
    """Invariant 14: a small body cannot become a large object."""
    monkeypatch.setattr(payload, "MAX_PARTS", 100)
    assert "more than 100 parts" in refusal(body(more=[{}] * 100))


@pytest.mark.parametrize("odd", ["\x00", "\ud800", "\udfff"])
def test_it_replaces_what_no_database_can_hold(odd):
    alert = FIRING | {"labels": {"alertname": f"a{odd}b"}, "annotations": {f"n{odd}": odd}}
    delivery = parse(body(alert, groupKey=odd))
    assert delivery.alerts[0].labels == {"alertname": "a\ufffdb"}
    assert delivery.alerts[0].annotations == {"n\ufffd": "\ufffd"}
    assert delivery.group_key == "\ufffd"


def test_it_refuses_names_that_become_the_same():
    alert = FIRING | {"labels": {"a\x00": "1", "a\ud800": "2"}}
    assert "same key twice" in refusal(body(alert))


def test_it_keeps_control_characters_as_data():
    """Invariant 5: a label stays what it was; it is made harmless where it is shown."""
    alert = FIRING | {"labels": {"alertname": "\x1b[2J\u202e{{ x }}"}}
    assert parse(body(alert)).alerts[0].labels["alertname"] == "\x1b[2J\u202e{{ x }}"


def test_it_cuts_values_that_are_too_long_instead_of_losing_the_alert():
    alert = FIRING | {"labels": {"log": "x" * 10_000}, "annotations": {"log": "y" * 100_000}}
    read = parse(body(alert)).alerts[0]
    assert len(read.labels["log"]) == payload.MAX_LABEL and read.labels["log"].endswith("…")
    assert len(read.annotations["log"]) == payload.MAX_ANNOTATION


def test_ten_thousand_alerts_are_one_delivery():
    alerts = [FIRING | {"fingerprint": f"{number:016x}"} for number in range(10_000)]
    assert len(parse(body(*alerts)).alerts) == 10_000


# Times.


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-21T00:11:14Z", datetime(2026, 11, 21, 0, 11, 14, tzinfo=UTC)),
        ("2026-11-21t00:11:14.5z", datetime(2026, 11, 21, 0, 11, 14, 500000, tzinfo=UTC)),
        (
            "2026-11-21T00:11:14.123456789-01:30",
            datetime(2026, 11, 21, 1, 41, 14, 123000, tzinfo=UTC),
        ),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
    ],
)
def test_it_reads_times_to_the_millisecond(written, read):
    assert moment(written) == read


def test_a_firing_alert_has_no_end_even_when_one_is_foretold():
    assert parse(body(FIRING | {"endsAt": "2090-01-01T00:00:00Z"})).alerts[0].ends_at is None


# Only BadDelivery is ever raised.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def read_or_refused(content: bytes) -> None:
    try:
        delivery = parse(content)
    except BadDelivery as error:
        assert len(str(error)) <= payload.MAX_MESSAGE and str(error).isprintable()
    else:
        for alert in delivery.alerts:
            for text in (*alert.labels, *alert.labels.values(), *alert.annotations.values()):
                assert "\x00" not in text and text.encode()


@given(st.binary())
def test_any_bytes_are_read_or_refused(content):
    read_or_refused(content)


@given(json_values)
def test_any_json_is_read_or_refused(value):
    read_or_refused(json.dumps(value).encode())


@given(st.sampled_from([*json.loads(body()), *FIRING]), json_values)
def test_any_value_in_any_field_is_read_or_refused(name, value):
    read_or_refused(body(FIRING | {name: value}))
    read_or_refused(body(**{name: value}))


@given(st.integers(0, 600), st.binary(min_size=1, max_size=3))
def test_any_damaged_body_is_read_or_refused(place, damage):
    whole = body()
    read_or_refused(whole[:place] + damage + whole[place + len(damage) :])


labels = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=4)
times = st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC))


@given(labels, labels, times, times | st.none(), st.text(max_size=20))
def test_a_composed_delivery_reads_back_the_same(pairs, notes, starts_at, ends_at, receiver):
    alert = Alert(
        fingerprint=fingerprint(pairs),
        status=AlertStatus.RESOLVED if ends_at else AlertStatus.FIRING,
        labels=pairs,
        annotations=notes,
        starts_at=starts_at.replace(microsecond=0),
        ends_at=ends_at and ends_at.replace(microsecond=0),
        receiver=receiver,
        source="pull",
    )
    if "\x00" in "".join([*pairs, *pairs.values(), *notes, *notes.values(), receiver]):
        return
    delivery = compose([alert], source="pull", receiver=receiver, group_labels=pairs)
    late = datetime(9999, 1, 2, tzinfo=UTC)  # nothing of it lies ahead
    assert parse(delivery.raw, source="pull", at=late) == delivery


@given(st.text())
def test_a_quoted_receiver_is_un_escaped_to_itself(name):
    assert unquote(quote(name)) == name


# Real bodies.

HOOK_CONFIG = """
route:
  {{receiver: ok.rcv, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers:
- name: ok.rcv
  webhook_configs: [{{url: "{url}", max_alerts: {limit}}}]
"""


@pytest.mark.real
def test_a_real_alertmanager_s_bodies_are_read(
    start_alertmanager: Callable[..., RealAlertmanager], sink: Sink
):
    real = start_alertmanager(HOOK_CONFIG.format(url=sink.url, limit=0))
    real.fire(alertname="HttpDown", instance='we"b\\1', annotations={"summary": "é\x1b\x00"})
    fired = parse(sink.wait()).alerts[0]
    real.resolve(alertname="HttpDown", instance='we"b\\1')
    ended = parse(sink.wait(lambda content: content["status"] == "resolved")).alerts[0]

    assert fired.fingerprint == ended.fingerprint == fingerprint(fired.labels)
    assert fired.starts_at == ended.starts_at
    assert (fired.receiver, fired.ends_at) == ("ok.rcv", None)
    assert fired.annotations == {"summary": "é\x1b\ufffd"}
    assert ended.status is AlertStatus.RESOLVED and ended.ends_at is not None


@pytest.mark.real
def test_a_real_alertmanager_truncates_and_says_so(
    start_alertmanager: Callable[..., RealAlertmanager], sink: Sink
):
    real = start_alertmanager(HOOK_CONFIG.format(url=sink.url, limit=2))
    times = {"endsAt": "2090-01-01T00:00:00Z"}
    real.post([{"labels": {"alertname": "A", "n": str(n)}, **times} for n in range(5)])
    delivery = parse(sink.wait(lambda content: content["truncatedAlerts"] == 3))
    assert delivery.truncated == 3 and len(delivery.alerts) == 2
