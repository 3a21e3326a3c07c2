"""What one file or one collection says, kept as long as the file system shows no change of it."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runner.catalog import lookups
from runner.errors import CatalogError

_WORD = re.compile(rb"[A-Za-z_]\w{0,127}", re.ASCII)
_PAIR = re.compile(rb"(?=\b([a-z_]\w{0,63}\.[a-z_]\w{0,63})\b)", re.ASCII)
#: `hostvars[…]`, `vars[…]` and `lookup('vars', …)` read variables by a name that is made up.
_INDIRECT = re.compile(rb"\bhostvars\b|\bvars\s*\[|['\"](?:[\w.]*\.)?(?:vars|varnames)['\"]")
LEFT_BEHIND = ("__pycache__", ".pyc", ".retry")
#: Directly in a collection: what no run reads.
_NOT_LOADED = frozenset({".git", "changelogs", "docs", "tests"})
#: A file that changed this short a time ago could change again within one tick of its time.
_SETTLED = 2.0
#: Files whose facts are kept; a project has some hundred.
_MOST = 2_000
_CHUNK = 1 << 16
_LARGE = 8_000_000  # bytes; no template is larger

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class FileFacts:
    """What a file's content says, as far as a plan has to know."""

    digest: str  #: SHA-256, hexadecimal
    words: frozenset[str]  #: every identifier in it
    pairs: frozenset[str]  #: every `one.other` in it: it may name a collection
    indirect: bool  #: whether it may read variables that it does not name
    outside: frozenset[str] = frozenset()  #: lookups in it that read what no hash covers


_files: dict[str, tuple[Stamp, FileFacts]] = {}
_trees: dict[str, tuple[tuple[tuple[str, Stamp], ...], str]] = {}


def facts_of(path: Path) -> FileFacts:
    """The facts of a file as it is now. Raises CatalogError when it cannot be read."""
    try:
        before = stamp(path)
        if (known := _files.get(str(path))) and known[0] == before:
            return known[1]
        if before[2] > _LARGE:  # not held in memory, so what it names is not known
            with path.open("rb") as file:
                binary = b"\0" in file.read(_CHUNK)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            facts = FileFacts(digest, words=frozenset(), pairs=frozenset(), indirect=not binary)
        else:
            content = path.read_bytes()
            facts = facts_in(content)
            if b"\0" not in content[:_CHUNK]:
                facts = replace(facts, outside=lookups.uncovered(path, content))
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror})") from None
    if _settled(before):
        if len(_files) >= _MOST:
            _files.clear()
        _files[str(path)] = (before, facts)
    return facts


def facts_in(content: bytes) -> FileFacts:
    """The facts of this content. What is not text names nothing."""
    if b"\0" in content[:_CHUNK]:
        digest = hashlib.sha256(content).hexdigest()
        return FileFacts(digest=digest, words=frozenset(), pairs=frozenset(), indirect=False)
    return FileFacts(
        digest=hashlib.sha256(content).hexdigest(),
        words=frozenset(word.decode("ascii") for word in set(_WORD.findall(content))),
        pairs=frozenset(pair.decode("ascii") for pair in set(_PAIR.findall(content))),
        indirect=bool(_INDIRECT.search(content)),
    )


def of_collection(folder: Path) -> str:
    """SHA-256 over every file of a collection that a run may read, with their names."""
    files = sorted(files_below(folder), key=lambda item: os.fsencode(item[0]))
    try:
        seen = tuple((name, stamp(path)) for name, path in files)
        if (known := _trees.get(str(folder))) and known[0] == seen:
            return known[1]
        total = hashlib.sha256()
        for name, path in files:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(
                b"%d:%s %s\n" % (len(os.fsencode(name)), os.fsencode(name), digest.encode())
            )
    except OSError as error:
        raise CatalogError(f"{error.filename}: cannot be read ({error.strerror})") from None
    if all(_settled(each) for _, each in seen):
        _trees[str(folder)] = (seen, total.hexdigest())
    return total.hexdigest()


def files_below(collection: Path) -> Iterator[tuple[str, Path]]:
    """(name within the collection, file) of everything in it that a run may read.

    Links to folders are followed, as Ansible does, each folder once.
    """
    walked: set[str] = set()
    for place, folders, files in os.walk(collection, followlinks=True):
        real = os.path.realpath(place)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        top = Path(place) == collection
        folders[:] = [
            n for n in folders if not (n.endswith(LEFT_BEHIND) or (top and n in _NOT_LOADED))
        ]
        for name in files:
            path = Path(place, name)
            if not name.endswith(LEFT_BEHIND) and path.is_file():
                yield path.relative_to(collection).as_posix(), path


def stamp(path: Path) -> Stamp:
    """What changes with any write to the file: only the kernel sets the time of change."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _settled(seen: Stamp) -> bool:
    return time.time() - max(seen[3:]) / 1e9 > _SETTLED
