"""The tier of a node: by bounds, trends and peers; monotone; unknown is never good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config import Nodes, Signal
from runner.nodes.classify import (
    Prediction,
    Scale,
    SignalTier,
    classify,
    classify_all,
    combine,
)
from runner.nodes.tier import Tier
from runner.nodes.trend import Values

SCALE = Scale.of(Nodes())
POINTS = SCALE.points(Nodes())
FILL = Signal(name="fill", promql="x", warning=0.8, critical=0.92)
FREE = Signal(name="free", promql="x", direction="down", warning=0.2, critical=0.08)
HALF = Signal(name="half", promql="x", warning=10, critical=20, weight=0.5)
RARE = Signal(name="rare", promql="x", warning=10, critical=20, optional=True)


def flat(value: float, noise: float = 0.002, seed: int = 1) -> Values:
    return value + np.random.default_rng(seed).normal(0, noise, POINTS)


def ramp(first: float, last: float) -> Values:
    return np.linspace(first, last, POINTS) + flat(0.0)


def judged(values: Values, signal: Signal = FILL, **more: Any) -> Prediction:
    peers = more.pop("peers", {})
    return classify("n1", {signal.name: values}, peers, [signal], SCALE, **more)


@pytest.mark.parametrize(
    ("values", "tier"),
    [
        (flat(0.5), Tier.NONE),
        (flat(0.85), Tier.WARNING),
        (flat(0.95), Tier.CRITICAL),
        (ramp(0.3, 0.74), Tier.WARNING),  # below its bound, but there in little more than a day
        (ramp(0.6, 0.63), Tier.NONE),  # there in a month
        (ramp(0.2, 0.87), Tier.CRITICAL),  # past its warning bound, and there within hours
        (ramp(0.9, 0.5), Tier.NONE),  # gets better
    ],
)
def test_the_tier_of_one_signal(values: Values, tier: Tier) -> None:
    assert judged(values).tier is tier
    turned = judged(1 - values, FREE)
    assert turned.tier is tier, "a signal that gets worse downward is judged the same"


def test_a_trend_tells_when_with_an_interval() -> None:
    found = judged(ramp(0.3, 0.74))
    assert found.expected is not None and found.soonest is not None
    assert timedelta(hours=20) < found.soonest <= found.expected < timedelta(hours=40)
    assert "there in" in found.reasons[0] and "warning 0.8" in found.reasons[0]


def test_a_spike_is_no_level() -> None:
    values = flat(0.5)
    values[-5:] = 0.99  # fifty minutes of the last two hours
    assert judged(values).tier is Tier.NONE


def test_a_node_that_left_its_past_and_its_peers_is_odd() -> None:
    values = flat(0.4)
    values[-20:] += 0.3
    peers = {"fill": [0.4, 0.41, 0.39]}
    assert judged(values, peers=peers).tier is Tier.WARNING
    together = {"fill": [0.7, 0.71, 0.69]}
    assert judged(values, peers=together).tier is Tier.NONE, "all of them did: it is the load"
    assert judged(values).tier is Tier.NONE, "without peers nobody can say"


def test_signals_of_little_weight_need_company() -> None:
    one = classify("n", {"half": flat(15)}, {}, [HALF], SCALE)
    other = HALF.model_copy(update={"name": "other"})
    two = classify("n", {"half": flat(15), "other": flat(15)}, {}, [HALF, other], SCALE)
    assert (one.tier, two.tier) == (Tier.NONE, Tier.WARNING)
    mixed = classify("n", {"half": flat(15), "other": flat(25)}, {}, [HALF, other], SCALE)
    assert mixed.tier is Tier.WARNING, "critical takes a weight of 1 that is critical"


def test_to_leave_a_tier_takes_more_than_to_stay_out_of_it() -> None:
    values = flat(0.79)
    assert judged(values).tier is Tier.NONE
    assert judged(values, held=Tier.WARNING).tier is Tier.WARNING
    assert judged(flat(0.7), held=Tier.WARNING).tier is Tier.NONE
    assert judged(flat(0.91), held=Tier.CRITICAL).tier is Tier.CRITICAL


def test_the_margin_never_reaches_below_nothing() -> None:
    """A bound that is small beside the way to the next one must still be leavable."""
    errors = Signal(name="errors", promql="x", warning=1, critical=100)
    assert judged(flat(0.0, 0), errors, held=Tier.WARNING).tier is Tier.NONE


def test_no_data_is_unknown_and_says_since_when() -> None:
    """Invariant 10: a node that is not measured is not healthy."""
    values = flat(0.5)
    values[-30:] = np.nan
    found = judged(values)
    assert found.tier is Tier.UNKNOWN
    assert found.reasons == ("fill is unknown: no data for 5h.",)
    assert judged(np.full(POINTS, np.nan)).tier is Tier.UNKNOWN
    assert classify("n", {}, {}, [FILL], SCALE).tier is Tier.UNKNOWN


def test_one_missing_signal_makes_a_good_node_unknown_and_a_bad_one_stays_bad() -> None:
    """Invariant 10: what is missing may be what is bad."""
    gone = np.full(POINTS, np.nan)
    both = [FILL, HALF]
    assert classify("n", {"fill": flat(0.5), "half": gone}, {}, both, SCALE).tier is Tier.UNKNOWN
    assert classify("n", {"fill": flat(0.95), "half": gone}, {}, both, SCALE).tier is Tier.CRITICAL
    rare = classify("n", {"fill": flat(0.5), "rare": gone}, {}, [FILL, RARE], SCALE)
    assert rare.tier is Tier.NONE, "optional signals may be missing"


def test_each_node_is_compared_with_the_others() -> None:
    odd = flat(0.4)
    odd[-20:] += 0.3
    fleet = {f"n{n}": {"fill": flat(0.4, seed=n)} for n in range(4)} | {"bad": {"fill": odd}}
    found = classify_all(fleet, [FILL], SCALE)
    assert [one.node for one in found if one.tier is Tier.WARNING] == ["bad"]


# Properties

seeds = st.integers(0, 10_000)
shapes = st.tuples(seeds, st.floats(0.1, 0.95), st.floats(0.1, 0.95), st.floats(0.001, 0.05))


def drawn(shape: tuple[int, float, float, float]) -> Values:
    seed, first, last, noise = shape
    rng = np.random.default_rng(seed)
    values = np.linspace(first, last, POINTS) + rng.normal(0, noise, POINTS)
    values[rng.random(POINTS) < 0.05] = np.nan
    return values


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(0.0, 0.5), st.sampled_from([Tier.NONE, Tier.WARNING, Tier.CRITICAL]))
def test_what_is_worse_all_along_is_never_judged_better(
    shape: tuple[int, float, float, float], more: float, held: Tier
) -> None:
    values, peers = drawn(shape), {"fill": [0.4, 0.42, 0.38]}
    before = judged(values, peers=peers, held=held)
    after = judged(values + more, peers=peers, held=held)
    assert after.tier.rank >= before.tier.rank
    if before.expected is not None and after.expected is not None:
        assert after.expected <= before.expected + timedelta(seconds=1)


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(0, POINTS))
def test_taking_data_away_never_makes_a_node_good(
    shape: tuple[int, float, float, float], gone: int
) -> None:
    """Invariant 10: without its newest data a node is what it was, or unknown, or worse."""
    values = drawn(shape)
    values[POINTS - gone :] = np.nan
    if gone > SCALE.recent:
        assert judged(values).tier is Tier.UNKNOWN


@given(
    st.lists(st.sampled_from(list(Tier)), min_size=3, max_size=3),
    st.integers(0, 2),
    st.sampled_from([Tier.WARNING, Tier.CRITICAL]),
)
def test_a_worse_signal_never_makes_a_better_node(
    tiers: list[Tier], place: int, worse: Tier
) -> None:
    signals = [FILL, HALF, FREE]

    def of(found: list[Tier]) -> Tier:
        findings = [
            SignalTier(signal=s.name, tier=t, reason="", weight=s.weight,
                    level=None if t is Tier.UNKNOWN else 1.0)
            for s, t in zip(signals, found, strict=True)
        ]  # fmt: skip
        return combine("n", findings, signals).tier

    if worse.rank >= tiers[place].rank:
        changed = [*tiers[:place], worse, *tiers[place + 1 :]]
        known_worse = of(changed).rank >= of(tiers).rank
        # A signal that was missing and is now known to be bad, but light, is not unknown any more.
        assert known_worse or of(tiers) is Tier.UNKNOWN
