"""Our own record of one alert's firing: what belongs together, what is over, what is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.incident import Alert, AlertStatus
from runner.incident.firing import (
    CLOCK_SKEW,
    REMEMBERED,
    Admission,
    Firing,
    Heard,
    ahead,
    hear,
    resolve,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NEW = Firing(fingerprint="f" * 16)


def alert(
    minutes: float = 0, *, ended: float | None = None, resolved: bool = False, undated: bool = False
) -> Alert:
    return Alert(
        fingerprint="f" * 16,
        status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        labels={},
        annotations={},
        starts_at=NOW + minutes * MINUTE,
        ends_at=None if ended is None else NOW + ended * MINUTE,
        undated=undated,
    )


def over(minutes: float = 0, ended: float | None = None, **more: bool) -> Alert:
    return alert(minutes, ended=ended, resolved=True, **more)


def heard(record: Firing, told: Alert, at: datetime = NOW) -> Heard:
    return hear(record, told, at, handled=None, look_again=HOUR)


def test_a_resolved_message_ends_its_own_firing_and_those_before_it() -> None:
    """HA peers and reloads move `startsAt` of one firing: the end of the one ends the other."""
    record = heard(NEW, alert(-10)).record
    assert not resolve(record, over(-10), NOW).fires
    assert not resolve(record, over(-7, ended=-1), NOW).fires
    assert not resolve(record, over(-20, ended=-1), NOW).fires


def test_a_resolved_message_of_an_earlier_firing_ends_nothing_that_began_since() -> None:
    """Invariant 18: whatever the order."""
    record = heard(NEW, alert(-5)).record
    assert resolve(record, over(-10, ended=-7), NOW).fires
    assert resolve(record, over(-10), NOW).fires


def test_an_end_in_the_future_proves_nothing() -> None:
    """Invariant 18: it ends the firing that it names, and no other one."""
    record = heard(NEW, alert(-5)).record
    century = 60 * 24 * 36_500
    assert resolve(record, over(-10, ended=century), NOW).fires
    after = resolve(record, over(-5, ended=century), NOW)
    assert not after.fires and after.quiet_at is None


def test_a_message_without_a_time_is_about_now() -> None:
    record = heard(NEW, alert(undated=True)).record
    assert not resolve(record, over(undated=True), NOW + MINUTE).fires
    assert not resolve(heard(NEW, alert(-5)).record, over(undated=True), NOW).fires


@pytest.mark.parametrize(("minutes", "late"), [(-10, True), (-8, True), (-6, False), (0, False)])
def test_what_began_before_the_last_end_is_late(minutes: float, late: bool) -> None:
    quiet = resolve(NEW, over(-10, ended=-7), NOW)
    found = heard(quiet, alert(minutes))
    assert (found.step, found.late) == (Admission.OPEN, late)


def test_two_clocks_may_differ_a_little() -> None:
    assert ahead(alert(CLOCK_SKEW / MINUTE), NOW) is None
    assert ahead(alert(CLOCK_SKEW / MINUTE + 1), NOW) == CLOCK_SKEW + MINUTE


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6)),
        max_size=3 * REMEMBERED,
    )
)
def test_what_is_remembered_is_bounded(messages: list[tuple[bool, float, float | None]]) -> None:
    """Invariant 14: whatever is sent, and it never breaks."""
    record = NEW
    for number, (fires, minutes, ended) in enumerate(messages):
        at = NOW + number * MINUTE
        if fires:
            record = heard(record, alert(minutes), at).record
            assert record.fires
        else:
            record = resolve(record, over(minutes, ended), at)
        assert max(len(record.told), len(record.ended)) <= REMEMBERED
        assert record.quiet_at is None or record.quiet_at <= at + CLOCK_SKEW
