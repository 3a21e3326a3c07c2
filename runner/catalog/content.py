"""The content hash of an entry: what a person approves is what runs, to the byte."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.catalog.scan import role_folders, scan
from runner.errors import CatalogError

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.catalog.entry import Entry

#: For people and tests; only directly in the folder, since a role may deploy such names.
_NOT_RUN = frozenset({"README.md", "cases", "molecule"})
_LEFT_BEHIND = ("__pycache__", ".pyc", ".retry")
_WORD = re.compile(rb"[A-Za-z_]\w{0,127}", re.ASCII)
#: `hostvars[…]`, `vars[…]` and `lookup('vars', …)` read variables by a name that is made up.
_INDIRECT = re.compile(rb"\bhostvars\b|\bvars\s*\[|['\"](?:[\w.]*\.)?(?:vars|varnames)['\"]")


def content_hash(catalog: Catalog, entry: Entry) -> str:
    """SHA-256, hexadecimal, of all files that decide what the entry does.

    That is its folder and every role that its play reaches, or the same of each step of
    a plan. Texts for people, cases and tests are not part of it. Raises CatalogError.
    """
    return read(catalog, entry).hash


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the files of an entry say, as far as a plan has to know."""

    files: Mapping[str, str]  #: name within the catalog → SHA-256, hexadecimal
    words: frozenset[str]  #: every identifier that stands in one of them
    indirect: bool  #: whether a file may read variables that it does not name

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
    files: dict[str, str] = {}
    words: set[bytes] = set()
    indirect = False
    for label, path in _files(catalog, entry):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CatalogError(f"{path}: cannot be read ({error.strerror})") from None
        files[label] = hashlib.sha256(content).hexdigest()
        words |= set(_WORD.findall(content))
        indirect = indirect or bool(_INDIRECT.search(content))
    named = frozenset(word.decode("ascii") for word in words)
    return Content(files=files, words=named, indirect=indirect)


def _files(catalog: Catalog, entry: Entry) -> Iterator[tuple[str, Path]]:
    """(name within the catalog, file), in an order that no file system decides."""
    yield from _tree(f"playbooks/{entry.id}", entry.folder)
    for role in role_folders(scan(entry, catalog.roles), catalog.roles):
        yield from _tree(f"roles/{role.name}", role)
    for step in entry.steps:
        yield from _files(catalog, catalog.get(step.entry))


def _tree(label: str, folder: Path) -> list[tuple[str, Path]]:
    found = []
    for place, folders, files in os.walk(folder, onerror=_unreadable):
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
    return name not in skipped and not name.endswith(_LEFT_BEHIND)


def _unreadable(error: OSError) -> None:
    raise CatalogError(f"{error.filename}: cannot be read ({error.strerror})") from None
