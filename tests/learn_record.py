"""Records for the tests of learning: trials a day apart, and strategies that make any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from runner.autonomy.record import Clearing, Deed, Facts, Feedback, Key, Mark, Setting, Trial
from runner.config import Autonomy
from runner.incident import Level, Outcome, Purpose, Result, State

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
KEY = Key("service_restart", "ServiceDown", "production")
WORDS = {"f": Mark.FIXED, "a": Mark.AGREED, "d": Mark.DISAGREED, "b": Mark.BAD}


def rules(**changes: Any) -> Autonomy:
    """Small counts, so that short records move."""
    given: dict[str, Any] = {
        "earn": True,
        "dry_run": {"count": 2, "bound": 0.2},
        "approve": {"count": 3, "bound": 0.3},
        "auto": {"count": 5, "bound": 0.5},
    }
    return Autonomy.model_validate(given | changes)


def trials(
    marks: str, *, last: datetime = NOW, apart: timedelta = timedelta(days=1)
) -> list[Trial]:
    """A trial for each letter (fixed, agreed, disagreed, bad), the last one at `last`."""
    return [
        Trial(
            incident=number + 1,
            at=last - apart * (len(marks) - 1 - number),
            mark=WORDS[mark],
            why="because",
        )
        for number, mark in enumerate(marks)
    ]


def setting(level: Level, *, days_ago: float = 0, hold: bool = False) -> Setting:
    at = NOW - timedelta(days=days_ago)
    return Setting(level=level, hold=hold, by="user:ann", reason="so", at=at)


def deed(**changes: Any) -> Deed:
    given: dict[str, Any] = {
        "purpose": Purpose.REMEDIATION,
        "outcome": Outcome.CHANGED,
        "result": Result.FIXED,
        "started": True,
        "at": NOW,
    }
    return Deed(**(given | changes))


def facts(*deeds: Deed, **changes: Any) -> Facts:
    given: dict[str, Any] = {"incident": 1, "state": State.FIXED, "deeds": deeds}
    return Facts(**(given | changes))


def word(right: bool, at: datetime = NOW) -> Feedback:
    return Feedback(incident=1, right=right, by="user:ann", reason="so", at=at)


def clearing(cleared: int, stayed: int) -> Clearing:
    return Clearing(
        cleared=cleared,
        stayed=stayed,
        delay=timedelta(minutes=1),
        within=timedelta(minutes=5),
        source="test",
        at=NOW,
    )


levels = st.sampled_from(Level)
moments = st.integers(-60, 200 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
any_trial = st.builds(
    Trial,
    incident=st.integers(1, 50),
    at=moments,
    mark=st.sampled_from([*Mark, Mark.FIXED, Mark.FIXED, Mark.FIXED]),
    why=st.just("because"),
)
any_record = st.lists(any_trial, max_size=60)
any_setting = st.builds(
    Setting,
    level=levels,
    hold=st.booleans(),
    by=st.just("user:ann"),
    reason=st.text(max_size=5),
    at=moments,
)
rungs = st.fixed_dictionaries(
    {"count": st.integers(1, 12), "bound": st.floats(0, 0.9, allow_nan=False)}
)
any_rules = st.fixed_dictionaries(
    {
        "earn": st.just(True),
        "start": levels,
        "window": st.sampled_from(["1d", "30d", "90d", "365d"]),
        "confidence": st.sampled_from([0.5, 0.8, 0.95, 0.999]),
        "dry_run": rungs,
        "approve": rungs,
        "auto": rungs,
        "uplift": st.fixed_dictionaries(
            {"required": st.booleans(), "level": levels, "trials": st.integers(1, 30)}
        ),
    }
).map(Autonomy.model_validate)
any_facts = st.builds(
    Facts,
    incident=st.integers(1, 50),
    state=st.sampled_from(State),
    deeds=st.lists(
        st.builds(
            Deed,
            purpose=st.sampled_from([Purpose.REMEDIATION, Purpose.UNDO]),
            outcome=st.none() | st.sampled_from(Outcome),
            result=st.none() | st.sampled_from(Result),
            started=st.booleans(),
            at=moments,
        ),
        max_size=3,
    ).map(tuple),
    answer=st.sampled_from([None, "approved", "denied", "expired"]),
    answered_at=moments,
    feedback=st.none() | st.builds(word, st.booleans(), moments),
)
