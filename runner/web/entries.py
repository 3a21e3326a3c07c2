"""Entries of the catalog as people and programs are shown them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from runner.catalog import Catalog, Entry
from runner.catalog.content import content_hash
from runner.catalog.parameters import schema_json
from runner.incident import Level
from runner.text.matcher import written


class EntrySummary(BaseModel):
    """What an entry is for and how far it may go."""

    id: str
    title: str
    description: str
    not_for: list[str]
    kind: str
    match: list[str] | list[list[str]]  #: as in entry.yml: matchers, or lists of which any fits
    consider: list[str] | list[list[str]]  #: the same, for what may only be proposed
    role: str | None
    steps: list[str]
    level: Level
    risk: str
    dry_run: str
    undo: str | None


class EntryDetail(EntrySummary):
    """And what it takes, what it checks and what exactly would run."""

    parameters: dict[str, str]  #: name → where its value comes from
    choices: dict[str, Any]  #: JSON schema of what may be chosen
    limits: dict[str, Any]
    target: dict[str, Any]
    verify: dict[str, Any]
    content: str  #: hash of playbook, role and entry files


def summary(entry: Entry) -> dict[str, Any]:
    """An EntrySummary as plain data."""
    plain_fields = set(EntrySummary.model_fields) - {"match", "consider", "steps", "dry_run"}
    plain = entry.model_dump(mode="json", include=plain_fields)
    texts = {"match": written(entry.match), "consider": written(entry.consider)}
    texts["steps"] = [str(step) for step in entry.steps]
    return plain | texts | {"dry_run": entry.dry_run.word}


def detail(catalog: Catalog, entry: Entry) -> dict[str, Any]:
    """An EntryDetail as plain data."""
    plain = entry.model_dump(mode="json", include={"limits", "target", "verify"}, exclude_none=True)
    return {
        **summary(entry),
        **plain,
        "parameters": {name: parameter.from_ for name, parameter in entry.parameters.items()},
        "choices": schema_json(entry, catalog.schema(entry.id)),
        "content": content_hash(catalog, entry),
    }
