"""Includes whose file or role is a template, and what decides it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.catalog import document
from runner.catalog.task import blocks_in, tasks_in

_WORD = re.compile(r"[A-Za-z_]\w{0,127}", re.ASCII)
_LOOKUP = re.compile(r"\b(?:lookup|query|q)\s*\(")


@dataclass(frozen=True, kw_only=True)
class Templated:
    """An include whose file or role is a template."""

    file: Path  #: the file that it stands in
    text: str  #: the template as written
    depends_on: str = ""  #: what else than facts and inventory decides it; empty for nothing
    at_start: bool = False  #: filled in by every run, before its first task


def decided_by(
    templates: Mapping[tuple[Path, str], tuple[str, bool]],
    files: Iterable[Path],
    roles: Collection[Path],
) -> tuple[Templated, ...]:
    """Each template with what decides it beside facts and inventory.

    `templates`: (file, template) → what it reads, and whether every run fills it in at its start.
    """
    if not templates:
        return ()
    results, defined = _results_and_variables(files, roles)
    return tuple(
        Templated(
            file=path,
            text=text,
            depends_on=_depends(read, results, defined),
            at_start=at_start,
        )
        for (path, text), (read, at_start) in sorted(templates.items())
    )


def _results_and_variables(
    files: Iterable[Path], roles: Collection[Path]
) -> tuple[set[str], dict[str, set[str]]]:
    """(names that tasks set while they run, variable → words of the texts that define it)."""
    results: set[str] = set()
    defined: dict[str, set[str]] = {}
    # Every task file of the roles: an include may reach any of them.
    folders = [role / section for role in roles for section in ("tasks", "handlers")]
    reachable = {path.resolve() for folder in folders for path in folder.rglob("*.y*ml")}
    for path in reachable.union(files):
        items = _read_or_nothing(path)
        for holder in (*blocks_in(items), *(task.keywords for task in tasks_in(items))):
            _define(defined, holder.get("vars"))
        for task in tasks_in(items):
            results |= {str(task.keywords["register"])} if task.keywords.get("register") else set()
            if task.module == "set_fact":
                results |= {str(name) for name in task.arguments}
    for role in roles:
        for folder in ("defaults", "vars"):
            for path in (role / folder).rglob("*.y*ml"):
                _define(defined, _read_or_nothing(path))
    return results, defined


def _read_or_nothing(path: Path) -> Any:
    try:
        return document.read(path, ansible=True)
    except ValueError:
        return None


def _define(defined: dict[str, set[str]], variables: Any) -> None:
    for name, value in variables.items() if isinstance(variables, Mapping) else ():
        defined.setdefault(str(name), set()).update(_WORD.findall(str(value)))


def _depends(text: str, results: set[str], defined: Mapping[str, set[str]]) -> str:
    """What a template reads beside facts and inventory, also through variables of a role."""
    if _LOOKUP.search(text):
        return "a lookup"
    seen: set[str] = set()
    waiting = set(_WORD.findall(text))
    while waiting:
        seen |= waiting
        waiting = {word for name in waiting for word in defined.get(name, ())} - seen
    found = sorted(seen & results)
    if found:
        return f"{found[0]}, which a task sets"
    return "a lookup" if seen & {"lookup", "query"} else ""
