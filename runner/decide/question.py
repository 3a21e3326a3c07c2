"""What the model is asked about: the alert, the entries it may choose from, evidence, hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.catalog.entry import Entry
from runner.catalog.parameters import Specs, schema_json
from runner.incident import Evidence, Labels

#: Answers that are no entry, equal members beside the entries.
NONE = "none_of_these"
MORE = "need_evidence"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One eligible entry as the model sees it."""

    entry: Entry
    specs: Specs = field(default_factory=dict)  #: the variables of its role
    past: tuple[str, ...] = ()  #: what came of it with this alert, a few words each

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def choosable(self) -> Mapping[str, Any]:
        """Name → JSON schema of each value that may be chosen for this entry."""
        properties: Mapping[str, Any] = schema_json(self.entry, self.specs)["properties"]
        return properties


@dataclass(frozen=True, kw_only=True)
class Question:
    """One incident as a question. Everything in `labels`, `annotations` and `evidence`, and the
    hosts' names, comes from outside; the choices are the project's own files."""

    labels: Labels
    annotations: Labels = field(default_factory=dict)
    choices: tuple[Choice, ...]
    evidence: tuple[Evidence, ...] = ()
    hosts: tuple[str, ...] = ()
    probes: tuple[Entry, ...] = ()  #: read-only entries that may bring more evidence, once
    environment: str = "default"

    def choice(self, id: str) -> Choice | None:
        """The eligible entry of this id."""
        return next((choice for choice in self.choices if choice.id == id), None)

    def probe(self, id: str | None) -> Entry | None:
        """The probe of this id, if it may be asked for."""
        return next((probe for probe in self.probes if probe.id == id), None)

    @property
    def numbers(self) -> frozenset[int]:
        """Evidence numbers that exist."""
        return frozenset(item.number for item in self.evidence)
