"""A rulebook as it lies on disk: its rulesets, sources and rules, checked for their shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from runner.catalog import document
from runner.config import Section, Text, explain
from runner.errors import UsageError
from runner.text.plain_yaml import Parser, is_deep

MAX_BYTES = 1_000_000
MAX_RULES = 200  #: of all rulesets together
_SPAN = re.compile(r"(\d{1,9})\s(milliseconds?|seconds?|minutes?|hours?|days?)")
_KINDS = ("all", "any", "not_all")


class Throttle(Section):
    """How often a rule may fire."""

    once_within: str | None = None
    once_after: str | None = None
    accumulate_within: str | None = None
    threshold: int | None = None
    group_by_attributes: tuple[str, ...]

    @field_validator("once_within", "once_after", "accumulate_within")
    @classmethod
    def _span(cls, text: str | None) -> str | None:
        if text is not None:
            span(text)
        return text


class Rule(Section):
    """One rule, as it is written."""

    name: Text = Field(min_length=1)
    condition: str | bool | dict[str, Any]
    action: dict[str, Any] | None = None
    actions: tuple[dict[str, Any], ...] | None = None
    enabled: bool = True
    throttle: Throttle | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Rule:
        if (self.action is None) is (self.actions is None):
            raise ValueError("give one of action and actions")
        if any(len(each) != 1 for each in self.does):
            raise ValueError("an action is a mapping with one key, such as run_playbook")
        if any(not isinstance(given, dict | None) for _, given in self.steps):
            raise ValueError("what stands below an action is a mapping")
        if isinstance(self.condition, dict):
            kinds = self.condition.keys() - {"timeout"}
            if len(kinds) != 1 or not kinds <= set(_KINDS):
                raise ValueError("a condition is a text, or one of all, any and not_all")
            items = self.condition[next(iter(kinds))]
            if not isinstance(items, list) or not items:
                raise ValueError("all, any and not_all hold a list of conditions")
        return self

    def conditions(self) -> list[str]:
        """Conditions of which any fires the rule, for one event. Raises ValueError with a sentence
        where several events are needed."""
        if not isinstance(self.condition, dict):
            return [str(self.condition)]
        kind = next(key for key in self.condition if key != "timeout")
        items = self.condition[kind]
        if kind == "not_all" or (kind == "all" and len(items) > 1):
            raise ValueError(
                f"its condition waits for several events ({kind}); let an alert rule of Prometheus "
                "join them"
            )
        return [str(item) for item in items]

    @property
    def does(self) -> tuple[dict[str, Any], ...]:
        return (self.action,) if self.action is not None else self.actions or ()

    @property
    def steps(self) -> list[tuple[str, Any]]:
        """(name of the action, what stands below it), in order."""
        return [next(iter(each.items())) for each in self.does]


class Source(Section):
    """Where events come from."""

    plugin: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    filters: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _by_its_key(cls, content: Any) -> Any:
        """The plugin's name is a key beside `name` and `filters`."""
        if not isinstance(content, Mapping):
            return content
        plugins = {k: v for k, v in content.items() if k not in ("name", "filters")}
        if len(plugins) != 1:
            raise ValueError("a source is a mapping with the name of one plugin")
        (plugin, arguments), filters = next(iter(plugins.items())), content.get("filters")
        return {"plugin": str(plugin), "arguments": arguments or {}, "filters": filters or ()}


class Ruleset(Section):
    """Sources, and the rules that their events are held against in order."""

    name: Text = Field(min_length=1)
    hosts: str | tuple[str, ...]
    sources: tuple[Source, ...]
    rules: tuple[Rule, ...]
    gather_facts: bool = False
    default_events_ttl: str | None = None
    match_multiple_rules: bool = False
    execution_strategy: str = "sequential"


def read(path: Path) -> tuple[Ruleset, ...]:
    """The rulesets of a rulebook. Raises UsageError with a sentence."""
    try:
        _refuse_file(path)
        content = document.read(path)
        if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
            raise ValueError("is no rulebook, which is a list of rulesets")
        if content and not any("rules" in each for each in content):
            raise ValueError(
                "is no rulebook: no item has rules; `runner catalog adopt` takes playbooks"
            )
        found = tuple(map(_ruleset, content))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    if not found:
        raise UsageError(f"{path}: is empty; a rulebook is a list of rulesets")
    if sum(len(ruleset.rules) for ruleset in found) > MAX_RULES:
        raise UsageError(f"{path}: has more than {MAX_RULES} rules; split it")
    return found


def variables(path: Path) -> dict[str, Any]:
    """What `--vars` of ansible-rulebook names: a mapping. Raises UsageError with a sentence."""
    try:
        _refuse_file(path)
        return document.mapping(path)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def span(text: str) -> timedelta:
    """A time as rulebooks write it, `5 minutes`. Raises ValueError with a predicate."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time such as 5 minutes")
    try:
        return timedelta(**{found[2].rstrip("s") + "s": int(found[1])})
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is too long a time") from None


def _refuse_file(path: Path) -> None:
    """What must not be read whole: no file, a huge one, one that grows while it is read.

    Raises ValueError with a predicate.
    """
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise ValueError("is not a file")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"is larger than {MAX_BYTES // 1000} kB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    try:
        if is_deep(text):
            raise ValueError("is nested too deeply")
        # A few lines of aliases of aliases are gigabytes once they are followed.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=Parser)):
            raise ValueError("uses a YAML alias (*NAME); write its value out")
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())[:300]}") from None


def _ruleset(content: dict[str, Any]) -> Ruleset:
    """Raises ValueError with a sentence that names ruleset and rule."""
    try:
        return Ruleset.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place, where = f"ruleset {str(content.get('name'))[:80]!r}", problem["loc"]
        if len(where) > 1 and where[0] == "rules":
            number = int(where[1])
            rule = content["rules"][number]
            name = rule.get("name") if isinstance(rule, dict) else None
            text = explain({**problem, "loc": where[2:]}, Rule)
            raise ValueError(f"{place}, rule {str(name or number + 1)[:80]!r}: {text}") from None
        raise ValueError(f"{place}: {explain(problem, Ruleset)}") from None
