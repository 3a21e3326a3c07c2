"""The files that an inventory is made of: whether one changed, and whether files are all of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

#: Settings of Ansible by which something else than these files may take part.
_BY_ENVIRONMENT = ("ANSIBLE_INVENTORY_ENABLED", "ANSIBLE_INVENTORY_PLUGINS")
_BY_CONFIG = re.compile(
    rb"^\s*(enable_plugins|inventory_plugins|vars_plugins\w*)\s*[=:]", re.MULTILINE
)
#: Settings by which a listing holds more, or less, than a run takes from the inventory itself.
_CACHES = ("ANSIBLE_CACHE_PLUGIN", "ANSIBLE_INVENTORY_EXPORT")
_CACHES_BY_CONFIG = re.compile(rb"^\s*(fact_caching|export)\s*[=:]", re.MULTILINE)
#: What makes a file the settings of an inventory plugin.
_PLUGIN = re.compile(rb"""(?:^|[\s{,"'])plugin["']?[ \t]*:""", re.MULTILINE)
_CONSTANT = frozenset({"group_vars", "host_vars"})  #: folders that hold variables only


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """All files at one moment. Two that are equal tell of the same content."""

    files: tuple[tuple[str, int, int, int], ...]  #: path, changed (two clocks of it, ns), size
    linked: bool = False  #: a folder is a link: what lies behind it was not looked at


def stamp(tops: Sequence[Path], environment: Mapping[str, str]) -> Stamp:
    """What the files at and below `tops` are now, with the ansible.cfg of this environment."""
    files: list[str] = []
    linked = False
    for top in map(str, [*tops, *_configs(environment)]):
        if not os.path.isdir(top):
            files.append(top)
        for at, folders, names in os.walk(top):
            linked = linked or any(os.path.islink(os.path.join(at, name)) for name in folders)
            files += [os.path.join(at, name) for name in names]
    found = set()
    for path in files:
        if status := _status(path):
            found.add((path, status.st_mtime_ns, status.st_ctime_ns, status.st_size))
        else:
            found.add((path, 0, 0, -1))  # gone, or a link to nothing
    return Stamp(files=tuple(sorted(found)), linked=linked)


def _configs(environment: Mapping[str, str]) -> list[Path]:
    """The ansible.cfg that Ansible takes, or may take where none is named."""
    if named := environment.get("ANSIBLE_CONFIG"):
        return [Path(named)]
    home = environment.get("HOME")
    return [*([Path(home) / ".ansible.cfg"] if home else []), Path("/etc/ansible/ansible.cfg")]


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def only_files(paths: Sequence[Path], seen: Stamp, environment: Mapping[str, str]) -> bool:
    """Whether Ansible says the same of these inventories for as long as no file changes.

    Not so for a script, for the settings of a plugin, and where Ansible's settings name others.
    """
    if seen.linked or any(environment.get(name) for name in _BY_ENVIRONMENT):
        return False
    if any("VARS_PLUGIN" in name for name in environment):
        return False
    if any(_BY_CONFIG.search(_text(config) or b"") for config in _configs(environment)):
        return False
    for file in (file for file, *_ in seen.files if _is_source(file, paths)):
        status = _status(file)
        if status is None or not S_ISREG(status.st_mode):
            return False  # a pipe or a device gives what it likes
        content = _text(Path(file))
        if content is None or content.startswith(b"#!") or os.access(file, os.X_OK):
            return False
        if _PLUGIN.search(content):
            return False
    return True


def size(paths: Sequence[Path], seen: Stamp) -> int:
    """Bytes of the files that say which hosts there are."""
    return sum(size for file, *_, size in seen.files if size > 0 and _is_source(file, paths))


def may_add(environment: Mapping[str, str]) -> bool:
    """Whether a listing may not be what a run sees of its hosts: with cached facts in it, or by
    the settings of another ansible.cfg than the project's, which is all that a run reads."""
    if any(environment.get(name) for name in _CACHES):
        return True
    configs = _configs(environment)
    if "ANSIBLE_CONFIG" not in environment and any(config.exists() for config in configs):
        return True
    return any(_CACHES_BY_CONFIG.search(_text(config) or b"") for config in configs)


def _is_source(file: str, paths: Sequence[Path]) -> bool:
    """Whether the file says which hosts there are; the others only give variables."""
    for top in paths:
        path = Path(file)
        if path == top:
            return True
        if path.is_relative_to(top):
            return not _CONSTANT & set(path.relative_to(top).parts[:-1])
    return False


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
