"""What is wrong with a catalog that loads: `runner check` and `runner catalog lint` say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.catalog import Catalog, document, parameters
from runner.catalog.dry_run import checked
from runner.catalog.entry import Entry
from runner.catalog.roles import Roles
from runner.catalog.scan import scan
from runner.catalog.task import Task, blocks_in, tasks_in
from runner.catalog.unattended import waits_for_a_person
from runner.errors import CatalogError
from runner.incident import Level

__all__ = ["HEADINGS", "Problem", "lint"]

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Rollback")
_FOUND_BY_ANSIBLE = re.compile(
    r"roles|collections|library|module_utils|group_vars|host_vars|.*_plugins"
)


@dataclass(frozen=True)
class Problem:
    """`text` is a predicate of `place`: «has no heading Impact»."""

    place: Path
    text: str
    note: bool = False  #: worth knowing, but nothing that has to be changed
    refused: bool = False  #: nothing is ever started while it stands

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def lint(catalog: Catalog) -> list[Problem]:
    """Every problem of the entries and of the roles that they reach, in order of the files."""
    found: dict[Problem, None] = {}
    roles: dict[Path, None] = {}
    for entry in sorted(catalog.entries.values(), key=lambda entry: entry.id):
        for check in (_readme, _folder):
            found |= dict.fromkeys(check(entry))
        if entry.role is None:
            continue
        found |= dict.fromkeys(_playbook(entry))
        found |= dict.fromkeys(_parameters(catalog, entry))
        seen = scan(entry, catalog.roles)
        # A role of an installed collection is its author's: it is not for the project to mend.
        own = [folder for folder in seen.folders if "ansible_collections" not in folder.parts]
        roles |= dict.fromkeys(own)
        found |= dict.fromkeys(_radius(entry, seen.unknown))
        found |= dict.fromkeys(_unattended(entry, seen.obstacles))
        found |= dict.fromkeys(_dry_run(entry, seen.tasks))
    for role in sorted(roles):
        found |= dict.fromkeys(lint_role(role, catalog.roles))
    return list(found)


def _radius(entry: Entry, unknown: tuple[str, ...]) -> Iterator[Problem]:
    """A play whose blast radius cannot be known: policy asks a person, whatever the level."""
    place, automatic = entry.folder / "entry.yml", entry.level is Level.AUTO
    for text in unknown:
        said = (
            "level auto is too high" if automatic else "blast radius not known, a person is asked"
        )
        yield Problem(place, f"{said}: {text}", note=not automatic)


def _unattended(entry: Entry, obstacles: tuple[str, ...]) -> Iterator[Problem]:
    for text in obstacles:
        yield Problem(entry.folder / "entry.yml", f"can never be run: {text}", refused=True)


def _dry_run(entry: Entry, tasks: tuple[Task, ...]) -> Iterator[Problem]:
    for text in checked(entry, tasks).problems:
        yield Problem(entry.folder / "entry.yml", text)
    if not entry.verify.checks and entry.kind == "remediation":
        text = "verify.checks is empty: after each run a person has to see whether it helped"
        yield Problem(entry.folder / "entry.yml", text, note=True)


def _readme(entry: Entry) -> Iterator[Problem]:
    try:
        text = entry.readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        yield Problem(entry.readme, "cannot be read; the on-call person and the model need it")
        return
    for heading in HEADINGS:
        if not re.search(rf"^#+\s+{heading}\s*$", text, re.MULTILINE):
            yield Problem(entry.readme, f"has no heading {heading}")
    if not entry.dry_run.required and not re.search(
        r"rehears|dry run|check mode", text, re.IGNORECASE
    ):
        yield Problem(entry.readme, "does not say why the entry has no dry run")


def _folder(entry: Entry) -> Iterator[Problem]:
    for path in sorted(entry.folder.iterdir()):
        if _FOUND_BY_ANSIBLE.fullmatch(path.name):
            yield Problem(path, "would be used by Ansible without being named; move it to a role")


def _parameters(catalog: Catalog, entry: Entry) -> Iterator[Problem]:
    """Outside values must be narrow: a free path is not."""
    place = entry.folder / "entry.yml"
    for name, parameter in entry.parameters.items():
        spec = catalog.schema(entry.id)[name]
        if spec.type in ("path", "dict") and not spec.choices:
            if parameter.kind in ("label", "choice"):
                text = f"parameters.{name}: a free {spec.type} must not come from outside"
                yield Problem(place, f"{text}; give it choices in the role's argument_specs")


def _playbook(entry: Entry) -> Iterator[Problem]:
    path = entry.playbook
    try:
        plays = document.read(path, ansible=True)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if not isinstance(plays, list) or len(plays) != 1 or not isinstance(plays[0], Mapping):
        yield Problem(path, "must hold exactly one play")
        return
    for wrong, text in _PLAY:
        if wrong(entry, plays[0]):
            yield Problem(path, text.format(role=entry.role))


def _roles(play: Mapping[str, Any]) -> list[Any]:
    roles = play.get("roles")
    items = roles if isinstance(roles, list) else []
    return [(i.get("role") or i.get("name")) if isinstance(i, Mapping) else i for i in items]


def _has(*keys: str) -> Callable[[Entry, Mapping[str, Any]], bool]:
    return lambda _, play: any(key in play for key in keys)


#: (whether a play is wrong, what to say of it)
_PLAY: tuple[tuple[Callable[[Entry, Mapping[str, Any]], bool], str], ...] = (
    (lambda entry, play: _roles(play) != [entry.role], "must run the one role {role}"),
    (lambda _, play: play.get("hosts") != "all", "needs hosts: all; the runner sets the limit"),
    (lambda _, play: "gather_facts" not in play, "must say gather_facts: false, or true"),
    (
        _has("tasks", "pre_tasks", "post_tasks", "handlers"),
        "must have no tasks or handlers; they belong to the role",
    ),
    (
        _has("vars", "vars_files"),
        "must set no variables; they come from defaults, inventory and the entry's parameters",
    ),
    (
        lambda entry, play: (
            entry.target.max_hosts > 1
            and not (play.get("serial") and play.get("any_errors_fatal") is True)
        ),
        "may touch several hosts, so it needs serial and any_errors_fatal: true",
    ),
)


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
    own = frozenset(_modules(role, roles))
    for section in ("tasks", "handlers"):
        for path in sorted((role / section).rglob("*.y*ml")):
            yield from _file(path, own)
    if not (role / "molecule" / "default" / "molecule.yml").is_file():
        yield Problem(role, "has no molecule/default scenario: prepare breaks, converge heals")


def _modules(role: Path, roles: Roles) -> Iterator[str]:
    """The modules that come with the role and with those that it depends on."""
    folders = [role]
    meta = role / "meta" / "main.yml"
    try:
        content = document.mapping(meta, ansible=True) if meta.is_file() else {}
    except ValueError:
        content = {}  # the scan of the play says so
    for needed in content.get("dependencies") or ():
        name = needed.get("role") if isinstance(needed, Mapping) else needed
        folders += filter(None, [roles.find(str(name))])
    for folder in folders:
        yield from (path.stem for path in (folder / "library").glob("*.py"))


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
        for key in ("type", "description"):
            if key not in spec.keys:
                yield Problem(path, f"{spec.name} has no {key}")
        if "default" in spec.keys:
            yield Problem(path, f"{spec.name} has a default, which sets nothing; use defaults/")
    yield from _names(role, path, specs)


def _names(role: Path, path: Path, specs: parameters.Specs) -> Iterator[Problem]:
    """Whether defaults and specs name the same variables."""
    defaults = role / "defaults" / "main.yml"
    try:
        given = set(document.mapping(defaults, ansible=True)) if defaults.is_file() else set()
    except ValueError as error:
        yield Problem(defaults, str(error))
        return
    for name in sorted(given - set(specs)):
        if not name.startswith("__"):
            yield Problem(path, f"does not describe {name}, which defaults/main.yml sets")
    for name, spec in sorted(specs.items()):
        if name not in given and not spec.required:
            yield Problem(defaults, f"sets no {name}, which the argument_specs describe")
        if name in given and spec.required:
            yield Problem(defaults, f"sets {name}, which is required; leave a comment instead")


def _file(path: Path, own: frozenset[str]) -> Iterator[Problem]:
    try:
        items = document.read(path, ansible=True)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    for block in blocks_in(items):
        yield from _tolerance(path, "a block", block)
    for task in tasks_in(items):
        for text in _task(task, own):
            yield Problem(path, f"{task.name} {text}")
        yield from _tolerance(path, task.name, task.keywords)


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
