"""Uplift: runs are compared with firings of the same alert that were left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.autonomy import uplift
from runner.autonomy.earn import earned
from runner.autonomy.record import Helps, Spell, Touch
from runner.config import UpliftRules
from runner.incident import Level
from tests.learn_record import KEY, NOW, clearing, rules, trials

MINUTE = timedelta(minutes=1)
LABELS = {"alertname": "ServiceDown", "instance": "web1:9100"}


def spell(minutes: float, *, open_: bool = False, hours_ago: float = 5) -> Spell:
    began = NOW - timedelta(hours=hours_ago)
    return Spell(labels=LABELS, began=began, lasted=minutes * MINUTE, open=open_)


def touch(hours_ago: float, **labels: str) -> Touch:
    began = NOW - timedelta(hours=hours_ago)
    return Touch(labels={**LABELS, "region": "eu", **labels}, began=began, at=began + MINUTE)


def counted(*spells: Spell) -> tuple[int, int]:
    found = uplift.count(spells, 2 * MINUTE, 5 * MINUTE, source="test", at=NOW)
    return found.cleared, found.stayed


def test_only_firings_as_old_as_those_that_runs_began_on_count() -> None:
    assert counted(spell(1), spell(2)) == (0, 0)
    assert counted(spell(3), spell(7)) == (2, 0)
    assert counted(spell(7.1), spell(500)) == (0, 2)


def test_an_end_that_nobody_saw_is_not_known() -> None:
    """Invariant 10: a firing that is cut off neither cleared nor stayed."""
    assert counted(spell(3, open_=True)) == (0, 0)
    assert counted(spell(8, open_=True)) == (0, 1)


def test_a_firing_that_a_run_was_made_for_is_left_out() -> None:
    spells = [spell(30, hours_ago=5), spell(30, hours_ago=9)]
    assert uplift.untouched(spells, [touch(5)]) == spells[1:]
    assert uplift.untouched(spells, [touch(5, instance="web2:9100")]) == spells
    assert uplift.untouched(spells, [touch(50)]) == spells


def test_a_firing_that_both_saw_is_counted_once() -> None:
    seen = [spell(4, hours_ago=5)]
    watched = [
        Spell(labels={**LABELS, "region": "eu"}, began=one.began + MINUTE, lasted=9 * MINUTE)
        for one in (spell(9, hours_ago=5), spell(9, hours_ago=7))
    ]
    assert uplift.joined(seen, watched) == (*seen, watched[1])
    assert uplift.joined([], watched) == tuple(watched)


def test_the_delay_is_the_median_age_at_which_runs_begin() -> None:
    ages = [1, 2, 60]
    touches = [Touch(labels={}, began=NOW - age * MINUTE, at=NOW) for age in ages]
    assert uplift.delay_of(touches) == 2 * MINUTE
    assert uplift.delay_of([]) == timedelta()


@pytest.mark.parametrize(
    ("fixed", "runs", "cleared", "stayed", "helps"),
    [
        (55, 60, 2, 38, Helps.YES),
        (55, 60, 30, 10, Helps.NO),
        (55, 60, 38, 2, Helps.NO),
        (19, 19, 0, 40, Helps.UNKNOWN),
        (60, 60, 0, 19, Helps.UNKNOWN),
        (0, 0, 0, 0, Helps.UNKNOWN),
    ],
)
def test_an_entry_helps_if_the_intervals_are_apart(
    fixed: int, runs: int, cleared: int, stayed: int, helps: Helps
) -> None:
    found = uplift.compare(fixed, runs, clearing(cleared, stayed), UpliftRules())
    assert found.helps is helps


def test_the_record_says_it_in_a_sentence() -> None:
    found = uplift.compare(55, 60, clearing(31, 10), UpliftRules())
    assert found.text == ("fixed 92% of 60, baseline 61% to 86% (of 41 without a run)")
    nothing = uplift.compare(0, 0, None, UpliftRules())
    assert nothing.text == "never run, baseline unknown"
    assert nothing.helps is Helps.UNKNOWN


def test_without_uplift_a_record_may_lose_its_level() -> None:
    useless = uplift.compare(55, 60, clearing(38, 2), UpliftRules())
    for required, level in ((False, Level.AUTO), (True, Level.DRY_RUN)):
        wanted = rules(uplift={"required": required, "level": "dry-run"})
        found = earned(KEY, trials("fffffff"), (), wanted, NOW, useless)
        assert found.level is level
    assert "no better than waiting" in found.text


def test_an_unknown_uplift_costs_nothing() -> None:
    unknown = uplift.compare(3, 3, None, UpliftRules())
    wanted = rules(uplift={"required": True, "level": "observe"})
    assert earned(KEY, trials("fffffff"), (), wanted, NOW, unknown).level is Level.AUTO


@given(
    st.integers(0, 80), st.integers(0, 80), st.integers(0, 80), st.integers(0, 80),
    st.sampled_from(Level),
)  # fmt: skip
def test_uplift_never_raises_a_level(
    fixed: int, broken: int, cleared: int, stayed: int, floor: Level
) -> None:
    found = uplift.compare(fixed, fixed + broken, clearing(cleared, stayed), UpliftRules())
    wanted = rules(uplift={"required": True, "level": str(floor)})
    plain = earned(KEY, trials("fff"), (), wanted, NOW)
    assert earned(KEY, trials("fff"), (), wanted, NOW, found).level.rank <= plain.level.rank
