"""Learning: what a record has earned, whatever it holds; and never more than a ceiling."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.autonomy import trial
from runner.autonomy.bounds import interval, lower
from runner.autonomy.earn import below, earned
from runner.autonomy.record import Facts, Mark, Setting, Trial
from runner.config import Autonomy
from runner.incident import Level, Outcome, Purpose, Reason, Result, State
from runner.policy import judge
from tests.learn_record import (
    KEY,
    NOW,
    any_facts,
    any_record,
    any_rules,
    any_setting,
    deed,
    facts,
    rules,
    setting,
    trials,
    word,
)
from tests.policy_case import case
from tests.policy_case import config as policy_config
from tests.policy_case import entry as policy_entry

settings_of_people = st.lists(any_setting, max_size=3)


def level(marks: str, given_rules: Autonomy | None = None, *people: Setting) -> Level:
    return earned(KEY, trials(marks), people, given_rules or rules(), NOW).level


# One incident


@pytest.mark.parametrize(
    ("given_facts", "mark"),
    [
        (facts(deed()), Mark.FIXED),
        (facts(deed(outcome=Outcome.NO_CHANGE)), None),  # it went by itself
        (facts(deed(), deed(outcome=Outcome.NO_CHANGE)), Mark.FIXED),
        (facts(deed(result=Result.NOT_FIXED)), Mark.BAD),
        (facts(deed(result=Result.UNKNOWN)), Mark.BAD),
        (facts(deed(outcome=Outcome.FAILED)), Mark.BAD),
        (facts(deed(outcome=Outcome.TOLERATED_FAILURE)), Mark.BAD),
        (facts(deed(outcome=Outcome.UNKNOWN, result=None)), Mark.BAD),
        (facts(deed(), deed(purpose=Purpose.UNDO, result=None)), Mark.BAD),
        (facts(deed(result=Result.NOT_FIXED), deed()), Mark.BAD),
        (facts(deed(), feedback=word(False)), Mark.BAD),
        (facts(deed(), feedback=word(True)), Mark.FIXED),
        (facts(deed(result=Result.NOT_FIXED), feedback=word(True)), Mark.BAD),
        (facts(state=State.OBSERVED, feedback=word(True)), Mark.AGREED),
        (facts(state=State.OBSERVED, feedback=word(False)), Mark.BAD),
        (facts(state=State.DENIED, answer="denied", answered_at=NOW), Mark.DISAGREED),
        (facts(state=State.RESOLVED, answer="approved", answered_at=NOW), Mark.AGREED),
        (facts(state=State.EXPIRED, answer="expired", answered_at=NOW), None),
        (facts(state=State.OBSERVED), None),
        (facts(deed(outcome=None, result=None)), None),
        (facts(deed(result=None)), None),
        (facts(deed(outcome=Outcome.CANCELLED, result=None, started=False)), None),
        (facts(deed(outcome=Outcome.CANCELLED, result=None)), Mark.BAD),
    ],
)
def test_an_incident_says_what_came_of_it(given_facts: Facts, mark: Mark | None) -> None:
    """Invariant 10: what is not known of a run is never counted as good."""
    found = trial.of(given_facts)
    assert (found.mark if found else None) is mark


def test_a_fix_by_other_files_says_nothing_and_a_bad_run_by_them_does() -> None:
    good, worse = facts(deed(), content="a"), facts(deed(outcome=Outcome.FAILED), content="a")
    assert [bool(trial.of(good, content)) for content in ("a", "b", None)] == [True, False, True]
    assert [bool(trial.of(worse, content)) for content in ("a", "b", None)] == [True, True, True]
    assert trial.of(facts(deed()), "a") is None  # nobody knows what ran


@given(any_facts)
def test_a_bad_run_is_bad_whatever_else_is_said(given_facts: Facts) -> None:
    """Invariant 9: nobody's word makes a run without a proven effect good."""
    found = trial.of(given_facts)
    if any(each.started and trial.bad(each) for each in given_facts.deeds):
        assert found is not None and found.mark is Mark.BAD
    if found is not None and found.mark is Mark.FIXED:
        ran = [each for each in given_facts.deeds if each.started]
        assert ran and all(each.result is Result.FIXED for each in ran)


# Bounds


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 0.999))
def test_bounds_lie_around_what_was_seen(good: int, bad: int, confidence: float) -> None:
    total = good + bad
    low, high = interval(good, total, confidence)
    assert 0 <= low <= high <= 1
    assert not total or low <= good / total <= high
    assert lower(good, total, confidence) <= lower(good + 1, total + 1, confidence) + 1e-12
    assert lower(good, total + 1, confidence) <= lower(good, total, confidence) + 1e-12


def test_the_bounds_are_those_of_the_books() -> None:
    assert interval(8, 10, 0.95) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert interval(0, 10, 0.95) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert lower(20, 20, 0.95) == pytest.approx(0.8808, abs=1e-4)
    with pytest.raises(ValueError, match="3 of 2"):
        lower(3, 2, 0.95)


# A record


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ("", Level.OBSERVE),
        ("f", Level.OBSERVE),
        ("ff", Level.DRY_RUN),
        ("fff", Level.APPROVE),
        ("fffff", Level.AUTO),
        ("aaaaaaaa", Level.APPROVE),  # only runs earn auto
        ("aaafffff", Level.AUTO),
        ("fffffb", Level.APPROVE),
        ("fffffbb", Level.DRY_RUN),
        ("fffffbbb", Level.OBSERVE),
        ("fffffbffff", Level.APPROVE),
        ("fffffbfffff", Level.AUTO),
        ("ddddd", Level.OBSERVE),
        ("fffffd", Level.AUTO),  # a denial is no bad run: it only weighs
        ("ddddddddfffff", Level.DRY_RUN),
    ],
)
def test_a_record_climbs_step_by_step_and_falls_at_once(marks: str, expected: Level) -> None:
    assert level(marks) is expected


def test_what_is_older_than_the_window_is_forgotten() -> None:
    old = trials("fffff", last=NOW - timedelta(days=91))
    assert earned(KEY, old, (), rules(), NOW).level is Level.OBSERVE
    assert earned(KEY, old, (), rules(), NOW - timedelta(days=10)).level is Level.AUTO


def test_a_person_lowers_and_it_is_earned_again() -> None:
    assert level("fffff", None, setting(Level.OBSERVE)) is Level.OBSERVE
    assert level("fffffff", None, setting(Level.DRY_RUN, days_ago=3.5)) is Level.APPROVE


def test_a_person_holds_it_down_for_good() -> None:
    held = setting(Level.DRY_RUN, days_ago=300, hold=True)
    assert level("ffffffffff", None, held) is Level.DRY_RUN
    assert level("ffffffffff", None, held, setting(Level.AUTO)) is Level.AUTO


def test_what_a_person_raised_is_lost_by_one_bad_run_and_forgotten_with_time() -> None:
    assert level("b", None, setting(Level.AUTO, days_ago=1)) is Level.APPROVE
    assert level("", None, setting(Level.AUTO, days_ago=91)) is Level.OBSERVE
    assert level("", rules(start="approve"), setting(Level.OBSERVE, days_ago=91)) is Level.OBSERVE


def test_the_sentence_says_what_is_missing() -> None:
    found = earned(KEY, trials("fffffbf"), (), rules(), NOW)
    assert found.text == (
        "service_restart for ServiceDown in production is at approve; in 90d: 6 fixed, "
        "0 confirmed by people, 0 denied, 1 bad. Auto needs 5 verified runs since the last bad "
        "one (has 1) and a lower bound of 50% (has 55%)."
    )
    assert [change.level for change in found.changes] == [
        Level.DRY_RUN,
        Level.APPROVE,
        Level.AUTO,
        Level.APPROVE,
    ]


def test_only_bad_runs_make_it_demoted() -> None:
    """Where a record fell below its start a person must know; where it only starts, not."""
    auto = rules(start="auto")
    assert not earned(KEY, [], (), auto, NOW).demoted
    assert earned(KEY, trials("b"), (), auto, NOW).demoted
    assert not earned(KEY, [], [setting(Level.OBSERVE)], auto, NOW).demoted


@given(any_record, settings_of_people, any_rules)
def test_one_bad_run_always_demotes(
    record: list[Trial], people: list[Setting], given_rules: Autonomy
) -> None:
    """Invariant 8: the newest bad run costs a level, whatever the record holds."""
    plain = given_rules.model_copy(update={"uplift": Autonomy().uplift})
    before = earned(KEY, record, people, plain, NOW)
    late = NOW + timedelta(hours=2)
    worse = [*record, Trial(incident=99, at=late, mark=Mark.BAD, why="it broke")]
    after = earned(KEY, worse, people, plain, NOW)
    assert after.level is below(before.level)


@given(any_record, settings_of_people, any_rules, st.data())
def test_more_good_evidence_never_lowers_it(
    record: list[Trial], people: list[Setting], given_rules: Autonomy, data: st.DataObject
) -> None:
    at = data.draw(st.sampled_from([NOW, NOW - timedelta(days=3), NOW - timedelta(days=40)]))
    mark = data.draw(st.sampled_from([Mark.FIXED, Mark.AGREED]))
    more = [*record, Trial(incident=99, at=at, mark=mark, why="it helped")]
    before = earned(KEY, record, people, given_rules, NOW)
    assert earned(KEY, more, people, given_rules, NOW).level.rank >= before.level.rank


@given(any_record, settings_of_people, any_rules, st.data())
def test_more_bad_evidence_never_raises_it(
    record: list[Trial], people: list[Setting], given_rules: Autonomy, data: st.DataObject
) -> None:
    at = data.draw(st.sampled_from([NOW, NOW - timedelta(days=3), NOW - timedelta(days=40)]))
    mark = data.draw(st.sampled_from([Mark.BAD, Mark.DISAGREED]))
    more = [*record, Trial(incident=99, at=at, mark=mark, why="it did not help")]
    before = earned(KEY, record, people, given_rules, NOW)
    assert earned(KEY, more, people, given_rules, NOW).level.rank <= before.level.rank


@given(any_record, settings_of_people, any_rules)
def test_the_changes_lead_to_the_level(
    record: list[Trial], people: list[Setting], given_rules: Autonomy
) -> None:
    plain = given_rules.model_copy(update={"uplift": Autonomy().uplift})
    found = earned(KEY, record, people, plain, NOW)
    for one, following in zip(found.changes, found.changes[1:], strict=False):
        assert one.level is following.previous and one.at <= following.at
    assert not found.changes or found.changes[-1].level is found.level
    assert found.text.strip()


# Through policy


@given(
    any_record, settings_of_people, any_rules,
    st.fixed_dictionaries({
        "config": st.sampled_from(Level), "ceiling": st.sampled_from(Level),
        "entry": st.sampled_from(Level), "host": st.sampled_from(Level), "paused": st.booleans(),
    }),
)  # fmt: skip
def test_no_record_lets_a_level_exceed_any_ceiling(
    record: list[Trial], people: list[Setting], given_rules: Autonomy, ceilings: dict[str, Any]
) -> None:
    """Invariant 7: history, feedback and settings grant nothing above what people allowed."""
    found = earned(KEY, record, people, given_rules, NOW)
    judged = case(
        earned=Reason(rule="earned", level=found.level, text=found.text),
        config=policy_config().model_copy(update={"level": ceilings["config"]}),
        ceiling=ceilings["ceiling"],
        entry=policy_entry(level=ceilings["entry"]),
        variables={"web1": {"runner_level": str(ceilings["host"])}},
        paused="by ann" if ceilings["paused"] else None,
    )
    verdict = judge(judged)
    allowed = [ceilings[name] for name in ("config", "ceiling", "entry", "host")]
    assert verdict.level.rank <= Level.lowest(*allowed, found.level).rank
    assert not ceilings["paused"] or verdict.level is Level.OBSERVE
    assert judge(replace(judged, earned=None)).level.rank >= verdict.level.rank


@given(st.lists(any_facts, max_size=30), settings_of_people, any_rules)
def test_no_history_earns_more_than_its_rungs_ask(
    history: list[Facts], people: list[Setting], given_rules: Autonomy
) -> None:
    """Above where it began or what a person gave, every level rests on enough that went well."""
    record = [found for each in history if (found := trial.of(each)) is not None]
    found = earned(KEY, record, people, given_rules, NOW)
    given_levels = [given_rules.start, *(each.level for each in people)]
    if found.level.rank > max(each.rank for each in given_levels):
        rung = given_rules.rung(found.level)
        good = found.fixed + (0 if found.level is Level.AUTO else found.agreed)
        assert rung is not None and good >= rung.count
