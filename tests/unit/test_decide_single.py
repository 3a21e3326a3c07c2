"""A call whose answer chooses nothing is bounded like every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.config import Model
from runner.decide.ledger import Memory
from runner.decide.model import ModelDecider
from runner.decide.prompt import Prompts
from runner.decide.provider import Reply
from runner.decide.single import tell
from runner.incident.model_call import Failure


def plain(text: str) -> str:
    return text


def decider(**changes: Any) -> tuple[ModelDecider, list[Sequence[Any]]]:
    """A decider, and the requests that it makes."""
    sent: list[Sequence[Any]] = []

    def request(endpoint: Any, messages: Sequence[Any], schema: Any, **options: Any) -> Reply:
        sent.append(messages)
        return Reply(text="yes")

    settings = Model(**{"name": "m", "base_url": "http://m", "deadline": "100ms"} | changes)
    prompts = Prompts(None, plain)
    return ModelDecider(settings, prompts, Memory(), mask=plain, request=request), sent


def asked(model: ModelDecider) -> Any:
    return tell(model, model.prompts.node("db1", ["it fills"], fence="f" * 16), {}, str.upper)


def test_an_answer_is_what_was_read_of_it() -> None:
    model, sent = decider()
    assert asked(model).value == "YES"
    assert len(sent) == 1


def test_it_waits_for_a_slot_and_gives_it_back() -> None:
    """Invariant 14: `model.concurrency` bounds predictions and questions of people, too."""
    model, sent = decider(concurrency=1)
    with model.slots:
        busy = asked(model)
    assert (busy.failure, busy.why) == (Failure.BUSY, "1 calls are under way")
    assert sent == []
    assert asked(model).value == asked(model).value == "YES"


def test_the_budget_holds() -> None:
    model, sent = decider(budget={"calls_per_hour": 1})
    assert asked(model).value == "YES"
    assert asked(model).failure is Failure.BUDGET
    assert len(sent) == 1
