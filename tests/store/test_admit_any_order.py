"""Any order, any clock, any fingerprint, any end: through the real inbox and store.

On SQLite with many examples, on PostgreSQL with a few, nightly with many more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.incident import ENDED, State
from runner.incident.firing import WAIT
from runner.intake import admit
from runner.store import incidents, tables
from runner.store.database import Database
from tests import small_project as small
from tests.store.test_admit import BEGUN, MINUTE, Desk, firing, resolved


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


SKEWS = [timedelta(), timedelta(minutes=4), timedelta(days=-3), timedelta(days=1)]


@dataclass(frozen=True)
class Told:
    """One message of a history of firings, of which the `period`th began at `5 * period`."""

    status: str
    period: int

    def alert(self, name: str, skew: timedelta, mark: str) -> dict[str, Any]:
        begun = BEGUN + skew + 5 * self.period * MINUTE
        ended = (begun + 3 * MINUTE).isoformat()
        made = small.alert(
            name, status=self.status, starts_at=begun, fingerprint=mark, service=name
        )
        return made | ({"endsAt": ended} if self.status == "resolved" else {})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Told], bool]:
    """Messages about some firings in any order, each once or twice; whether it fires at last."""
    periods = draw(st.integers(1, 3))
    fires = draw(st.booleans())
    messages = [Told("firing", period) for period in range(periods)]
    messages += [Told("resolved", period) for period in range(periods - fires)]
    again = draw(st.lists(st.sampled_from(messages), max_size=3))
    return draw(st.permutations([*messages, *again])), fires


ANY_ORDER = given(
    st.tuples(histories(), histories()),
    st.sampled_from(SKEWS),
    st.sampled_from(["", "0" * 16]),
    st.randoms(use_true_random=False),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@ANY_ORDER
def test_no_order_clock_or_fingerprint_loses_a_firing_alert(
    desk: Desk, both: Any, skew: timedelta, mark: str, random: Any
) -> None:
    """Invariant 18: two alerts, told in any order, twice, by a wrong clock, with one fingerprint:
    what fires at last has an open incident, and there are never two for one alert."""
    tell_in_any_order(desk, both, skew, mark, random)


@pytest.mark.store
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@ANY_ORDER
def test_the_same_on_either_store(
    desk: Desk, both: Any, skew: timedelta, mark: str, random: Any
) -> None:
    """Invariant 18."""
    tell_in_any_order(desk, both, skew, mark, random)


@pytest.mark.store
@pytest.mark.nightly
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@ANY_ORDER
def test_the_same_many_times(
    desk: Desk, both: Any, skew: timedelta, mark: str, random: Any
) -> None:
    """Invariant 18."""
    tell_in_any_order(desk, both, skew, mark, random)


def tell_in_any_order(desk: Desk, both: Any, skew: timedelta, mark: str, random: Any) -> None:
    """Tell two histories, mixed, and look after each message and at the end."""
    _empty(desk)
    told = [(f"Alert{n}", each) for n, (messages, _) in enumerate(both) for each in messages]
    random.shuffle(told)
    arrival = BEGUN + timedelta(hours=1)
    for name, each in told:
        arrival += MINUTE
        desk.deliver(each.alert(name, skew, mark), at=arrival)
        assert all(count <= 1 for count in _open(desk).values())
    for number, (messages, fires) in enumerate(both):
        if fires:
            assert _open(desk).get(f"Alert{number}") == 1, (messages, desk.states())


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.sampled_from(SKEWS))
def test_in_order_each_activation_is_one_incident(
    desk: Desk, times: list[int], skew: timedelta
) -> None:
    """Rule 4: however often each message comes."""
    _empty(desk)
    for period, often in enumerate(times):
        for status in ("firing", "resolved"):
            for _ in range(often):
                at = BEGUN + timedelta(hours=1) + period * MINUTE
                desk.deliver(Told(status, period).alert("Down", skew, ""), at=at)
    assert len(desk.started) == len(times)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["firing", "resolved"]),
            st.sampled_from([0, 7, 60 * 24, 60 * 24 * 365 * 7000]),
            st.sampled_from([None, *sorted(ENDED - {State.SUPPRESSED})]),
        ),
        max_size=8,
    )
)
def test_whatever_was_sent_before_an_honest_firing_is_handled(
    desk: Desk, poison: list[tuple[str, int, State | None]]
) -> None:
    """Invariant 18: after any messages and any ends, an alert that is told to fire since
    another time has an open incident, or one is opened when its turn has come."""
    _empty(desk)
    for status, minutes, end in poison:
        alert = firing(minutes) if status == "firing" else resolved(minutes)
        desk.deliver(alert)
        if end is not None and desk.started:
            desk.end(desk.started[-1], end)
    desk.deliver(firing(minutes=3))
    if _open(desk).get("Down") != 1:
        admit.look_again(desk.database, desk.inbox._start, datetime.now(UTC) + WAIT)
    assert _open(desk).get("Down") == 1


def _empty(desk: Desk) -> None:
    with desk.database.write() as tx:
        for table in (tables.incidents, tables.firings, tables.deliveries):
            tx.execute(sa.delete(table))
    desk.started.clear()


def _open(desk: Desk) -> dict[str, int]:
    """Open incidents by the name of their alert."""
    with desk.database.read() as tx:
        found = incidents.find(tx, ended=False, limit=1000)
    return Counter(incident.alert.name for incident in found)
