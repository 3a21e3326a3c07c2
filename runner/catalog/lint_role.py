"""What is wrong with one role: its variables, its tasks, its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.catalog import document, parameters
from runner.catalog.problem import Problem
from runner.catalog.roles import Roles
from runner.catalog.task import Task, blocks_in, tasks_in
from runner.catalog.unattended import waits_for_a_person
from runner.errors import CatalogError

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
        yield from _command(task)


def _command(task: Task) -> Iterator[str]:
    stated = {"changed_when"} & set(task.keywords) or {"creates", "removes"} & set(task.arguments)
    if not stated:
        yield "needs changed_when: Ansible cannot know whether it changed something"
    text = task.free or str(task.arguments.get("cmd") or task.arguments.get("_raw_params") or "")
    bare = [e.strip() for e in _EXPRESSION.findall(text) if not _QUOTED.search(e.strip())]
    if bare and task.module in _BY_SHELL:
        yield f"gives {bare[0]} to a shell; it needs the quote filter"
    elif bare:
        yield f"puts {bare[0]} into a command line, where a space splits it; use argv"
