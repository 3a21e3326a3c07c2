"""Roles as Ansible finds them: by any name in folders, by the full one in collections."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner import shipped
from runner.catalog.installed import Collection, Installed, collections_in

#: A folder's name that is no path: `web`, `my-role`, `author.role`.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Roles:
    """Where roles are looked for: `paths` in order, and the collections that Ansible knows.

    Without `installed` only the collection that comes with the runner is known.
    """

    paths: tuple[Path, ...]
    installed: Installed | None = None
    adjacent: tuple[Path, ...] = ()  #: folders with collections that come before all others

    def beside(self, playbook: Path) -> Roles:
        """The same for one playbook: Ansible looks into folders beside it first."""
        folder = playbook.parent
        return replace(
            self, paths=(folder / "roles", *self.paths), adjacent=(folder / "collections",)
        )

    def find(self, name: str, collections: Sequence[str] = ()) -> Path | None:
        """The folder of the role, None when there is none; the order is Ansible's own.

        `collections` are those that a play or role searches for short names.
        """
        if not _NAME.fullmatch(name):
            return None
        wanted = [(collection, name) for collection in collections]
        if full := collection_of(name):
            wanted = [(full, name[len(full) + 1 :])]
        if wanted:
            paths = self.installed.collection_paths if self.installed else (shipped.collections(),)
            every = collections_in((*self.adjacent, *paths))
            for known, role in ((every[coll], role) for coll, role in wanted if coll in every):
                if (found := known.folder.joinpath("roles", *role.split("."))).is_dir():
                    return found
        return next((path / name for path in self.paths if (path / name).is_dir()), None)

    @property
    def collections(self) -> Mapping[str, Collection]:
        """The collections that Ansible finds for every playbook, by name."""
        paths = self.installed.collection_paths if self.installed else (shipped.collections(),)
        return collections_in(paths)

    def playbook(self, name: str) -> Path | None:
        """The file of the playbook `ns.coll.name` of an installed collection; None for none."""
        if (collection := collection_of(name)) is None or "/" in name:
            return None
        if (known := self.collections.get(collection)) is None:
            return None
        inside = known.folder.joinpath("playbooks", *name.split(".")[2:])
        return next((p for p in map(inside.with_suffix, (".yml", ".yaml")) if p.is_file()), None)

    def names(self) -> list[str]:
        """Every role in the folders."""
        found = (path for folder in self.paths if folder.is_dir() for path in folder.iterdir())
        return [path.name for path in found]


def playbooks_of(collection: Collection) -> list[str]:
    """Full names of what lies where a collection has its playbooks, sorted."""
    folder = collection.folder / "playbooks"
    files = [path for path in folder.rglob("*.y*ml") if path.suffix in (".yml", ".yaml")]
    inside = (path.relative_to(folder).with_suffix("").parts for path in files)
    return sorted({".".join((collection.name, *parts)) for parts in inside})


def collection_of(name: str) -> str | None:
    """`ns.coll` of the full name `ns.coll.role`; None for any other name."""
    parts = name.split(".")
    plain = all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    return ".".join(parts[:2]) if len(parts) > 2 and plain else None
