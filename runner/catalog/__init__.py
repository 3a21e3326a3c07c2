"""The catalog: the closed list of what may be done, the project's entries and shipped ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from runner import shipped
from runner.catalog import document, inline, parameters
from runner.catalog.entry import ENTRY_ID, Entry
from runner.catalog.installed import Installed
from runner.catalog.parameters import ParameterSpec, Specs
from runner.catalog.roles import Roles
from runner.config import explain
from runner.errors import CatalogError, NotFound, Refused
from runner.incident import Labels
from runner.text import promql

__all__ = ["Catalog", "Entry", "Installed", "ParameterSpec", "Roles", "folders", "load"]

ALL = "all"  #: of the entries that come with the runner
_OURS = ("id", "folder", "found")  #: fields of Entry that come from the path, never from the file


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Every entry by its id, with the variables of its role. Sound as a whole."""

    playbooks: Path
    roles: Roles
    entries: Mapping[str, Entry]
    schemas: Mapping[str, Specs]

    def get(self, id: str) -> Entry:
        """The entry of this id. Raises NotFound with the nearest one."""
        if id in self.entries:
            return self.entries[id]
        hint = _hint(id, self.entries) or "; `runner catalog list` shows all"
        raise NotFound(f"the catalog has no entry {id[:80]!r}{hint}")

    def drill(self, id: str) -> Entry:
        """The drill of this id. Raises NotFound with the nearest one, Refused for another kind."""
        if id not in self.entries:
            known = [entry.id for entry in self.by_kind("drill")]
            hint = _hint(id, known) or "; `runner drill list` shows all"
            raise NotFound(f"the catalog has no drill {id[:80]!r}{hint}")
        if not self.is_drill(id):
            kind = self.entries[id].kind
            raise Refused(f"{id} is a {kind}, not a drill; `runner drill list` shows those")
        return self.entries[id]

    def eligible(self, labels: Labels) -> tuple[Entry, ...]:
        """The remediation entries whose matchers all fit, by id."""
        return tuple(e for e in self.by_kind("remediation") if e.eligible(labels))

    def target_labels(self, labels: Labels) -> tuple[str, ...]:
        """The labels that eligible entries name their host by, before the usual ones."""
        wanted = [label for entry in self.eligible(labels) for label in entry.target.first]
        return tuple(dict.fromkeys(wanted))

    def by_kind(self, kind: str) -> tuple[Entry, ...]:
        """The entries that are a remediation, a probe or a drill, by id."""
        return tuple(entry for _, entry in sorted(self.entries.items()) if entry.kind == kind)

    def is_drill(self, id: str | None) -> bool:
        """Whether this is the id of a drill."""
        entry = self.entries.get(id or "")
        return entry is not None and entry.kind == "drill"

    def schema(self, entry_id: str) -> Specs:
        """The variables of the entry's role; none for a plan of steps."""
        return self.schemas[self.get(entry_id).id]


def load(
    playbooks: Path,
    roles: tuple[Path, ...],
    installed: Installed | None = None,
    *,
    shipped_ids: Sequence[str] = (),
) -> Catalog:
    """The catalog in these folders. Raises CatalogError with one line per problem.

    `shipped_ids` are entries that come with the runner, `all` for each; the project's own entry
    of the same id is taken instead. A short name of a role means the project's own, else the
    shipped one. Without `installed` nothing is known of other collections, nor of plugins
    outside of the folders.
    """
    if not playbooks.is_dir() and not shipped_ids:
        raise CatalogError(
            f"{playbooks}: there is no such folder; set project.playbooks in runner.yml"
        )
    found = Roles((*roles, shipped.roles()), installed)
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    schemas: dict[str, Specs] = {}
    entry_folders = folders(playbooks, shipped_ids)
    for folder in entry_folders:
        try:
            entry = _entry(folder, found)
            schemas[entry.id] = _schema(entry, found)
            entries[entry.id] = entry
        except CatalogError as error:
            problems += str(error).splitlines()
    known = {folder.name for folder in entry_folders}
    for entry in entries.values():
        problems += _unsound(entry, entries, known)
    problems += _plans(entries)
    if problems:
        raise CatalogError("\n".join(problems))
    return Catalog(
        playbooks=playbooks,
        roles=found,
        entries=MappingProxyType(entries),
        schemas=MappingProxyType(schemas),
    )


def folders(playbooks: Path, shipped_ids: Sequence[str]) -> list[Path]:
    """The folder of each entry, by id. Raises CatalogError for a shipped one that is not there."""
    own = {path.parent.name: path.parent for path in playbooks.glob("*/entry.yml")}
    known = shipped.entry_ids()
    for id in shipped_ids:
        if id != ALL and id not in known:
            raise CatalogError(
                f"project.shipped: no entry {id[:80]!r} comes with the runner{_hint(id, known)}"
            )
    wanted = known if ALL in shipped_ids else shipped_ids
    every = {id: shipped.playbooks() / id for id in wanted} | own
    return [folder for _, folder in sorted(every.items())]


def _entry(folder: Path, roles: Roles) -> Entry:
    path = folder / "entry.yml"
    if not ENTRY_ID.fullmatch(folder.name):
        raise CatalogError(
            f"{path}: {folder.name!r} cannot be an id; use lower case letters, digits and _"
        )
    try:
        content = document.mapping(path)
    except ValueError as error:
        raise CatalogError(f"{path}: {error}") from None
    if unknown := [key for key in _OURS if key in content]:
        raise CatalogError(
            f"{path}: unknown key {unknown[0]}; an entry's id is the name of its folder"
        )
    content = {key: value for key, value in content.items() if value is not None}
    try:
        entry = Entry.model_validate(content | {"id": folder.name, "folder": folder})
    except ValidationError as error:
        lines = [f"{path}: {explain(problem, Entry)}" for problem in error.errors()]
        raise CatalogError("\n".join(lines)) from None
    if entry.playbook is None:
        return entry
    playbook = roles.playbook(entry.playbook) or (folder / entry.playbook).resolve()
    if not playbook.is_file():
        raise CatalogError(f"{path}: playbook: {playbook} is not there")
    return entry.model_copy(update={"found": playbook})


def _schema(entry: Entry, roles: Roles) -> Specs:
    """The variables of the entry's play, checked against what the entry passes."""
    place = entry.folder / "entry.yml"
    if entry.steps:
        if entry.parameters:
            raise CatalogError(f"{place}: parameters belong to the steps, not to the plan")
        return {}
    unspecified = entry.role is None
    if entry.role is None:
        try:
            specs = inline.stated_in(entry)
        except CatalogError as error:
            raise CatalogError(f"{place}: {error}") from None
    else:
        if not entry.play_file.is_file():
            text = f"is missing; it is the play that runs {entry.role}"
            raise CatalogError(f"{entry.play_file}: {text}")
        role = roles.beside(entry.play_file).find(entry.role)
        if role is None:
            hint = _hint(entry.role, roles.names())
            raise CatalogError(f"{place}: role: there is no role {entry.role!r}{hint}")
        specs = parameters.specs_of(role)
        unspecified = parameters.spec_file(role) is None
        if unspecified:
            specs = inline.stated_in(entry)
    if problems := parameters.problems(entry, specs, inline=unspecified):
        raise CatalogError("\n".join(f"{place}: {problem}" for problem in problems))
    return MappingProxyType(specs)


def _unsound(entry: Entry, entries: Mapping[str, Entry], known: set[str]) -> Iterator[str]:
    """What is wrong with an entry's queries, into which values are filled, and with the entries
    that it names. One of `known` that is none of `entries` is broken, which is told elsewhere.
    """
    file = entry.folder / "entry.yml"
    queries = [condition.promql for condition in entry.when]
    queries += [check.promql for check in entry.verify.checks if check.promql]
    for query in [*queries, *entry.queries.values()]:
        try:
            promql.names(query)
        except CatalogError as error:
            yield f"{file}: {error}"
    named = [
        ("undo", entry.undo, ("remediation",)),
        ("probe", entry.probe, ("probe",)),
        *((f"steps.{n}", s.entry, ("remediation", "probe")) for n, s in enumerate(entry.steps)),
    ]
    for key, other, kinds in named:
        if not other:
            continue
        if other not in known:
            yield f"{file}: {key}: there is no entry {other!r}{_hint(other, known)}"
        elif other in entries and entries[other].kind not in kinds:
            wanted, kind = " or ".join(kinds), entries[other].kind
            yield f"{file}: {key}: {other} is a {kind}, but a {wanted} is needed here"


def _plans(entries: Mapping[str, Entry]) -> Iterator[str]:
    """What keeps plans from being carried out step by step, and from coming to an end."""
    graph = {
        entry.id: sorted({*(step.entry for step in entry.steps), *filter(None, [entry.undo])})
        for entry in entries.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        way = " → ".join(reversed(error.args[1]))
        first = entries[error.args[1][0]].folder / "entry.yml"
        yield f"{first}: undo and steps lead back to where they start ({way}); cut one"
        return
    for entry in entries.values():
        for number, step in enumerate(entry.steps):
            place, of = f"{entry.folder / 'entry.yml'}: steps.{number}", entries.get(step.entry)
            if of is None or of.kind == "drill":
                continue
            if of.steps and (step.host not in (None, "target") or step.unreachable == "skip"):
                yield f"{place}: {of.id} is a plan itself; its own steps say where they act"
            if not any(check.alert is None for check in of.verify.checks) and not of.steps:
                yield (
                    f"{place}: {of.id} has no check but `alert: cleared`, which holds only when "
                    "the whole plan is done; give it one that shows its own effect"
                )


def _hint(name: str, known: Iterable[Any]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
