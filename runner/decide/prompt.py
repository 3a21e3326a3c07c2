"""The question that a model is asked, and its prompt: Jinja files in `prompts/`, and text from
outside masked, visible, capped, and only behind a fence."""

from __future__ import annotations

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

import runner
from runner.catalog import Catalog
from runner.catalog.choose import MOST, Option
from runner.catalog.entry import Entry
from runner.catalog.parameters import Specs, schema_json
from runner.errors import ConfigError
from runner.incident import Evidence, Labels
from runner.text import brief, cut, storable, visible

SYSTEM, QUESTION, REPAIR = "decide_system.md.j2", "decide_question.md.j2", "decide_repair.md.j2"
#: Of a question that a person asks.
ASK_SYSTEM, ASK_QUESTION = "ask_system.md.j2", "ask_question.md.j2"
#: Of a node that the rules worry about.
NODE_SYSTEM, NODE_QUESTION = "predict_system.md.j2", "predict_question.md.j2"
#: The one file in which text from outside may be shown.
PARTIAL = "_untrusted.md.j2"
_LABEL = 200  #: characters of a label, an annotation or a host's name
_ITEM = 1500  #: characters of one item of evidence
_BLOCK = 4000  #: characters of all labels, of all annotations, of all hosts
_LABELS = 64  #: labels, and annotations, that are shown
_HOSTS = 50
_WHY = 600  #: characters of why an entry does not match
_PROBLEM = 600  #: characters of what was wrong with an answer


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What is sent."""

    system: str
    question: str


def shipped_prompts() -> Path:
    """The prompts that come with the runner: in the package, or in the repository."""
    package = Path(runner.__file__).parent
    places = (package / "_project" / "prompts", package.parent / "prompts")
    return next((place for place in places if (place / SYSTEM).is_file()), places[0])


class Prompts:
    """The prompt files of a project: its own, and the shipped ones where it has none.

    Raises ConfigError with a sentence for files that cannot be used.
    """

    def __init__(self, folder: Path | None, mask: Masks, *, max_evidence: int = 12_000) -> None:
        folders = [*([folder] if folder is not None and folder.is_dir() else []), shipped_prompts()]
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(folders),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            auto_reload=False,  # one process keeps to what its hash says
        )
        self._mask = mask
        self._max_evidence = max_evidence

    @cached_property
    def hash(self) -> str:
        """What the files say, as a hash: every file that a prompt could read."""
        digest = hashlib.sha256()
        for name in sorted(self._environment.list_templates(extensions=["j2"])):
            digest.update(f"{name}\0{self._source(name)}\0".encode())
        return digest.hexdigest()

    def problems(self) -> list[str]:
        """What is wrong with the files, a sentence each; they are rendered once to find out."""
        found = []
        for name in self._environment.list_templates(extensions=["j2"]):
            try:
                self._environment.get_template(name)
                if name != PARTIAL and ".shown" in self._source(name):
                    found.append(f"{name}: text from outside is shown by {PARTIAL} only")
            except (jinja2.TemplateError, ConfigError) as error:
                found.append(f"{name}: {error}")
        if not found:
            try:
                self.question(_example(), fence="f" * 16)
                self.repair("it is no JSON", fence="f" * 16)
                self.asked("Which nodes need attention?", ["none"], fence="f" * 16)
                self.node("db1", ["fsync_p99 is past its warning bound"], fence="f" * 16)
            except ConfigError as error:
                found.append(str(error))
        return found

    def question(
        self, question: Question, *, fence: str, schema: Mapping[str, Any] | None = None
    ) -> Rendered:
        """The system prompt and the question about one incident.

        `schema` is told where the provider cannot be given it.
        """

        def outside(text: str, limit: int = _LABEL, **more: Any) -> Outside:
            return Outside(text, mask=self._mask, limit=limit, marker=fence, **more)

        evidence = _within(question.evidence, self._max_evidence)
        shown = enumerate(question.hosts[:_HOSTS], start=1)
        context = {
            "fence": fence,
            "schema": json.dumps(schema) if schema else None,
            "environment": question.environment,
            "labels": outside(_pairs(question.labels), _BLOCK),
            "annotations": outside(_pairs(question.annotations), _BLOCK),
            "hosts": outside(
                "\n".join(f"{number}. {brief(host, _LABEL)}" for number, host in shown), _BLOCK
            ),
            "choices": [_choice(choice, outside) for choice in question.choices],
            "probes": [{"id": probe.id, "title": probe.title} for probe in question.probes],
            "evidence": [
                {
                    "number": item.number,
                    "kind": item.kind,
                    "text": outside(item.text, limit, head=item.title),
                }
                for item, limit in evidence
            ],
            "left_out": len(question.evidence) - len(evidence),
            "unlisted": question.unlisted,
        }
        return self._both(SYSTEM, QUESTION, context)

    def asked(self, question: str, facts: Sequence[str], *, fence: str) -> Rendered:
        """The two prompts of a person's question; its text and the facts are outside, too."""
        shown = {"question": self._item(question, fence), "facts": self._items(facts, fence)}
        return self._both(ASK_SYSTEM, ASK_QUESTION, shown | {"fence": fence})

    def node(self, node: str, evidence: Sequence[str], *, fence: str) -> Rendered:
        """The two prompts about a node; its name and the evidence are outside."""
        shown = {"node": self._item(node, fence), "evidence": self._items(evidence, fence)}
        return self._both(NODE_SYSTEM, NODE_QUESTION, shown | {"fence": fence})

    def _item(self, text: str, fence: str) -> Outside:
        return Outside(text, mask=self._mask, limit=_ITEM, marker=fence)

    def _items(self, texts: Sequence[str], fence: str) -> list[Outside]:
        return [self._item(text, fence) for text in texts]

    def _both(self, system: str, question: str, context: Mapping[str, Any]) -> Rendered:
        return Rendered(
            system=self._render(system, context), question=self._render(question, context)
        )

    def repair(self, problem: str, *, fence: str) -> str:
        """What is sent after an answer that could not be used; `problem` may quote from it."""
        shown = Outside(problem, mask=self._mask, limit=_PROBLEM, marker=fence)
        return self._render(REPAIR, {"problem": shown, "fence": fence})

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(context).strip() + "\n"
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"prompts: {name} cannot be rendered ({error})") from None

    def _source(self, name: str) -> str:
        assert self._environment.loader is not None
        try:
            return self._environment.loader.get_source(self._environment, name)[0]
        except (UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"prompts: {name} cannot be read ({error})") from None


def _pairs(labels: Mapping[str, str]) -> str:
    pairs = sorted(labels.items())[:_LABELS]
    return "\n".join(f"{cut(name, _LABEL)}: {cut(value, _LABEL)}" for name, value in pairs)


def _choice(choice: Choice, outside: Any) -> dict[str, Any]:
    entry = choice.entry
    return {
        "id": entry.id,
        "title": entry.title,
        "description": entry.description,
        "not_for": list(entry.not_for),
        "risk": entry.risk,
        "steps": list(entry.steps),
        "settable": {name: json.dumps(schema) for name, schema in choice.choosable.items()},
        "past": [outside(text) for text in choice.past],
        "why": outside(choice.why, _WHY) if choice.why else None,
        "tied": choice.tied,
    }


def _within(items: Sequence[Evidence], total: int) -> list[tuple[Evidence, int]]:
    """(item, characters that it may have): in their order, within `total` characters.

    A probe's facts have their place before anything else takes it: up to half of all.
    """
    wanted = [min(len(item.title) + len(item.text) + 1, _ITEM) for item in items]
    given = dict.fromkeys(range(len(items)), 0)
    facts = [place for place in given if items[place].kind == "fact"]
    left = total - _share(facts, wanted, given, total // 2)
    _share([place for place in given if not given[place]], wanted, given, left)
    return [(items[place], size) for place, size in given.items() if size]


def _share(places: Sequence[int], wanted: Sequence[int], given: dict[int, int], room: int) -> int:
    """Give the items at these places what they want while there is room; returns what it took."""
    left = room
    for place in places:
        size = min(wanted[place], left)
        if size < 80 and size < wanted[place]:
            break
        given[place] = size
        left -= size
    return room - left


def _example() -> Question:
    """A small question in which every part of a prompt has something to show."""
    from datetime import UTC, datetime

    from runner.catalog.entry import Parameter
    from runner.catalog.parameters import ParameterSpec

    entry = Entry(
        id="example", folder=Path(), title="T", description="D", not_for=("n",), role="r",
        parameters={"r_name": Parameter.model_validate({"from": "choice"})},
    )  # fmt: skip
    item = Evidence(number=1, kind="log", source="s", title="t", text="x",
                    at=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    specs = {"r_name": ParameterSpec(name="r_name", description="d")}
    return Question(
        labels={"alertname": "A"},
        annotations={"summary": "s"},
        choices=(Choice(entry=entry, specs=specs, past=("fixed",), why="w", tied=True),),
        unlisted=1,
        evidence=(item,),
        hosts=("web1",),
        probes=(entry.model_copy(update={"id": "probe", "kind": "probe"}),),
    )


#: What stands for the fence where a prompt is compared with another one.
PLACEHOLDER = "0" * 16
#: Characters that are masked before the text is cut, so that no secret is cut from its name.
_NEAR = 16 * 1024

Masks = Callable[[str], str]


def fence() -> str:
    """A delimiter that nobody outside can know, anew for each call."""
    return secrets.token_hex(8)


class Outside:
    """One text from outside. A template can show it in one way only: `shown`.

    It is no text itself, so that `{{ item.text }}` without the partial that fences it is an
    error and not a hole.
    """

    def __init__(self, text: str, *, mask: Masks, limit: int, marker: str, head: str = "") -> None:
        """`head` is a line before it."""
        first = cut(_clear(head, mask, marker), limit // 2) + "\n" if head else ""
        body, room = _clear(text[:_NEAR], mask, marker), limit - len(first)
        self._text = first + cut(body, room)

    @property
    def shown(self) -> str:
        """The harmless text, for `_untrusted.md.j2`."""
        return self._text

    def __str__(self) -> str:
        raise TypeError("text from outside enters a prompt by _untrusted.md.j2 only")

    __format__ = None  # type: ignore[assignment]
    __html__ = __str__

    def __bool__(self) -> bool:
        return bool(self._text)


def _clear(text: str, mask: Masks, marker: str) -> str:
    """Masked, without the marker, and with every character that could act written out."""
    # NFKC first: letters that only look like others are what they look like, to detectors too.
    clear = unicodedata.normalize("NFKC", mask(storable(text)))
    return visible(clear.replace(marker, "[fence]"), lines=True)


#: Answers that are no entry, equal members beside the entries.
NONE = "none_of_these"
MORE = "need_evidence"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One entry that may be chosen, as the model sees it."""

    entry: Entry
    specs: Specs = field(default_factory=dict)  #: the variables of its role
    past: tuple[str, ...] = ()  #: what came of it with this alert, a few words each
    why: str = ""  #: why it is only considered; it may quote labels. Empty where it matches
    tied: bool = False  #: as likely as the one before, by code's order

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def choosable(self) -> Mapping[str, Any]:
        """Name → JSON schema of each value that may be chosen for this entry."""
        properties: Mapping[str, Any] = schema_json(self.entry, self.specs)["properties"]
        return properties


def choices_of(
    catalog: Catalog,
    options: Sequence[Option],
    past: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[Choice, ...]:
    """The dozen likeliest options as choices; `past` is what came of each entry before."""
    return tuple(
        Choice(
            entry=option.entry,
            specs=catalog.schema(option.entry.id),
            past=past.get(option.entry.id, ()),
            why=option.why,
            tied=number > 0 and option.place == options[number - 1].place,
        )
        for number, option in enumerate(options[:MOST])
    )


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
    unlisted: int = 0  #: further entries that may be chosen, and are less likely

    def choice(self, id: str) -> Choice | None:
        """The choice of this id."""
        return next((choice for choice in self.choices if choice.id == id), None)

    def probe(self, id: str | None) -> Entry | None:
        """The probe of this id, if it may be asked for."""
        return next((probe for probe in self.probes if probe.id == id), None)

    @property
    def numbers(self) -> frozenset[int]:
        """Evidence numbers that exist."""
        return frozenset(item.number for item in self.evidence)
