"""What is wrong with runner.yml, a sentence each, with the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from runner.config.document import Config
from runner.config.section import Section


def explain(problem: Any, model: type[Section] | None = None) -> str:
    """One sentence for a pydantic error of `model`, which is Config when none is given."""
    place = ".".join(str(part) for part in problem["loc"]) or "top level"
    if problem["type"] != "extra_forbidden":
        message = problem["msg"].removeprefix("Value error, ")
        return f"{place}: {message[:1].lower()}{message[1:]}"
    *above, key = problem["loc"]
    known = _known_keys(above, model or Config)
    if near := difflib.get_close_matches(str(key), known, n=1, cutoff=0.5):
        return f"unknown key {place}; did you mean {near[0]}?"
    return f"unknown key {place}" + (f"; known here: {', '.join(known)}" if known else "")


def _known_keys(place: Sequence[Any], model: Any) -> list[str]:
    fields: dict[str, Any] = model.model_fields
    parts = iter(part for part in place if not isinstance(part, int))
    for part in parts:
        annotation = annotation_of(fields, part)
        section = section_in(annotation)
        if section is None:
            return []
        if getattr(annotation, "__origin__", None) is dict:
            next(parts, None)  # the name that a person gave, such as a parameter's
        fields = section.model_fields
    hidden = ("root", "folder", "id", "required")  # never written in a file
    return [f.alias or name for name, f in fields.items() if name not in hidden]


def annotation_of(fields: dict[str, Any], key: str) -> Any:
    for name, field in fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def section_in(annotation: Any) -> type[Section] | None:
    """The Section class inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := section_in(part):
            return found
    return None
