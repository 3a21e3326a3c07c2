"""What Ansible loads for an entry beside its playbook and roles.

Its configuration, folders of plugins and modules, the collections in use, its own version,
and what a dry run was seen to load from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.catalog.content import Content, tree
from runner.catalog.digest import FileFacts, facts_in, facts_of, of_collection
from runner.catalog.installed import Collection
from runner.catalog.reads import is_secret
from runner.catalog.scan import scan
from runner.errors import CatalogError

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.catalog.entry import Entry

GONE = "gone"  #: stands for the digest of a file that is no longer there
_COLLECTION = "collection "


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Names with digests or versions. The name of a file is its absolute path."""

    names: Mapping[str, str] = field(default_factory=dict)
    #: `ns.coll` → the collection with its digest
    collections: Mapping[str, tuple[Collection, str]] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[Path, str]:
        """File → digest."""
        return {Path(name): digest for name, digest in self.names.items() if name[0] == "/"}


def loaded(
    catalog: Catalog,
    entry: Entry,
    content: Content,
    *,
    variables: Iterable[Mapping[str, Any]] = (),
    also: Iterable[str] = (),
) -> Loaded:
    """What Ansible loads for `entry`, as it is now. Raises CatalogError.

    `variables` are those of the hosts: they name connections and ways to become another user.
    `also` are names that a dry run was seen to load.
    """
    further = set(also)
    beside = {str(path) for path in scan(entry, catalog.roles).beside}
    for step in entry.steps:
        beside |= {str(p) for p in scan(catalog.get(step.entry), catalog.roles).beside}
    facts = {path: _facts(path) for path in sorted(beside | {n for n in further if n[0] == "/"})}
    names = {path: each.digest if each else GONE for path, each in facts.items()}
    if (installed := catalog.roles.installed) is None:
        return Loaded(names=names)
    own = _own_files(installed.config, installed.plugin_folders.values())
    found = {str(path): facts_of(path) for path in own}
    facts |= found
    names |= {path: each.digest for path, each in found.items()}
    names |= installed.versions
    names |= {
        f"environment {name}": hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]
        for name, value in sorted(installed.environment.items())
        if not is_secret(name)
    }
    steering = json.dumps([dict(v) for v in variables], default=str)
    facts["variables"] = facts_in(steering.encode())
    # Names that may be those of collections: written out, or by a short name of a plugin.
    in_use, words = set(content.pairs), set(content.words)
    for each in filter(None, facts.values()):
        in_use |= each.pairs
        words |= each.words
    redirects, known = installed.redirects, installed.collections
    in_use.update(*(redirects[word] for word in words & redirects.keys()))
    in_use |= {name.split(" ")[1] for name in further if name.startswith(_COLLECTION)}
    whole = _with_dependencies(in_use, known)
    collections = {name: (known[name], of_collection(known[name].folder)) for name in whole}
    names |= {called(each): digest for each, digest in collections.values()}
    return Loaded(names=names, collections=collections)


def outside_of(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """File → lookups in it that read what no hash covers, for those names that are files."""
    facts = {name: _facts(name) for name in names if name[0] == "/"}
    return {name: each.outside for name, each in facts.items() if each and each.outside}


def called(collection: Collection) -> str:
    """The name of a collection in a plan: `collection ns.coll 1.2.3`."""
    return f"{_COLLECTION}{collection.name} {collection.version}".rstrip()


def _facts(path: str) -> FileFacts | None:
    try:
        return facts_of(Path(path))
    except CatalogError:
        return None


def _own_files(config: Path | None, folders: Iterable[tuple[Path, ...]]) -> Iterator[Path]:
    """The configuration, and each file of the folders of plugins and modules."""
    if config is not None and config.is_file():
        yield config
    for folder in sorted({Path(os.path.realpath(each)) for some in folders for each in some}):
        if folder.is_dir():
            yield from (path for _, path in tree("", folder) if path.is_file())


def _with_dependencies(names: Iterable[str], known: Mapping[str, Collection]) -> list[str]:
    """The installed ones of these collections, and those that they build on."""
    found: set[str] = set()
    waiting = [name for name in names if name in known]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in known[name].dependencies if other in known]
    return sorted(found)
