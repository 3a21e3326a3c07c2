"""The files that an inventory is made of: whether one changed, and whether files are all of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

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
    found = set()
    linked = False
    for path, status in _walked([*map(str, tops), *map(str, _configs(environment))]):
        if status is None:
            found.add((path, 0, 0, -1))
        elif S_ISDIR(status.st_mode):
            linked = True
        else:
            found.add((path, status.st_mtime_ns, status.st_ctime_ns, status.st_size))
    return Stamp(files=tuple(sorted(found)), linked=linked)


def _configs(environment: Mapping[str, str]) -> list[Path]:
    """The ansible.cfg that Ansible takes, or may take where none is named."""
    if named := environment.get("ANSIBLE_CONFIG"):
        return [Path(named)]
    home = environment.get("HOME")
    return [*([Path(home) / ".ansible.cfg"] if home else []), Path("/etc/ansible/ansible.cfg")]


def _walked(tops: Sequence[str]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Every file, and every folder that is a link below `tops`; None for what is not there."""
    folders = []
    for top in tops:
        status = _status(top)
        if status is not None and S_ISDIR(status.st_mode):
            folders.append(top)
        else:
            yield top, status
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry.path, _status(entry.path)
        except OSError:
            continue  # gone meanwhile, or not readable: Ansible says so


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
    return not any(_is_asked(Path(file)) for file, *_ in seen.files if _is_source(file, paths))


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


def _is_asked(path: Path) -> bool:
    """Whether the file is a program or the settings of one, not a list of hosts."""
    status = _status(str(path))
    if status is None or not S_ISREG(status.st_mode):
        return True  # a pipe or a device gives what it likes
    if os.access(path, os.X_OK):
        return True
    content = _text(path)
    return content is None or content.startswith(b"#!") or bool(_PLUGIN.search(content))


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
