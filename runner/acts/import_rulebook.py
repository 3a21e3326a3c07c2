"""`runner import rulebook`: the rules of ansible-rulebook as entries, as far as they are the same.

A rule becomes an entry only if each alert that its entry would match fires the rule as well. What
has no counterpart is named with its reason, and nothing is written for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.acts import adopt
from runner.catalog.entry import Entry
from runner.config import explain
from runner.errors import CatalogError, Refused, UsageError
from runner.project import Project
from runner.rulebook import condition
from runner.rulebook.file import Rule, Ruleset, Throttle, read, span, variables
from runner.rulebook.matching import Meaning, apart
from runner.rulebook.order import Before
from runner.rulebook.sources import INSTANCE, Events, events_of
from runner.text import brief, duration, visible
from runner.text.matcher import Alternatives, written

#: Actions that change nothing: what they show, the runner keeps of every incident.
_SHOWS = ("debug", "none", "print_event")
_RUNS = {"run_playbook": "", "run_job_template": "job_args"}
_INSTEAD = {
    "run_module": "write a playbook with this one task, and name it in the rule",
    "run_workflow_template": "write an entry with `steps`",
    "set_fact": "the runner keeps no facts; put what it knows into the alert's rule",
    "post_event": "the runner has no events of its own; put it into the alert's rule",
    "retract_fact": "the runner keeps no facts",
    "shutdown": "use `runner pause`",
}
#: Keys of run_playbook and run_job_template that change nothing here, and those with a note.
_IDLE = {
    "name", "organization", "extra_vars", "job_args", "copy_files", "check_files", "json_mode",
    "verbosity", "lock", "delay", "ruleset", "include_events", "labels", "add_event_uuid_label",
}  # fmt: skip
_NOTED = {
    "retry": "it is not repeated when it fails: a person is told",
    "retries": "it is not repeated when it fails: a person is told",
    "set_facts": "its results become no facts of other rules",
    "post_events": "its results become no events of other rules",
}
_TYPES = {bool: "bool", int: "int", float: "float", list: "list", dict: "dict"}
_MOST_COMPARED = 100_000  #: pairs of alternatives that are compared for an overlap


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the rulebook is read."""

    playbooks: Path  #: where a relative playbook lies, as the folder that ansible-rulebook runs in
    into: Path | None = None  #: where the entries are to lie; None for the project's playbooks
    variables: Path | None = None  #: the file of `--vars`
    templates: Mapping[str, str] = field(default_factory=dict)  #: job template → its playbook
    each_alert: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one rule: an entry, nothing because nothing runs, or a reason why not."""

    ruleset: str
    rule: str
    entry: str = ""
    match: Alternatives = ()
    reason: str = ""
    missing: bool = False  #: whether something runs that has no counterpart
    notes: tuple[str, ...] = ()
    draft: adopt.Draft | None = None
    files: tuple[Path, ...] = ()


class _NothingRuns(Exception):
    """The rule needs no entry; why."""


def plan(project: Project, rulebook: Path, options: Options) -> tuple[Result, ...]:
    """What would become of each rule; nothing is written. Raises UsageError for no rulebook."""
    rulesets = read(rulebook)
    known = variables(options.variables) if options.variables else {}
    found: list[Result] = []
    for ruleset in rulesets:
        one = _Ruleset(project, options, known, brief(visible(rulebook.name), 80), ruleset)
        found += one.results({each.entry for each in found if each.entry})
    return tuple(found)


def write(project: Project, results: Sequence[Result]) -> tuple[Result, ...]:
    """Write the entries; the results with their files."""
    return tuple(
        replace(each, files=adopt.write(project, each.draft)) if each.draft else each
        for each in results
    )


@dataclass(frozen=True)
class _Ruleset:
    """One ruleset and all that its rules are read with."""

    project: Project
    options: Options
    variables: Mapping[str, Any]
    rulebook: str
    ruleset: Ruleset

    def results(self, taken: set[str]) -> list[Result]:
        """A result for each rule, in order; `taken` are ids of other rulesets."""
        events, why = None, ""
        try:
            events = events_of(self.ruleset, each_alert=self.options.each_alert)
        except ValueError as error:
            why = f"its ruleset {error}"
        found: list[Result] = []
        before = Before(events.reading, self.variables) if events else None
        for number, rule in enumerate(self.ruleset.rules, start=1):
            ids = taken | {each.entry for each in found}
            found.append(self._result(rule, number, events, before, why, ids))
            if before and not self.ruleset.match_multiple_rules:
                before.add(rule)
        return list(self._with_overlaps(found)) if self.ruleset.match_multiple_rules else found

    def _result(
        self,
        rule: Rule,
        number: int,
        events: Events | None,
        before: Before | None,
        why: str,
        taken: set[str],
    ) -> Result:
        """What becomes of one rule."""
        made = Result(ruleset=self.ruleset.name, rule=rule.name)
        try:
            action, given, notes = _action(rule)
            if events is None or before is None:
                raise ValueError(why)
            id = _id_of(rule.name, number)
            if id in taken:
                raise ValueError(f"its id {id} is that of a rule above it; rename it")
            keys, more = self._keys(rule, events, before, action, given)
            draft = self._draft(id, self._playbook(action, given), keys)
        except _NothingRuns as error:
            return replace(made, reason=str(error))
        except (ValueError, UsageError, CatalogError, Refused) as error:
            return replace(made, reason=_sentence(error), missing=True)
        return replace(made, entry=id, match=draft.entry.match, draft=draft, notes=(*notes, *more))

    def _keys(
        self, rule: Rule, events: Events, before: Before, action: str, given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        """(keys of the entry that the rule says, notes). Raises ValueError with a sentence."""
        match, notes = self._match(rule, events, before)
        arguments = given.get(_RUNS[action]) or {} if _RUNS[action] else given
        if not isinstance(arguments, Mapping):
            raise ValueError(f"{_RUNS[action]} of {action} is not a mapping")
        host = events.host
        keys: dict[str, Any] = {"title": brief(visible(rule.name), 80)}
        if _RUNS[action]:
            host = self._job_arguments(arguments, events, keys) or host
        if host is None:
            notes.append(
                f"ansible-rulebook ran it on {self._hosts()}; here it runs on the host that the "
                f"label {INSTANCE} names"
            )
        elif host != INSTANCE:
            keys["target"] = {"label": host}
        keys["match"] = written(match)
        keys["parameters"] = self._parameters(arguments.get("extra_vars") or {}, events)
        if rule.throttle:
            keys["limits"] = _limits(rule.throttle, host or INSTANCE, events)
        return keys, notes

    def _match(self, rule: Rule, events: Events, before: Before) -> tuple[Alternatives, list[str]]:
        """(what the rule fires for, notes). Raises ValueError, or _NothingRuns for nothing."""
        notes: list[str] = []
        meaning = Meaning(events.reading)
        texts = rule.conditions()
        try:
            trees = [condition.parse(text, self.variables) for text in texts]
            match = before.rest(meaning.alternatives(*trees))
        except ValueError as error:
            raise ValueError(f"its condition {error}") from None
        if not match:
            raise _NothingRuns("it never fires: rules before it take all its alerts")
        if meaning.of_resolved:
            notes.append("what it does for resolved alerts is left out: nothing runs for those")
        if before.unread:
            names = brief(visible(", ".join(before.unread[:3])), 200)
            notes.append(
                f"ansible-rulebook leaves to {names} what both are for; that is not known here"
            )
        return match, notes

    def _hosts(self) -> str:
        hosts = self.ruleset.hosts
        return brief(visible(hosts if isinstance(hosts, str) else ",".join(hosts)), 60)

    def _job_arguments(
        self, arguments: Mapping[str, Any], events: Events, keys: dict[str, Any]
    ) -> str | None:
        """Fill in tags of a job template; the label of its limit. Raises ValueError."""
        host = None
        for name, value in arguments.items():
            if name in ("job_tags", "skip_tags") and isinstance(value, str):
                key = "tags" if name == "job_tags" else name
                keys[key] = [tag.strip() for tag in value.split(",") if tag.strip()]
            elif name == "limit":
                path = condition.filled_in(str(value), self.variables)
                if not isinstance(path, condition.Path):
                    raise ValueError(
                        f"its limit {brief(str(value), 60)} is no label of the alert; the runner "
                        "runs on the alert's own host only"
                    )
                label = events.reading(path)
                host = label if isinstance(label, str) else None
            elif name != "extra_vars":
                raise ValueError(f"job_args has {brief(str(name), 40)}, which has no counterpart")
        return host

    def _parameters(self, given: Any, events: Events) -> dict[str, Any]:
        """The variables of the play. Raises ValueError with a sentence."""
        if not isinstance(given, Mapping):
            raise ValueError("extra_vars is not a mapping")
        found: dict[str, Any] = {}
        for name, value in given.items():
            place = f"the variable {brief(str(name), 60)}"
            try:
                if isinstance(value, str):
                    value = condition.filled_in(value, self.variables)
                if isinstance(value, condition.Path):
                    label = events.reading(value)
                    if not isinstance(label, str):
                        raise ValueError("is the status of the alert, which always fires here")
                    found[str(name)] = {"from": f"label {label}"}
                    continue
            except ValueError as error:
                raise ValueError(f"{place} {error}") from None
            if value is None or "{{" in str(value) or "{%" in str(value):
                raise ValueError(f"{place} is null, or has a template inside of its value")
            found[str(name)] = {"from": "constant", "value": value}
            if kind := _TYPES.get(type(value)):
                found[str(name)]["type"] = kind
            if isinstance(value, list) and value:
                found[str(name)]["elements"] = _TYPES.get(type(value[0]), "str")
        return found

    def _playbook(self, action: str, given: Mapping[str, Any]) -> str:
        """What `playbook:` of the entry means: a path, or a name in a collection."""
        name = condition.filled_in(str(given.get("name") or ""), self.variables)
        if not isinstance(name, str) or not name:
            raise ValueError(f"{action} names no playbook")
        if action == "run_job_template":
            if name not in self.options.templates:
                raise ValueError(
                    f"which playbook the job template {brief(name, 60)!r} runs is not written "
                    "here; say it with --job-template NAME=PLAYBOOK"
                )
            name = self.options.templates[name]
        if self.project.catalog.roles.playbook(name):
            return name
        path = self.options.playbooks / name
        if not path.is_file():
            raise ValueError(
                f"there is no playbook {brief(visible(name), 100)} below "
                f"{self.options.playbooks}, and in no collection; name its folder with --playbooks"
            )
        return str(path)

    def _draft(self, id: str, playbook: str, keys: Mapping[str, Any]) -> adopt.Draft:
        """The entry. Raises ValueError with a sentence for what could not be run as it is."""
        origin = f"Imported from the ruleset {self.ruleset.name!r} of {self.rulebook}"
        known = adopt.Known(keys=keys, origin=brief(visible(origin), 200))
        try:
            made = adopt.draft(self.project, playbook, known, id, self.options.into)
        except ValidationError as error:
            raise ValueError(explain(error.errors()[0], Entry)) from None
        if made.refused:
            raise ValueError("; ".join(made.refused))
        for file in made.files:
            if re.search(r"\bansible_eda\b", file.read_text(encoding="utf-8", errors="replace")):
                raise ValueError(
                    f"{os.path.relpath(file)} reads ansible_eda, which only ansible-rulebook "
                    "passes; give it what it needs by extra_vars"
                )
        return made

    def _with_overlaps(self, found: Sequence[Result]) -> Iterator[Result]:
        """With a note where an earlier rule may match the same alerts: there both ran."""
        budget = _MOST_COMPARED
        for number, each in enumerate(found):
            others = []
            for earlier in (one for one in found[:number] if one.entry and each.entry):
                budget -= len(earlier.match) * len(each.match)
                if budget < 0 or not apart(earlier.match, each.match):
                    others.append(earlier.entry)
            if others:
                note = (
                    f"may match the same alerts as {', '.join(others[:3])}: ansible-rulebook ran "
                    "both; here the more specific one runs, and a person chooses of equals"
                )
                each = replace(each, notes=(*each.notes, note))
            yield each


def _action(rule: Rule) -> tuple[str, Mapping[str, Any], list[str]]:
    """(the one action that runs something, its arguments, notes).

    Raises ValueError for what has no counterpart, _NothingRuns where nothing is to be imported.
    """
    if not rule.enabled:
        raise _NothingRuns("it is disabled")
    acts = [(name, given or {}) for name, given in rule.steps if name not in _SHOWS]
    if not acts:
        raise _NothingRuns("it only shows events, and the runner keeps every alert")
    for name, _ in acts:
        if name not in _RUNS:
            instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise ValueError(f"its action {brief(visible(name), 40)} has no counterpart{instead}")
    if len(acts) > 1:
        raise ValueError("it runs several playbooks; import each alone, and join them by `steps`")
    name, given = acts[0]
    notes = []
    for key, value in given.items():
        if key in _NOTED and value:
            notes.append(_NOTED[key])
        elif key not in _IDLE and key not in _NOTED:
            raise ValueError(f"{name} has {brief(visible(str(key)), 40)}, which has no counterpart")
    return name, given, list(dict.fromkeys(notes))


def _limits(throttle: Throttle, host: str, events: Events) -> dict[str, str]:
    """`once_within` as a cooldown; where one host is as good as another also as a rate.

    Raises ValueError with a sentence.
    """
    if throttle.once_within is None:
        kind = "once_after" if throttle.once_after else "accumulate_within"
        raise ValueError(
            f"its throttle waits before it acts ({kind}); let `for` of the alert's rule wait"
        )
    within = duration.write(max(span(throttle.once_within), timedelta(seconds=1)))
    of_host = [
        attribute
        for attribute in throttle.group_by_attributes
        if attribute == "event.meta.hosts" or _label_in(attribute, events) == host
    ]
    return {"cooldown": within} | ({} if of_host else {"max_runs": f"1/{within}"})


def _label_in(attribute: str, events: Events) -> str:
    """The label that an attribute of the throttle is; empty for anything else."""
    try:
        path = condition.filled_in(f"{{{{ {attribute} }}}}", {})
        label = events.reading(path) if isinstance(path, condition.Path) else ""
    except ValueError:
        return ""
    return label if isinstance(label, str) else ""


def _id_of(name: str, number: int) -> str:
    """An id of lower-case letters, digits and `_` that begins with a letter."""
    id = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:58].rstrip("_")
    if not id:
        return f"rule_{number}"
    return id if id[0].isalpha() else f"rule_{id}"


def _sentence(error: Exception) -> str:
    return visible(" ".join(str(error).split()))[:600]
