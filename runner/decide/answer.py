"""The model's answer: what it may be, and everything that is checked before it counts.

The schema is made for each incident, so that most of what must not be cannot be said; all of
it is checked here again, because not every provider holds its model to the schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from runner.catalog import parameters
from runner.decide.prompt import MORE, NONE, Question
from runner.errors import Refused, UsageError
from runner.incident import Decision
from runner.text import brief, storable

DECIDER = "model"
MAX_BYTES = 64 * 1024  #: of an answer; an honest one has less than two
_REASON = 600
_WHY = 200
_MOST = 64  #: numbers in a list
_FENCED = re2.compile(r"(?s)```(?:json)?[ \t]*\n(.*?)\n?```")


class Unusable(Exception):
    """The answer cannot be used; the message says why, for the repair and for people."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A checked answer: a decision, or the wish for one look at the host."""

    decision: Decision | None
    probe: str | None = None  #: of `need_evidence`


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Alternative(_Strict):
    """Why another entry is not it."""

    entry: str
    why_not: str


def schema(question: Question, *, more: bool) -> dict[str, Any]:
    """The JSON schema of an answer; `more` says whether a probe may still be asked for.

    Every property is required and no other is allowed, which is what providers that hold
    their model to a schema want; what does not apply is null.
    """
    made = _form(question, more=more).model_json_schema()
    # One nullable property for each value that may be chosen for any eligible entry.
    properties: dict[str, Any] = {}
    for choice in question.choices:
        for name, wanted in choice.choosable.items():
            kept = {
                k: v for k, v in wanted.items() if k not in ("default", "maxLength", "maxItems")
            }
            properties[name] = {"anyOf": [kept, {"type": "null"}]}
    made["properties"]["values"] = {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }
    # In its place and not by reference, which not every provider follows.
    made["properties"]["alternatives"]["items"] = made.pop("$defs")["Alternative"]
    return cast(dict[str, Any], _closed(made) | {"title": "answer", "description": "The choice."})


def free_form(schema: Any) -> bool:
    """Whether some object in it may have any names: strict providers do not take that."""
    if isinstance(schema, dict):
        loose = schema.get("type") == "object" and "properties" not in schema
        return loose or any(free_form(item) for item in schema.values())
    return isinstance(schema, list) and any(free_form(item) for item in schema)


def _form(question: Question, *, more: bool) -> type[BaseModel]:
    """The answer as a pydantic model, for this incident only."""
    ids = [choice.id for choice in question.choices]
    probes = [probe.id for probe in question.probes] if more else []
    entries = Literal[tuple([*ids, NONE, *([MORE] if probes else [])])]  # type: ignore[valid-type]
    hosts = Annotated[int, Field(ge=1, le=max(1, len(question.hosts)))]
    items = Annotated[int, Field(ge=1, le=1_000_000)]
    fields: dict[str, Any] = {
        "reason": (str, Field(description="One or two sentences for the person on call.")),
        "entry": (entries, Field(description="The id of the entry, or what else it is.")),
        "values": (dict[str, Any], Field(description="Of the chosen entry.")),
        "hosts": (Annotated[list[hosts], Field(max_length=_MOST)], Field(description="Numbers.")),
        "cited": (Annotated[list[items], Field(max_length=_MOST)], Field(description="Evidence.")),
        "confidence": (Annotated[float, Field(ge=0, le=1)], Field(description="0 to 1.")),
        "alternatives": (list[Alternative], Field(description="Other entries, and why not.")),
    }
    if probes:
        probe = Literal[tuple(probes)] | None  # type: ignore[valid-type]
        fields["probe"] = (probe, Field(description=f"Only with {MORE}."))
    return create_model("Answer", __base__=_Strict, **fields)


def _closed(made: Any) -> Any:
    """The schema with what strict providers insist on, and without what they refuse."""
    if isinstance(made, list):
        return [_closed(item) for item in made]
    if not isinstance(made, dict):
        return made
    kept = {name: _closed(item) for name, item in made.items() if name not in ("title", "default")}
    if "properties" in made:
        kept["properties"] = {name: _closed(item) for name, item in made["properties"].items()}
        kept |= {"required": list(made["properties"]), "additionalProperties": False}
    return kept


def read(text: str, question: Question, *, more: bool) -> Answer:
    """The checked answer in `text`. Raises Unusable.

    An evidence number that does not exist is no reason to refuse the answer: it is kept, and
    policy lowers the level for it.
    """
    content = parse(text)
    try:
        said: Any = _form(question, more=more).model_validate(content, strict=True)
    except ValidationError as error:
        problems = []
        for problem in error.errors()[:5]:
            place = ".".join(str(part) for part in problem["loc"])[:80] or "the object"
            problems.append(f"{place}: {problem['msg'][:200]}")
        raise Unusable("; ".join(problems)) from None
    if said.entry == MORE:
        probe = question.probe(getattr(said, "probe", None))
        if probe is None:
            raise Unusable(f"{MORE} must name one of the probes")
        return Answer(decision=None, probe=probe.id)
    return Answer(decision=_decision(said, question))


def parse(text: str) -> Any:
    """The JSON object in `text`, alone or in one Markdown fence. Raises Unusable."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise Unusable(f"it has more than {MAX_BYTES} bytes")
    text = text.strip()
    if fenced := _FENCED.fullmatch(storable(text)):
        text = fenced[1]
    if not text:
        raise Unusable("it is empty")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(made := dict(pairs)) != len(pairs):
            twice = next(name for name in names if names.count(name) > 1)
            raise Unusable(f"it has the name {brief(twice, 40)} twice")
        return made

    def no_number(word: str) -> Any:
        raise Unusable(f"{word} is no number in JSON")

    try:
        content = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"it is not one JSON object ({brief(str(error), 120)})") from None
    if not isinstance(content, dict):
        raise Unusable("it is not a JSON object")
    return content


def _decision(said: Any, question: Question) -> Decision:
    chosen = None if said.entry == NONE else said.entry
    if not math.isfinite(said.confidence):
        raise Unusable("confidence: must be a number from 0 to 1")
    choice = question.choice(chosen) if chosen else None
    values: dict[str, Any] = {}
    if choice is not None:
        given = {name: value for name, value in said.values.items() if value is not None}
        try:
            values = parameters.chosen(choice.entry, choice.specs, given)
        except (UsageError, Refused) as error:
            raise Unusable(f"values: {error}") from None
    numbers = said.hosts if chosen is not None else []
    if chosen is not None and not numbers and question.hosts:
        raise Unusable("hosts: give the number of each host on which the entry should run")
    if any(not 1 <= number <= len(question.hosts) for number in numbers):
        raise Unusable(f"hosts: only 1 to {len(question.hosts)} are in the list")
    # Only entries that were eligible; what else the model mentions is dropped.
    kept = {
        other.entry: brief(other.why_not, _WHY)
        for other in said.alternatives[:_MOST]
        if other.entry != chosen and question.choice(other.entry) is not None
    }
    return Decision(
        decider=DECIDER,
        entry=chosen,
        reason=brief(said.reason, _REASON) or "The model gave no reason.",
        values=values,
        cited=tuple(sorted(set(said.cited))),
        confidence=float(said.confidence),
        alternatives=tuple(sorted(kept.items())),
        hosts=tuple(question.hosts[number - 1] for number in sorted(set(numbers))),
    )
