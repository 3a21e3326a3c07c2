"""A model's answer to a person: text with cited facts, each checked to exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import re2

from runner.ask.facts import Fact
from runner.decide.answer import Unusable, parse
from runner.decide.model import ModelDecider
from runner.decide.prompt import fence
from runner.decide.single import UNASKED, tell
from runner.text import storable, visible

LONGEST = 2000  #: characters of an answer
_CITED = re2.compile(r"\[(\d{1,6}(?:\s*,\s*\d{1,6})*)\]")
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
    told = [f"{fact.kind}, {fact.source}: {fact.text}" for fact in facts]
    shown = model.prompts.asked(question, told, fence=fence())
    found = tell(model, shown, _SCHEMA, lambda text: read(text, len(facts)))
    if found.value is not None:
        return replace(
            found.value, text=visible(storable(model.mask(found.value.text)), lines=True)
        )
    if found.failure in UNASKED:
        return Said(problem=f"the model was not asked: {found.why}")
    return Said(problem=f"the model's answer is not shown: {found.why}")


def read(text: str, facts: int) -> Said:
    """The answer in `text`, which rests on facts from 1 to `facts`. Raises Unusable."""
    content = parse(text)
    answer, cited = content.get("answer"), content.get("cited")
    if not isinstance(answer, str) or not answer.strip():
        raise Unusable("it has no text in `answer`")
    if not isinstance(cited, list) or not all(type(number) is int for number in cited):
        raise Unusable("`cited` is no list of numbers")
    written = {int(n) for group in _CITED.findall(storable(answer)) for n in group.split(",")}
    numbers = sorted({*cited, *written})
    if missing := [number for number in numbers if not 1 <= number <= facts]:
        raise Unusable(f"it cites facts that do not exist: {', '.join(map(str, missing[:5]))}")
    if facts and not numbers:
        raise Unusable("it cites no fact")
    return Said(text=answer[:LONGEST], cited=tuple(numbers))
