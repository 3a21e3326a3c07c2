"""What is wrong with a catalog that loads: `runner check` and `runner catalog lint` say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from runner.catalog import Catalog, document, parameters
from runner.catalog.dry_run import checked, reads_only, really_runs
from runner.catalog.entry import Entry
from runner.catalog.lint_choice import Hint, alike, of_considered
from runner.catalog.roles import Roles
from runner.catalog.scan import Scan, scan
from runner.catalog.task import Task, blocks_in, tasks_in
from runner.catalog.unattended import waits_for_a_person
from runner.errors import CatalogError
from runner.incident import Level

__all__ = ["HEADINGS", "Problem", "Severity", "lint"]

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Rollback")
_FOUND_BY_ANSIBLE = re.compile(
    r"roles|collections|library|module_utils|group_vars|host_vars|.*_plugins"
)


class Severity(StrEnum):
    """What follows from a problem; the worst first."""

    REFUSED = "refused"  #: nothing is ever started while it stands
    LOWERS = "lowers"  #: policy holds the entry at a lower level than it names
    STYLE = "style"  #: nothing follows: how the shipped catalog is written


@dataclass(frozen=True)
class Problem:
    """`text` is a predicate of `place`: «has no heading Impact»."""

    place: Path
    text: str
    note: bool = False  #: worth knowing, but nothing that has to be changed
    severity: Severity = Severity.STYLE

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def lint(catalog: Catalog) -> list[Problem]:
    """Every problem of the entries and of the roles that they reach, in order of the files.

    Of a playbook that is used as it is, how it and its roles are written is its author's.
    """
    found: dict[Problem, None] = {}
    roles: dict[Path, None] = {}
    for entry in sorted(catalog.entries.values(), key=lambda entry: entry.id):
        found |= dict.fromkeys(_folder(entry))
        if entry.steps:
            continue
        found |= dict.fromkeys(_playbook(entry) if entry.role else ())
        seen = scan(entry, catalog.roles)
        found |= dict.fromkeys(_entry(entry, catalog.schema(entry.id), seen))
        # A role of an installed collection is its author's: it is not for the project to mend.
        own = [folder for folder in seen.folders if "ansible_collections" not in folder.parts]
        roles |= dict.fromkeys(own if entry.role else ())
        found |= dict.fromkeys(map(_hint, of_considered(entry, seen)))
    found |= dict.fromkeys(map(_hint, alike(catalog)))
    for role in sorted(roles):
        found |= dict.fromkeys(lint_role(role, catalog.roles))
    return list(found)


def _hint(hint: Hint) -> Problem:
    return Problem(hint.entry.folder / "entry.yml", hint.text, note=True)


def _folder(entry: Entry) -> Iterator[Problem]:
    try:
        text = entry.readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        yield Problem(entry.readme, "cannot be read; the on-call person and the model need it")
    else:
        for heading in HEADINGS:
            if not re.search(rf"^#+\s+{heading}\s*$", text, re.MULTILINE):
                yield Problem(entry.readme, f"has no heading {heading}")
        why_none = re.search(r"rehears|dry run|check mode", text, re.IGNORECASE)
        if not entry.dry_run.required and not why_none:
            yield Problem(entry.readme, "does not say why the entry has no dry run")
    for path in sorted(entry.folder.iterdir()):
        if _FOUND_BY_ANSIBLE.fullmatch(path.name):
            yield Problem(path, "would be used by Ansible without being named; move it to a role")


def _playbook(entry: Entry) -> Iterator[Problem]:
    path = entry.play_file
    try:
        plays = document.read(path, ansible=True)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if not isinstance(plays, list) or len(plays) != 1 or not isinstance(plays[0], Mapping):
        yield Problem(path, "must hold exactly one play")
        return
    play = plays[0]
    items = play["roles"] if isinstance(play.get("roles"), list) else []
    roles = [(i.get("role") or i.get("name")) if isinstance(i, Mapping) else i for i in items]
    if roles != [entry.role]:
        yield Problem(path, f"must run the one role {entry.role}")
    if play.get("hosts") != "all":
        yield Problem(path, "needs hosts: all; the runner sets the limit")
    if "gather_facts" not in play:
        yield Problem(path, "must say gather_facts: false, or true")
    if play.keys() & {"tasks", "pre_tasks", "post_tasks", "handlers"}:
        yield Problem(path, "must have no tasks or handlers; they belong to the role")
    if play.keys() & {"vars", "vars_files"}:
        text = (
            "must set no variables; they come from defaults, inventory and the entry's parameters"
        )
        yield Problem(path, text)
    one_by_one = play.get("serial") and play.get("any_errors_fatal") is True
    if entry.target.max_hosts > 1 and not one_by_one:
        yield Problem(
            path, "may touch several hosts, so it needs serial and any_errors_fatal: true"
        )


def _entry(entry: Entry, specs: parameters.Specs, seen: Scan) -> Iterator[Problem]:
    """What entry.yml says, against what its play does."""
    place = entry.folder / "entry.yml"
    for text in (*seen.obstacles, *parameters.unbounded(entry, specs)):
        yield Problem(place, f"can never be run: {text}", severity=Severity.REFUSED)
    # Where the entry does not ask for more anyway, it is only worth knowing.
    automatic = entry.level is Level.AUTO
    said = "level auto is too high" if automatic else "blast radius not known, a person is asked"
    lowers = [f"{said}: {text}" for text in seen.unknown]
    lowers += checked(entry, seen.tasks).problems
    if not entry.verify.checks and entry.kind == "remediation":
        lowers.append("verify.checks is empty: a person is asked, and sees whether it helped")
    if entry.playbook:
        lowers += _as_it_is(entry, seen)
    for text in lowers:
        yield Problem(place, text, note=not automatic, severity=Severity.LOWERS)


def _as_it_is(entry: Entry, seen: Scan) -> Iterator[str]:
    """Why a playbook that was not written for the runner goes less far, a sentence each."""
    if entry.target.controller:
        yield "target.controller: plays run on the machine of the runner, a person is asked"
    if hidden := [task for task in seen.tasks if _is_hidden(task)]:
        names = ", ".join(f"{task.name} ({task.module})" for task in hidden[:5])
        more = f" and {len(hidden) - 5} more" if len(hidden) > 5 else ""
        yield f"a dry run cannot show what these tasks change, a person is asked: {names}{more}"
    for task in seen.tasks:
        named = task.keywords.get("name") in entry.dry_run.reads
        if really_runs(task) and not reads_only(task.written) and not named:
            yield (
                f"a dry run really runs {task.name} (check_mode: false); where it only reads, name "
                "it in dry_run.reads"
            )
    for each in seen.templated:
        if each.depends_on:
            yield f"{each.file}: includes {each.text!r}, which depends on {each.depends_on}"


def _is_hidden(task: Task) -> bool:
    """Whether check mode skips it though it changes something."""
    says_not = task.keywords.get("changed_when") is False or really_runs(task)
    return task.module in _RUNS_COMMANDS | _NO_CHECK_MODE and not says_not


#: Modules that do nothing in check mode, and whose use changes something as a rule.
_NO_CHECK_MODE = frozenset({"uri", "reboot", "unarchive"})
_RUNS_COMMANDS = frozenset({"command", "shell", "raw", "script", "expect"})
_BY_SHELL = frozenset({"shell", "raw", "script"})
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_QUOTED = re.compile(r"\|\s*(ansible\.builtin\.)?quote\s*-?$")


def lint_role(role: Path, roles: Roles) -> Iterator[Problem]:
    """Every problem of the role in this folder; `roles` is where others are found.

    A role that only carries code for others has neither tasks nor variables to look at.
    """
    carries = any((role / name).is_dir() for name in ("library", "module_utils"))
    if carries and not (role / "tasks").is_dir():
        return
    yield from _variables(role)
    meta = role / "meta" / "main.yml"
    try:
        content = document.mapping(meta, ansible=True) if meta.is_file() else {}
    except ValueError:
        content = {}  # the scan of the play says so
    # The modules that come with the role and with those that it depends on.
    folders = [role]
    for needed in content.get("dependencies") or ():
        name = needed.get("role") if isinstance(needed, Mapping) else needed
        folders += filter(None, [roles.find(str(name))])
    own = frozenset(path.stem for each in folders for path in (each / "library").glob("*.py"))
    sections = (role / "tasks", role / "handlers")
    for path in (path for each in sections for path in sorted(each.rglob("*.y*ml"))):
        try:
            items = document.read(path, ansible=True)
        except ValueError as error:
            yield Problem(path, str(error))
            continue
        for block in blocks_in(items):
            yield from _tolerance(path, "a block", block)
        for task in tasks_in(items):
            yield from (Problem(path, f"{task.name} {text}") for text in _task(task, own))
            yield from _tolerance(path, task.name, task.keywords)
    if not (role / "molecule" / "default" / "molecule.yml").is_file():
        yield Problem(role, "has no molecule/default scenario: prepare breaks, converge heals")


def _variables(role: Path) -> Iterator[Problem]:
    path = parameters.spec_file(role)
    if path is None:
        yield Problem(role, "has no meta/argument_specs.yml")
        return
    try:
        specs = parameters.specs_of(role)
    except CatalogError as error:
        yield Problem(path, str(error).removeprefix(f"{path}: "))
        return
    for spec in specs.values():
        missing = [key for key in ("type", "description") if key not in spec.keys]
        yield from (Problem(path, f"{spec.name} has no {key}") for key in missing)
        if "default" in spec.keys:
            yield Problem(path, f"{spec.name} has a default, which sets nothing; use defaults/")
    # Defaults and specs have to name the same variables.
    defaults = role / "defaults" / "main.yml"
    try:
        given = set(document.mapping(defaults, ansible=True)) if defaults.is_file() else set()
    except ValueError as error:
        yield Problem(defaults, str(error))
        return
    undescribed = sorted(name for name in given - set(specs) if not name.startswith("__"))
    for name in undescribed:
        yield Problem(path, f"does not describe {name}, which defaults/main.yml sets")
    for name, spec in sorted(specs.items()):
        if name not in given and not spec.required:
            yield Problem(defaults, f"sets no {name}, which the argument_specs describe")
        if name in given and spec.required:
            yield Problem(defaults, f"sets {name}, which is required; leave a comment instead")


def _tolerance(path: Path, name: str, keywords: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("ignore_errors", "ignore_unreachable"):
        if keywords.get(key, False) is not False:
            yield Problem(path, f"{name} has {key}, which hides what went wrong; use failed_when")


def _task(task: Task, own: frozenset[str]) -> Iterator[str]:
    """Predicates of the task; `own` are the modules of the role and its dependencies."""
    if not task.written:
        yield "names no module"
    elif task.written.count(".") < 2 and task.written not in own:
        full = f"ansible.builtin.{task.module}"
        yield f"uses {task.written}, which must be a full name such as {full}"
    if "name" not in task.keywords:
        yield "needs a name"
    if task.module == "pause" and not waits_for_a_person(task):  # lint says that of the entry
        yield "pauses, and nobody is there to go on; use wait_for or retries"
    if task.module in _RUNS_COMMANDS:
        stated = {"changed_when"} & set(task.keywords) or {"creates", "removes"} & set(
            task.arguments
        )
        if not stated:
            yield "needs changed_when: Ansible cannot know whether it changed something"
        text = task.free or str(
            task.arguments.get("cmd") or task.arguments.get("_raw_params") or ""
        )
        bare = [e.strip() for e in _EXPRESSION.findall(text) if not _QUOTED.search(e.strip())]
        if bare and task.module in _BY_SHELL:
            yield f"gives {bare[0]} to a shell; it needs the quote filter"
        elif bare:
            yield f"puts {bare[0]} into a command line, where a space splits it; use argv"
