from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Watch
from runner.incident import Alert, AlertStatus
from runner.intake.fingerprint import fingerprint
from runner.intake.watches import (
    Evaluation,
    Phase,
    Sighting,
    WatchState,
    evaluate,
    remembered,
    step,
)
from tests.real_alertmanager import RealAlertmanager

pytest_plugins = ["tests.real_alertmanager"]

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def watch(**fields: Any) -> Watch:
    return Watch.model_validate({"name": "HighLoad", "promql": "load > 1", "every": "10s"} | fields)


def play(sights: str, of: Watch, seconds: int = 10) -> dict[int, AlertStatus]:
    """Events by evaluation, for `!` trouble, `.` health, `?` unknown, one each 10 s."""
    state, events = WatchState(), {}
    for number, sight in enumerate(sights):
        bad = {"!": True, ".": False, "?": None}[sight]
        done = step(state, bad, START + timedelta(seconds=number * seconds), of)
        state = done.state
        if done.event:
            events[number] = done.event
    return events


@pytest.mark.parametrize(
    ("sights", "for_", "clear_after", "events"),
    [
        ("..!", "0s", "0s", {2: FIRING}),
        ("!!!!", "0s", "0s", {0: FIRING}),
        ("!.!.", "0s", "0s", {0: FIRING, 1: RESOLVED, 2: FIRING, 3: RESOLVED}),
        ("!!!!", "30s", "0s", {3: FIRING}),
        ("!!!.!!!.", "30s", "0s", {}),
        ("!....", "0s", "30s", {0: FIRING, 4: RESOLVED}),
        ("!...!....", "0s", "30s", {0: FIRING, 8: RESOLVED}),
        ("????", "0s", "0s", {}),
        ("!????", "0s", "0s", {0: FIRING}),
        ("!??.", "0s", "0s", {0: FIRING, 3: RESOLVED}),
        ("!???.", "0s", "10s", {0: FIRING}),
        ("!???..", "0s", "10s", {0: FIRING, 5: RESOLVED}),
        ("!??????!", "30s", "0s", {}),
        ("!!??!!!", "30s", "0s", {6: FIRING}),
    ],
)
def test_it_fires_and_clears_only_after_it_saw_for_long_enough(sights, for_, clear_after, events):
    assert play(sights, watch(**{"for": for_, "clear_after": clear_after})) == events


@given(st.text("!.?", max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_unknown_never_fires_nor_clears_and_events_alternate(sights, for_, clear_after):
    """Invariant 10: missing data is unknown, not good."""
    events = play(sights, watch(**{"for": f"{for_}s", "clear_after": f"{clear_after}s"}))
    assert all(
        sights[number] == ("!" if event is FIRING else ".") for number, event in events.items()
    )
    assert list(events.values()) == [FIRING, RESOLVED] * (len(events) // 2) + [FIRING] * (
        len(events) % 2
    )


def test_time_that_nobody_looked_at_does_not_count():
    """Invariant 10: a loop that stood still for an hour has not seen an hour of trouble."""
    assert play("!!", watch(**{"for": "10m"}), seconds=3600) == {}


def test_a_clock_that_goes_back_changes_nothing():
    assert play("!!!", watch(**{"for": "10s"}), seconds=-10) == {}


def look(of: Watch, states: Any, now: int, *instances: str) -> Evaluation:
    sightings = [
        Sighting(labels={"__name__": "load", "instance": instance}, seen="value 2")
        for instance in instances
    ]
    return evaluate(of, states, sightings, START + timedelta(seconds=now))


def test_each_label_set_fires_and_clears_by_itself():
    one = look(watch(), {}, 0, "a", "b")
    two = look(watch(), one.states, 10, "b", "c")
    assert [alert.labels["instance"] for alert in one.alerts] in (["a", "b"], ["b", "a"])
    assert {(alert.labels["instance"], alert.status) for alert in two.alerts} == {
        ("a", RESOLVED),
        ("c", FIRING),
    }


def test_the_alert_has_the_labels_of_watch_and_sample_and_the_watch_wins():
    of = watch(labels={"severity": "critical", "instance": "gateway"}, annotations={"summary": "x"})
    sighting = Sighting(
        labels={"__name__": "load", "alertname": "Other", "instance": "a", "disk": "/"},
        seen="value \x1b 2",
    )
    (alert,) = evaluate(of, {}, [sighting], START).alerts
    assert alert.labels == {
        "alertname": "HighLoad",
        "severity": "critical",
        "instance": "gateway",
        "disk": "/",
    }
    assert alert.annotations == {"summary": "x", "seen": "value \\x1b 2"}
    assert (alert.fingerprint, alert.source) == (fingerprint(alert.labels), "watch")


def test_the_activation_is_when_the_trouble_was_first_seen():
    of = watch(**{"for": "10s"})
    pending = look(of, {}, 0, "a")
    (alert,) = look(of, pending.states, 10, "a").alerts
    assert pending.alerts == () and alert.starts_at == START


def test_the_resolved_alert_is_the_fired_one_with_an_end():
    fired = look(watch(), {}, 0, "a")
    (ended,) = look(watch(), fired.states, 10).alerts
    assert ended.starts_at == START and ended.ends_at == START + timedelta(seconds=10)
    assert ended.labels == fired.alerts[0].labels


def test_series_that_the_watch_makes_the_same_are_one_alert():
    assert len(look(watch(labels={"instance": "all"}), {}, 0, "a", "b").alerts) == 1


def test_what_is_quiet_is_forgotten():
    """Invariant 14: memory is bounded by what is in trouble."""
    states = look(watch(**{"for": "1m"}), {}, 0, "a", "b").states
    assert len(states) == 2 and look(watch(), states, 10).states == {}


def test_a_source_that_cannot_be_read_keeps_what_is_known():
    """Invariant 10: an error neither fires nor clears."""
    fired = look(watch(), {}, 0, "a")
    blind = evaluate(watch(), fired.states, None, START + timedelta(seconds=10))
    assert blind.alerts == ()
    assert [state.phase for state in blind.states.values()] == [Phase.FIRING]


def test_an_alert_that_cleared_while_we_were_down_is_resolved():
    """Invariant 1: what fired is not forgotten by a restart."""
    fired = look(watch(), {}, 0, "a").alerts
    (ended,) = look(watch(), remembered(fired), 600).alerts
    assert ended.status is RESOLVED and ended.starts_at == START


def test_an_alert_that_still_fires_after_a_restart_is_not_delivered_again():
    fired = look(watch(), {}, 0, "a").alerts
    assert look(watch(), remembered(fired), 600, "a").alerts == ()


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_any_labels_make_an_alert_that_can_be_stored(labels):
    alerts: Iterable[Alert] = evaluate(
        watch(), {}, [Sighting(labels=labels, seen="x")], START
    ).alerts
    for alert in alerts:
        assert b"\x00" not in "".join([*alert.labels, *alert.labels.values()]).encode()


@pytest.mark.real
@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "A"},
        {"b": "2", "alertname": "A", "a": "1", "Z": "upper", "_x": "under"},
        {"alertname": "é 漢 🙂", "x": 'q"\\{}\n\t\x1b', "empty": ""},
        {"alertname": "x" * 5000},
    ],
    ids=["one", "order", "text", "long"],
)
def test_the_fingerprint_is_that_of_a_real_alertmanager(
    labels: dict[str, str], alertmanager: RealAlertmanager
):
    alertmanager.fire(**labels)
    assert [alert["fingerprint"] for alert in alertmanager.alerts()] == [fingerprint(labels)]
