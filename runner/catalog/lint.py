"""What is wrong with a catalog that loads: `runner check` and `runner catalog lint` say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.catalog import Catalog, document
from runner.catalog.dry_run import checked
from runner.catalog.entry import Entry
from runner.catalog.lint_role import lint_role
from runner.catalog.problem import Problem
from runner.catalog.scan import scan
from runner.catalog.task import Task
from runner.incident import Level

__all__ = ["HEADINGS", "Problem", "lint"]

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Rollback")
_FOUND_BY_ANSIBLE = re.compile(
    r"roles|collections|library|module_utils|group_vars|host_vars|.*_plugins"
)


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
    if entry.rehearsal == "none" and not re.search(
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
