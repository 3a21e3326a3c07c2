"""entry.yml: all that the runner knows of one playbook, parsed and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from runner.config import Section, Text
from runner.incident import Level
from runner.incident.part import KINDS
from runner.text.duration import Duration, RateField
from runner.text.matcher import Alternatives, Matchers, all_match, parse_alternatives, rank

ENTRY_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Where a play runs, seen from the host that the alert names (the target): on it, on a spare
#: that code picks, or on a peer that acts for it.
Place = Literal["target", "spare", "peer"]
PLACES = ("target", "spare", "peer")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: Sources of a value that is read when the run starts, and is stored and shown nowhere.
SECRET = ("file", "environment")


class Parameter(Section):
    """Where the value of one variable comes from, and what it may be where no argument spec
    says it."""

    #: `constant`, `label NAME|NAME`, `services`, `inventory NAME`, `host PLACE`, `choice`,
    #: `file PATH` or `environment NAME`
    from_: Text = Field(alias="from")
    value: Any = None  #: of a constant; of a choice: what is taken when nothing is chosen
    type: Literal["str", "path", "int", "float", "bool", "list", "dict"] | None = None
    elements: Literal["str", "path", "int", "float", "bool", "dict"] | None = None  #: of a list
    choices: tuple[Any, ...] = ()
    pattern: Text | None = None  #: RE2, of the whole text
    min: float | None = None
    max: float | None = None
    required: bool | None = None  #: false: the playbook has a value of its own
    secret: bool | None = None  #: false: a private prompt that asks for nothing secret
    description: Text | None = None

    @field_validator("from_")
    @classmethod
    def _known(cls, text: str) -> str:
        kind, _, name = text.partition(" ")
        if kind == "label" and all(each.strip() for each in name.split("|")):
            return f"label {'|'.join(each.strip() for each in name.split('|'))}"
        if kind == "inventory" and name.strip():
            return f"{kind} {name.strip()}"
        if kind == "host" and name.strip() in PLACES:
            return f"host {name.strip()}"
        if kind in SECRET and name.strip():
            return f"{kind} {name.strip()}"
        if text in ("constant", "choice", "services"):
            return text
        raise ValueError(
            "from is `constant`, `label NAME`, `label NAME|NAME`, `services`, `inventory NAME`, "
            "`host target`, `host spare`, `host peer`, `choice`, `file PATH` or "
            f"`environment NAME`, not {text!r}"
        )

    @property
    def kind(self) -> str:
        """constant, label, services, inventory, host, choice, file or environment."""
        return self.from_.partition(" ")[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of which the first that holds such a value counts."""
        return tuple(self.name.split("|"))

    @property
    def name(self) -> str:
        """Of the label, the inventory variable, the place, the file or the variable of the
        environment; empty for the others."""
        return self.from_.partition(" ")[2]

    @property
    def inline(self) -> list[str]:
        """The keys that say what the value may be, as far as they are written."""
        names = ("type", "elements", "choices", "pattern", "min", "max", "required", "description")
        return [name for name in names if getattr(self, name) not in (None, ())]


class Also(Section):
    """Further hosts that plays of the playbook run on: each is locked and counted."""

    group: Text

    @field_validator("group")
    @classmethod
    def _of_some(cls, group: str) -> str:
        if group in ("all", "ungrouped"):
            raise ValueError(f"{group} is no group of its own; name the one that the play is for")
        return group


class Target(Section):
    """Which label names the host, what of it is meant, and how many hosts one run may touch."""

    label: Text = "instance"
    #: the only part of a host that it acts on, as a kind and the parameter that names it
    part: Text | None = None
    #: what a run keeps others away from: the whole host, or nothing but that part
    exclusive: Literal["host", "part"] = "host"
    max_hosts: Annotated[int, Field(ge=1)] = 1
    host: Place = "target"  #: where the play runs
    also: Also | None = None
    controller: bool = False  #: whether plays may run on localhost, the machine of the runner

    @field_validator("part")
    @classmethod
    def _of_a_kind(cls, part: str | None) -> str | None:
        if part is None:
            return None
        kind, _, name = part.partition(" ")
        if kind not in KINDS or not name.strip():
            raise ValueError(
                f"part is a kind and a parameter, as in `unit service_restart_unit`, not {part!r}; "
                f"kinds are {', '.join(KINDS)}"
            )
        return f"{kind} {name.strip()}"

    @property
    def part_kind(self) -> str:
        """unit, mountpoint, container, process or database; empty where it names no part."""
        return (self.part or "").partition(" ")[0]

    @property
    def part_parameter(self) -> str:
        """The parameter whose value is the name of the part; empty where it names no part."""
        return (self.part or "").partition(" ")[2]

    @property
    def first(self) -> tuple[str, ...]:
        """The label that names the host before those of the configuration, if it is not usual."""
        return () if self.label == "instance" else (self.label,)


class Plays(Section):
    """What is known of the plays of a playbook."""

    skip: tuple[Text, ...] = ()  #: names of plays that are for no host of the plan


class Step(Section):
    """One step of a plan: an entry, and where it acts."""

    entry: Text
    host: Place | None = None  #: None: where the entry itself says
    unreachable: Literal["stop", "skip"] = "stop"  #: skip: its host may be gone for good

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host else ""
        return f"{self.entry}{where}" + (", if reachable" if self.unreachable == "skip" else "")


class Limits(Section):
    """How often and how long; what is None comes from the configuration."""

    cooldown: Duration | None = None
    max_runs: RateField | None = None
    timeout: Duration | None = None


class Condition(Section):
    """A rules-only condition on the evidence: the query must give a sample."""

    promql: Text


class VerifyCheck(Section):
    """One thing that must hold before the run counts as a fix. Exactly one key."""

    alert: Literal["cleared"] | None = None
    promql: Text | None = None  #: fixed when the query gives at least one sample
    http: Text | None = None  #: fixed when the URL answers `status`
    result: dict[str, Any] | None = None  #: what the play's `set_stats` must have reported
    status: Annotated[int, Field(ge=100, le=599)] = 200

    @model_validator(mode="after")
    def _one(self) -> VerifyCheck:
        given = [k for k in ("alert", "promql", "http", "result") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError("a check is exactly one of alert, promql, http, result")
        return self


class Verify(Section):
    """What must hold, for how long, and until when; None comes from the configuration."""

    within: Duration | None = None
    hold: Duration | None = None
    checks: tuple[VerifyCheck, ...] = (VerifyCheck(alert="cleared"),)


class Effect(Section):
    """What a task does that its module cannot show in check mode: a state before and one after."""

    task: Text  #: a task's name; its module is one of `dry_run.STATES`
    before: Text  #: the name of a task that reads the state on the host, and prints it
    after: dict[str, Any] = Field(min_length=1)  #: what the play must report after the run


class DryRun(Section):
    """What the entry says of its own dry run."""

    required: bool = True  #: false: no dry run; the README says why
    effects: tuple[Effect, ...] = ()
    #: names of tasks that only read: check mode really runs them, or a condition leaves them out
    reads: tuple[Text, ...] = ()

    @property
    def word(self) -> Literal["required", "none"]:
        """Whether check mode runs before the playbook does."""
        return "required" if self.required else "none"


class Entry(Section):
    """One playbook with what the runner knows of it. `id` is its folder's name."""

    id: str
    folder: Path
    title: str
    description: str
    not_for: tuple[str, ...] = ()
    kind: Literal["remediation", "probe", "drill"] = "remediation"
    match: Alternatives = ()  #: rules decide by it: any of these lists, all of its matchers
    consider: Alternatives = ()  #: wider: it may be proposed, by a model or a person only
    when: tuple[Condition, ...] = ()
    role: str | None = None
    #: any playbook: its path from the entry's folder, or `namespace.collection.playbook`
    playbook: Text | None = None
    plays: Plays = Plays()
    tags: tuple[Text, ...] = ()
    skip_tags: tuple[Text, ...] = ()
    #: where `playbook` lies; said by who loads the entry, never by the file
    found: Path | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    target: Target = Target()
    level: Level = Level.APPROVE
    risk: Literal["low", "medium", "high"] = "medium"
    limits: Limits = Limits()
    approvers: tuple[Text, ...] = ()  #: who may approve it; narrows `approval.approvers`
    dry_run: DryRun = DryRun()
    verify: Verify = Verify()
    queries: dict[str, Text] = Field(default_factory=dict)  #: title → PromQL, as evidence
    probe: str | None = None  #: id of the probe entry that gathers logs for it
    undo: str | None = None
    steps: tuple[Step, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, values: Any) -> Any:
        """`rehearsal` is the older name of `dry_run`, accepted until v0.3."""
        if not isinstance(values, dict) or "rehearsal" not in values:
            return values
        if "dry_run" in values:
            raise ValueError("rehearsal is the older name of dry_run; keep only dry_run")
        if values["rehearsal"] not in ("required", "none"):
            raise ValueError(f"rehearsal is required or none, not {values['rehearsal']!r}")
        rest = {key: value for key, value in values.items() if key != "rehearsal"}
        return rest | {"dry_run": values["rehearsal"]}

    @field_validator("dry_run", mode="before")
    @classmethod
    def _in_a_word(cls, value: Any) -> Any:
        """`required` and `none` stand for themselves; a mapping always means required."""
        if isinstance(value, dict):
            return value
        if value not in ("required", "none") and not isinstance(value, DryRun):
            raise ValueError("dry_run is required, none, or a mapping with effects and reads")
        return value if isinstance(value, DryRun) else {"required": value == "required"}

    @field_validator("steps", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """A step may be written as the bare id of its entry."""
        if not isinstance(value, list | tuple):
            return value
        return tuple({"entry": step} if isinstance(step, str) else step for step in value)

    @field_validator("match", "consider", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        return parse_alternatives(value)

    @field_validator("parameters")
    @classmethod
    def _harmless_names(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        for name in parameters:
            if name.startswith("ansible_") or not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be a parameter: lower case, and never ansible_ (invariant 4)"
                )
        return parameters

    @model_validator(mode="after")
    def _something_to_run(self) -> Entry:
        if sum(map(bool, (self.role, self.playbook, self.steps))) != 1:
            raise ValueError("give one of role, playbook and steps")
        if self.playbook and self.kind == "drill":
            raise ValueError("a drill is a role; playbook is for remediations and probes")
        of_a_playbook = {
            "plays": self.plays.skip,
            "tags": self.tags,
            "skip_tags": self.skip_tags,
            "target.also": self.target.also,
            "target.controller": self.target.controller,
        }
        if not self.playbook and (wrong := [key for key, given in of_a_playbook.items() if given]):
            raise ValueError(f"{wrong[0]} belongs to an entry with playbook")
        if why := self._no_part():
            raise ValueError(why)
        if self.consider and self.kind != "remediation":
            raise ValueError(f"consider is for remediations; a {self.kind} is never proposed")
        return self

    def _no_part(self) -> str:
        """What is wrong with `target.part`; mostly empty."""
        if self.target.part is None:
            whole = self.target.exclusive == "host"
            return "" if whole else "target.exclusive: part needs target.part, which names the part"
        if self.steps:
            return "target.part belongs to the entries of the steps, not to the plan"
        name = self.target.part_parameter
        source = self.parameters[name].kind if name in self.parameters else ""
        if source not in ("constant", "label", "services", "inventory", "choice"):
            why = f"comes from {source}" if source else "is none of its parameters"
            return f"target.part names {name}, which {why}"
        return ""

    @field_validator("tags", "skip_tags")
    @classmethod
    def _plain_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if strange := [tag for tag in tags if not _TAG.fullmatch(tag)]:
            raise ValueError(f"{strange[0][:60]!r} is no tag: letters, digits, dot, dash and _")
        return tags

    @property
    def placed(self) -> bool:
        """Whether it acts elsewhere than on the hosts that the alert names, or in steps."""
        return bool(self.steps) or self.target.host != "target"

    @property
    def play_file(self) -> Path:
        """The playbook that runs."""
        return self.found or self.folder / "playbook.yml"

    @property
    def collection_playbook(self) -> str:
        """`namespace.collection.playbook`, by which Ansible finds it; empty for a path."""
        named = self.playbook or ""
        is_path = "/" in named or named.endswith((".yml", ".yaml")) or named.count(".") < 2
        return named if self.found and not is_path else ""

    @property
    def readme(self) -> Path:
        return self.folder / "README.md"

    def matched(self, labels: Mapping[str, str]) -> Matchers | None:
        """The most specific alternative of `match` that fits these labels, if one does."""
        fitting = [matchers for matchers in self.match if all_match(matchers, labels)]
        return max(fitting, key=rank, default=None)

    def eligible(self, labels: Mapping[str, str]) -> bool:
        """Whether rules may choose it; an entry without matchers fits nothing."""
        return self.matched(labels) is not None

    def considered(self, labels: Mapping[str, str]) -> bool:
        """Whether it may be proposed for these labels although `match` does not fit."""
        wide = any(all_match(matchers, labels) for matchers in self.consider)
        return wide and not self.eligible(labels)
