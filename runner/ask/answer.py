"""A model's answer to a person: text with cited facts, each checked to exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runner.ask.facts import Fact
from runner.config import Model
from runner.decide import provider
from runner.decide.answer import Unusable, parse
from runner.decide.model import ModelDecider
from runner.decide.prompt import Prompts
from runner.decide.untrusted import fence
from runner.model_call import Failure, ModelCall, Round
from runner.text import brief, storable, visible

LONGEST = 2000  #: characters of an answer
_CITED = re.compile(r"\[(\d{1,6}(?:\s*,\s*\d{1,6})*)\]")
_SCHEMA: dict[str, Any] = {
    "title": "answer",
    "description": "The answer, and the facts that it rests on.",
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "cited": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["answer", "cited"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the model said, or why that is not shown."""

    text: str = ""
    cited: tuple[int, ...] = ()
    problem: str = ""  #: why there is no text, a sentence


def ask(question: str, facts: Sequence[Fact], model: ModelDecider) -> Said:
    """One call of the model, within its budget. Raises StoreError, and ConfigError for prompts."""
    settings = model.settings
    told = [f"{fact.kind}, {fact.source}: {fact.text}" for fact in facts]
    shown = model.prompts.asked(question, told, fence=fence())
    messages = [("system", shown.system), ("human", shown.question)]
    call = model.ledger.open(_call(settings, model.prompts, messages), settings)
    if call.failure is not None:
        return Said(problem=f"the model was not asked: {call.detail}")
    reply = model.request(
        settings,
        messages,
        _SCHEMA,
        timeout=settings.timeout.total_seconds(),
        max_tokens=settings.max_tokens,
    )
    said, failure = _checked(reply, facts)
    model.ledger.close(_closed(call, settings, reply, failure, model.mask))
    if said.problem:
        problem = brief(model.mask(said.problem), 300)
        return Said(problem=f"the model's answer is not shown: {problem}")
    return replace(said, text=visible(storable(model.mask(said.text)), lines=True))


def _checked(reply: provider.Reply, facts: Sequence[Fact]) -> tuple[Said, Failure | None]:
    if reply.failure is not None:
        return Said(problem=f"{reply.failure} ({reply.detail})"), reply.failure
    try:
        return read(reply.text, len(facts)), None
    except Unusable as error:
        return Said(problem=str(error)), Failure.INVALID


def read(text: str, facts: int) -> Said:
    """The answer in `text`, which rests on facts from 1 to `facts`. Raises Unusable."""
    content = parse(text)
    answer, cited = content.get("answer"), content.get("cited")
    if not isinstance(answer, str) or not answer.strip():
        raise Unusable("it has no text in `answer`")
    if not isinstance(cited, list) or not all(type(number) is int for number in cited):
        raise Unusable("`cited` is no list of numbers")
    written = {int(n) for group in _CITED.findall(answer) for n in group.split(",")}
    numbers = sorted({*cited, *written})
    if missing := [number for number in numbers if not 1 <= number <= facts]:
        raise Unusable(f"it cites facts that do not exist: {', '.join(map(str, missing[:5]))}")
    if facts and not numbers:
        raise Unusable("it cites no fact")
    return Said(text=answer[:LONGEST], cited=tuple(numbers))


def _call(settings: Model, prompts: Prompts, messages: list[provider.Message]) -> ModelCall:
    return ModelCall(
        at=datetime.now(UTC),
        round=Round.FIRST,
        provider=settings.provider,
        model=settings.name,
        prompt_hash=prompts.hash,
        question="",  # an answer to a person is never used again
        prompt="\n\n".join(f"--- {role}\n{text}" for role, text in messages),
    )


def _closed(
    call: ModelCall,
    settings: Model,
    reply: provider.Reply,
    failure: Failure | None,
    mask: Callable[[str], str],
) -> ModelCall:
    prices = settings.prices
    spent = reply.input_tokens * prices.input + reply.output_tokens * prices.output
    return replace(
        call,
        version=brief(reply.version, 120),
        answer=mask(visible(storable(reply.text[:16_384]), lines=True)),
        failure=failure,
        detail=brief(mask(reply.detail), 500),
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        money=spent / 1_000_000,
        seconds=reply.seconds,
        requests=1,
        finish=brief(reply.finish, 40),
    )
