"""Copies of what comes with the runner in a project: which release each is of, and what changed.

Once a project began with a copy of every entry and role. A copy is used instead of what comes
with the runner, so that no fix reaches it; `runner check` names each, and `runner init --upgrade`
removes those that nobody changed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner import shipped
from runner.catalog.digest import LEFT_BEHIND
from runner.errors import RunnerError

#: A file per release: what its `runner init` copied, by name below the project, with its SHA-256.
_RELEASES = Path(shipped.__file__).parent / "releases"
#: What no run reads: a copy without it is whole.
_FOR_PEOPLE = ("README.md", "cases/", "molecule/")
#: Folder of a role → where the collection has what was in it.
_PLUGINS = {
    "library": "modules",
    "module_utils": "module_utils",
    "filter_plugins": "filter",
    "action_plugins": "action",
}
_NAME = re.compile(rb"[A-Za-z_]\w*")
NOT_USED = "project.shipped in runner.yml does not name it"


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One entry, role or prompt of a release, as the project has it."""

    kind: str  #: playbooks, roles or prompts
    path: Path
    release: str  #: the one that it is nearest to
    changed: tuple[str, ...] = ()  #: names of files below `path` that differ from it, sorted
    stays: str = ""  #: why it stays, for the end of a sentence; empty: nothing needs it

    @property
    def title(self) -> str:
        """`roles/service_restart`."""
        return f"{self.kind}/{self.path.name}"

    @property
    def instead_of(self) -> str:
        """What comes with the runner and is not used because of the copy; empty for nothing."""
        if not _shipped(self.kind, self.path.name).exists():
            return ""
        return (
            f"{shipped.COLLECTION}.{self.path.name}" if self.kind == "roles" else "the shipped one"
        )


def find(playbooks: Path, roles: Iterable[Path], prompts: Path) -> list[Copy]:
    """Every copy in these folders of a project."""
    newest_first = sorted(
        _RELEASES.glob("v*.json"),
        key=lambda path: [int(number) for number in re.findall(r"\d+", path.stem)],
        reverse=True,
    )
    releases = {path.stem: json.loads(path.read_bytes()) for path in newest_first}
    known = {"/".join(name.split("/")[:2]) for files in releases.values() for name in files}
    places = [("playbooks", playbooks), *(("roles", each) for each in roles), ("prompts", prompts)]
    return [
        _nearest(kind, path, releases)
        for kind, folder in places
        if folder.is_dir() and not folder.resolve().is_relative_to(shipped.folder() / kind)
        for path in sorted(folder.iterdir())
        if f"{kind}/{path.name}" in known
        and (kind != "playbooks" or (path / "entry.yml").is_file())  # else cases of incidents
    ]


def judged(copies: Iterable[Copy], used: Collection[str], roles: Iterable[Path]) -> list[Copy]:
    """The same, with why a copy stays.

    `used` are the shipped entries that runner.yml names, `roles` the project's folders of roles. A
    changed copy stays. So does a role that a role which stays names, since that may use its
    modules, and an entry whose role stays or that runner.yml would then not have.
    """
    found = [
        replace(copy, stays=f"{len(copy.changed)} changed" if copy.changed else "")
        for copy in copies
    ]
    of_roles = {copy.path: copy for copy in found if copy.kind == "roles"}
    every = [path for folder in roles if folder.is_dir() for path in folder.iterdir()]
    waiting = [path for path in every if path not in of_roles or of_roles[path].stays]
    while waiting:
        folder = waiting.pop()
        names: set[str] = set()
        for name, path in _files(folder):
            if not _for_people(name, "") and path.is_file():
                names |= {word.decode() for word in _NAME.findall(path.read_bytes())}
        for path, copy in of_roles.items():
            if path.name in names and not copy.stays:
                of_roles[path] = replace(copy, stays=f"{folder.name} names it")
                waiting.append(path)
    staying = {path.name for path, copy in of_roles.items() if copy.stays}
    return [of_roles.get(copy.path) or _entry(copy, staying, used) for copy in found]


def difference(copy: Copy) -> Iterator[str]:
    """The lines of a diff from what comes with the runner now to the project's file."""
    for name in copy.changed:
        own = copy.path / name if name else copy.path
        first, _, rest = name.partition("/")
        if copy.kind == "roles" and first in _PLUGINS:
            theirs = shipped.collection() / "plugins" / _PLUGINS[first] / rest
        else:
            theirs = _shipped(copy.kind, copy.path.name) / name
        yield from difflib.unified_diff(
            _lines(theirs), _lines(own), f"shipped/{copy.title}/{name}", f"{copy.title}/{name}",
            lineterm="",
        )  # fmt: skip


def remove(copy: Copy) -> None:
    """Remove a copy that nobody changed. Raises RunnerError."""
    files = [copy.path] if copy.path.is_file() else [path for _, path in _files(copy.path)]
    try:
        for path in files:
            path.unlink()
        for place, _, left in os.walk(copy.path, topdown=False):
            for name in left:
                if name.endswith(LEFT_BEHIND) or place.endswith(LEFT_BEHIND):  # by running
                    Path(place, name).unlink()
            Path(place).rmdir()
    except OSError as error:
        raise RunnerError(f"{error.filename}: cannot be removed ({error.strerror})") from None


def _nearest(kind: str, path: Path, releases: Mapping[str, Mapping[str, str]]) -> Copy:
    """Compared with each release; of equals the newest."""
    start = f"{kind}/{path.name}"
    own = {}
    for name, file in _files(path) if path.is_dir() and not path.is_symlink() else [("", path)]:
        try:
            content = b"" if file.is_symlink() else file.read_bytes()
        except OSError:
            content = b""  # like no release's, as a link is
        own[f"{start}/{name}" if name else start] = hashlib.sha256(content).hexdigest()
    found = []
    for release, files in releases.items():
        theirs = {
            name: digest
            for name, digest in files.items()
            if name == start or name.startswith(f"{start}/")
        }
        if not theirs:
            continue
        changed = {name for name in own if own[name] != theirs.get(name)}
        changed |= {name for name in theirs.keys() - own.keys() if not _for_people(name, start)}
        names = tuple(sorted(name.removeprefix(start).removeprefix("/") for name in changed))
        found.append(Copy(kind=kind, path=path, release=release, changed=names))
    return min(found, key=lambda copy: len(copy.changed))


def _for_people(name: str, start: str) -> bool:
    return name.removeprefix(f"{start}/").startswith(_FOR_PEOPLE)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name below the folder, file or link) of everything in it that people put there."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.endswith(LEFT_BEHIND)]
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*files, *links):
            if not name.endswith(LEFT_BEHIND):
                path = Path(place, name)
                yield path.relative_to(folder).as_posix(), path


def _entry(copy: Copy, staying: Collection[str], used: Collection[str]) -> Copy:
    """An entry, or a prompt; of the latter the shipped one is used where there is none."""
    if copy.kind != "playbooks" or copy.stays:
        return copy
    text = (copy.path / "entry.yml").read_text(encoding="utf-8")
    role = re.search(r"^role: (\w+)$", text, re.MULTILINE)
    if role and role[1] in staying:
        return replace(copy, stays=f"its role {role[1]} stays")
    if copy.path.name not in used:
        return replace(copy, stays=NOT_USED)
    return copy


def _shipped(kind: str, name: str) -> Path:
    return shipped.roles() / name if kind == "roles" else shipped.folder() / kind / name


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
