"""Bounds on calls: for an incident, an hour, a day, money, and the breaker; in memory and store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.config import Model
from runner.decide.ledger import Ledger, Memory, StoreLedger
from runner.incident.model_call import Failure, ModelCall, Round
from runner.store import model_calls
from runner.store.database import Database

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.store


@pytest.fixture(params=["memory", "store"])
def ledger(request: pytest.FixtureRequest, database: Database) -> Ledger:
    return Memory() if request.param == "memory" else StoreLedger(database)


def call(minutes_ago: float = 0, **changes: Any) -> ModelCall:
    given: dict[str, Any] = {
        "incident": 1, "at": NOW - timedelta(minutes=minutes_ago), "round": Round.FIRST,
        "provider": "openai", "model": "m", "prompt_hash": "p", "question": "q", "prompt": "Why?",
    }  # fmt: skip
    return ModelCall(**(given | changes))


def settings(**changes: Any) -> Model:
    return Model.model_validate({"name": "m"} | changes)


def made(ledger: Ledger, how: Model, minutes_ago: float = 0, **changes: Any) -> None:
    """A call that was made and came to what `changes` say."""
    incident = changes.pop("incident", None)
    opened = ledger.open(call(minutes_ago, incident=incident), how)
    assert opened.failure is None, opened.detail
    ledger.close(replace(opened, **changes))


def refused(ledger: Ledger, how: Model, **changes: Any) -> tuple[Failure | None, str]:
    found = ledger.open(call(**changes), how)
    return found.failure, found.detail


def test_an_incident_has_its_calls_and_no_more(ledger: Ledger) -> None:
    how = settings()
    for _ in range(2):
        made(ledger, how, incident=1)
    assert refused(ledger, how) == (Failure.BUDGET, "this incident had 2 calls; the limit is 2")
    assert refused(ledger, how, incident=2) == (None, "")


@pytest.mark.parametrize(
    ("budget", "old", "young", "why"),
    [
        ({"calls_per_hour": 2}, 61, 59, "2 calls within a hour; the limit is 2"),
        ({"calls_per_day": 2}, 1441, 1439, "2 calls within a day; the limit is 2"),
        ({"money_per_hour": 1.0}, 61, 59, "1 spent within a hour; the limit is 1"),
        ({"money_per_day": 1.0}, 1441, 1439, "1 spent within a day; the limit is 1"),
    ],
)
def test_hours_and_days_have_bounds(
    ledger: Ledger, budget: dict[str, Any], old: int, young: int, why: str
) -> None:
    how = settings(budget=budget)
    for minutes in (old, old):
        made(ledger, how, minutes, money=0.5)
    assert refused(ledger, how)[0] is None
    made(ledger, settings(), young, money=0.5)
    if "money" in str(budget):
        made(ledger, settings(), young, money=0.5)
    assert refused(ledger, how) == (Failure.BUDGET, why)


def test_a_refused_call_does_not_count(ledger: Ledger) -> None:
    how = settings(budget={"calls_per_hour": 1})
    made(ledger, how, 30)
    for _ in range(3):
        assert refused(ledger, how)[0] is Failure.BUDGET
    later = call(-31, incident=5)
    assert ledger.open(later, how).failure is None


def test_the_breaker_opens_after_failures_in_a_row(ledger: Ledger) -> None:
    how = settings(breaker={"failures": 3, "within": "10m"})
    for minutes in (4, 3, 2):
        made(ledger, how, minutes, failure=Failure.TIMEOUT)
    failure, why = refused(ledger, how)
    assert failure is Failure.BREAKER
    assert why == "openai failed 3 times in a row, the last time by timeout"
    assert refused(ledger, how, model="other")[0] is None
    assert ledger.open(call(-10, incident=9), how).failure is None


@pytest.mark.parametrize("between", [None, Failure.INVALID, Failure.REFUSED, Failure.DENIED])
def test_an_answer_of_any_kind_closes_the_breaker(ledger: Ledger, between: Failure | None) -> None:
    how = settings(breaker={"failures": 3, "within": "10m"})
    for minutes, failure in ((4, Failure.TIMEOUT), (3, between), (2, Failure.TIMEOUT)):
        made(ledger, how, minutes, failure=failure)
    assert refused(ledger, how)[0] is None


def test_a_good_answer_is_found_again_and_no_other(ledger: Ledger) -> None:
    how = settings()
    made(ledger, how, 30, answer="old", question="q")
    made(ledger, how, 20, answer="bad", question="q", failure=Failure.INVALID)
    made(ledger, how, 10, answer="other", question="r")
    found = ledger.answered("q", NOW - timedelta(hours=1))
    assert found is not None and found.answer == "old"
    assert ledger.answered("q", NOW - timedelta(minutes=25)) is None
    ledger.note(call(round=Round.REUSED, answer="old", reused=found.id))
    again = ledger.answered("q", NOW - timedelta(hours=1))
    assert again is not None and again.id == found.id


def test_a_call_that_nobody_closed_is_lost_and_counts(database: Database) -> None:
    """Invariant 14: a runner that dies in its calls does not call for ever."""
    how = settings(budget={"calls_per_incident": 1})
    assert StoreLedger(database).open(call(), how).failure is None
    assert refused(StoreLedger(database), how)[0] is Failure.BUDGET
    with database.read() as tx:
        assert model_calls.of_incident(tx, 1)[0].failure is Failure.LOST


def test_workers_share_one_budget(database: Database) -> None:
    how, opened = settings(budget={"calls_per_hour": 5}), []

    def work() -> None:
        for _ in range(4):
            opened.append(StoreLedger(database).open(call(incident=None), how).failure)

    run_all([work] * 4)
    assert opened.count(None) == 5 and opened.count(Failure.BUDGET) == 11


def run_all(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_usage_is_told_by_day_and_model(database: Database) -> None:
    ledger, how = StoreLedger(database), settings()
    made(ledger, how, 5, input_tokens=100, output_tokens=10, money=0.25, seconds=2.0)
    made(ledger, how, 4, failure=Failure.TIMEOUT, seconds=4.0)
    made(ledger, how, 1445, input_tokens=7)
    ledger.note(call(round=Round.REUSED, reused=1))
    ledger.open(call(incident=3), settings(budget={"calls_per_hour": 0}))
    with database.read() as tx:
        today, before = model_calls.usage(tx, NOW - timedelta(days=2))
    assert (today.calls, today.failed, today.reused) == (2, 1, 1)
    assert (today.input_tokens, today.output_tokens, today.money) == (100, 10, 0.25)
    assert today.seconds == 6.0
    assert (before.day.day, before.input_tokens) == (3, 7)
