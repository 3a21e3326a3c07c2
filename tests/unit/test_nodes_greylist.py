"""The greylist: who joins, who stays, who leaves; hysteresis, and no clock for what is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.config import Greylist
from runner.nodes.greylist import Event, NodeState, step
from runner.nodes.tier import Tier

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)
SETTINGS = Greylist.model_validate(
    {"join_after": "2h", "critical_after": "30m", "leave_after": "12h"}
)
N, W, C, U = Tier.NONE, Tier.WARNING, Tier.CRITICAL, Tier.UNKNOWN


def walked(seen: Iterable[Tier]) -> tuple[list[tuple[int, Event]], NodeState]:
    """(look, event) of each event, and the last standing."""
    standing, events = NodeState(), []
    for number, tier in enumerate(seen):
        done = step(standing, tier, START + number * EVERY, SETTINGS, EVERY)
        standing = done.standing
        if done.event is not None:
            events.append((number, done.event))
    return events, standing


def test_it_joins_once_the_warning_has_lasted() -> None:
    events, standing = walked([W] * 20)
    assert events == [(8, Event.JOINED)]
    assert standing.since == START + 8 * EVERY


def test_a_warning_that_is_interrupted_begins_anew() -> None:
    assert walked([W] * 8 + [N] + [W] * 8)[0] == []


def test_what_is_critical_joins_sooner() -> None:
    events, standing = walked([C] * 4)
    assert events == [(2, Event.JOINED)] and standing.tier is C


def test_it_leaves_by_itself_once_health_has_lasted() -> None:
    events, standing = walked([W] * 9 + [N] * 60)
    assert events == [(8, Event.JOINED), (9 + 48, Event.LEFT)]
    assert standing.idle


def test_it_gets_worse_and_eases_before_it_leaves() -> None:
    events, _ = walked([W] * 9 + [C] * 3 + [W] * 60 + [N] * 60)
    assert [event for _, event in events] == [
        Event.JOINED, Event.WORSENED, Event.EASED, Event.LEFT,
    ]  # fmt: skip


def test_what_is_unknown_neither_joins_nor_leaves() -> None:
    """Invariant 10: nobody gets well because nobody looks."""
    events, standing = walked([W] * 9 + [N] * 40 + [U] * 400)
    assert events == [(8, Event.JOINED)] and standing.member
    assert walked([U] * 100)[0] == []


def test_unknown_looks_stop_the_clock_without_turning_it_back() -> None:
    assert walked([W] * 5 + [U] * 10 + [W] * 5)[0] == [(19, Event.JOINED)]


def test_a_long_pause_counts_for_little() -> None:
    """A runner that was away for a day has not seen a day of health."""
    _, standing = walked([W] * 9 + [N] * 2)
    late = START + timedelta(days=3)
    assert step(standing, N, late, SETTINGS, EVERY).event is None


@given(st.lists(st.sampled_from([N, W, C, U]), max_size=300))
def test_events_are_at_least_their_time_apart(seen: list[Tier]) -> None:
    """No flapping: whatever is seen, who joined stays for `leave_after` at least."""
    events, _ = walked(seen)
    joined = None
    for number, event in events:
        if event is Event.JOINED:
            assert joined is None
            joined = number
        elif event is Event.LEFT:
            assert joined is not None
            assert (number - joined) * EVERY >= SETTINGS.leave_after
            joined = None


@given(st.lists(st.sampled_from([N, W]), min_size=1, max_size=200))
def test_noise_around_a_bound_changes_nothing_without_a_long_run(seen: list[Tier]) -> None:
    runs = "".join("w" if tier is W else "n" for tier in seen)
    events, _ = walked(seen)
    if "w" * 9 not in runs:
        assert events == []
    elif "n" * 49 not in runs:
        assert [event for _, event in events] == [Event.JOINED]


@given(st.lists(st.sampled_from([N, W, C]), max_size=120), st.data())
def test_a_worse_look_never_means_that_it_joins_later(
    seen: list[Tier], data: st.DataObject
) -> None:
    def first(looks: list[Tier]) -> int:
        return next((n for n, e in walked(looks)[0] if e is Event.JOINED), 10_000)

    place = data.draw(st.integers(0, max(0, len(seen) - 1)))
    worse = [*seen[:place], *([C] if seen else []), *seen[place + 1 :]]
    assert first(worse) <= first(seen)
