"""The files of an entry: what a person approves is what runs, to the byte."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.catalog.digest import LEFT_BEHIND, facts_of
from runner.catalog.scan import Scan, scan
from runner.errors import CatalogError

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.catalog.entry import Entry

#: Folders beside a playbook from which Ansible takes what a task or a template names.
_LOOKED_INTO = re.compile(
    "tasks|handlers|vars|group_vars|host_vars|templates|files|library|module_utils|[a-z]+_plugins"
)
#: For people and tests; only directly in the folder, since a role may deploy such names.
_NOT_RUN = frozenset({"README.md", "cases", "molecule"})


def content_hash(catalog: Catalog, entry: Entry) -> str:
    """SHA-256, hexadecimal, of the entry's folder and of every role that its play reaches.

    Or the same of each step of a plan. Texts for people, cases and tests are not part of it.
    Raises CatalogError.
    """
    return read(catalog, entry).hash


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the files of an entry say, as far as a plan has to know."""

    files: Mapping[str, str]  #: name within the catalog → SHA-256, hexadecimal
    words: frozenset[str]  #: every identifier that stands in one of them
    indirect: bool  #: whether a file may read variables that it does not name
    pairs: frozenset[str] = frozenset()  #: every `one.other` that stands in one of them
    paths: Mapping[str, Path] = field(default_factory=dict)  #: name within the catalog → file
    #: name within the catalog → lookups in it that read what no hash covers
    outside: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """One hash of all files with their names."""
        total = hashlib.sha256()
        for label, digest in self.files.items():
            name = os.fsencode(label)
            total.update(b"%d:%s %s\n" % (len(name), name, digest.encode()))
        return total.hexdigest()


def read(catalog: Catalog, entry: Entry) -> Content:
    """The content of an entry's files, as they are now. Raises CatalogError."""
    paths = dict(_files(catalog, entry))
    facts = {label: facts_of(path) for label, path in paths.items()}
    return Content(
        files={label: each.digest for label, each in facts.items()},
        words=frozenset().union(*(each.words for each in facts.values())),
        indirect=any(each.indirect for each in facts.values()),
        pairs=frozenset().union(*(each.pairs for each in facts.values())),
        paths=paths,
        outside={label: each.outside for label, each in facts.items() if each.outside},
    )


def _files(catalog: Catalog, entry: Entry) -> Iterator[tuple[str, Path]]:
    """(name within the catalog, file), in an order that no file system decides."""
    yield from tree(f"playbooks/{entry.id}", entry.folder)
    found = scan(entry, catalog.roles)
    for name, folder in zip(found.roles, found.folders, strict=True):
        yield from tree(f"roles/{name}", folder)
    # A collection's playbook counts as the collection does, as a whole.
    if entry.found and not entry.collection_playbook:
        yield from _around(entry, entry.found.parent, found)
    for step in entry.steps:
        yield from _files(catalog, catalog.get(step.entry))


def _around(entry: Entry, base: Path, found: Scan) -> Iterator[tuple[str, Path]]:
    """A playbook that lies elsewhere, what it imports and includes, and the folders beside it in
    which Ansible looks; not those of other playbooks, and no role that none of these names."""

    def called(path: Path) -> str:
        return f"playbook/{Path(os.path.relpath(path, base)).as_posix()}"

    inside = (entry.folder, *found.folders)
    for path in sorted({*found.playbooks, *found.files}):
        if not any(path.is_relative_to(folder) for folder in inside):
            yield called(path), path
    for folder in sorted({path.parent for path in found.playbooks}):
        for name in sorted(path.name for path in folder.iterdir() if path.is_dir()):
            if _LOOKED_INTO.fullmatch(name) and not folder.is_relative_to(entry.folder):
                yield from tree(called(folder / name), folder / name)


def tree(label: str, folder: Path) -> list[tuple[str, Path]]:
    """(name below `label`, file) of every file of the folder that a run may read, sorted."""

    def unreadable(error: OSError) -> None:
        raise CatalogError(f"{error.filename}: cannot be read ({error.strerror})") from None

    found = []
    for place, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(place)
        skipped = _NOT_RUN if here == folder else frozenset()
        folders[:] = [name for name in folders if _counts(name, skipped)]
        if linked := [here / name for name in folders if (here / name).is_symlink()]:
            raise CatalogError(
                f"{linked[0]}: is a link to a folder, whose content could change unseen; "
                "put the files here"
            )
        within = here.relative_to(folder)
        for name in files:
            if _counts(name, skipped):
                found.append((f"{label}/{(within / name).as_posix()}", here / name))
    return sorted(found, key=lambda item: os.fsencode(item[0]))


def _counts(name: str, skipped: frozenset[str]) -> bool:
    return name not in skipped and not name.endswith(LEFT_BEHIND)
