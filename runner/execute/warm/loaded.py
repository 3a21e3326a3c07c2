"""Every file that this process has loaded, and whether each is still the same.

An audit hook is told of what Python opens, before anything else is imported. It imports nothing
of the runner, so that it can be the first.
"""

from __future__ import annotations

import hashlib
import os
import re
import site
import stat
import sys
from typing import Any

_COMPILED = re.compile(r"(.*/)__pycache__/([^/]+)\.[a-z]+-\d+(?:\.opt-\w+)?\.pyc")

#: Inode, time of change (of content, name or rights), time of writing, size.
Stamp = tuple[int, int, int, int, int]


class Loaded:
    """Told of every file that is opened while `recording`; later it says what changed."""

    def __init__(self) -> None:
        self.recording = True
        self._opened: set[str] = set()
        self._files: dict[str, tuple[Stamp | None, str]] = {}
        self._folders: dict[str, int] = {}
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event == "open" and self.recording and isinstance(arguments[0], str | bytes):
            self._opened.add(os.path.abspath(os.fsdecode(arguments[0])))

    def seal(self, ours: str) -> None:
        """Remember what each loaded file is now, without what lies in the folder that is `ours`."""
        self.recording = False
        modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        paths = {*self._opened, *filter(None, modules), sys.executable}
        self.add(sorted(paths), ours)
        for folder in filter(os.path.isdir, site.getsitepackages()):
            self._folders[folder] = os.stat(folder).st_mtime_ns

    def add(self, paths: list[str], ours: str) -> None:
        """Remember these files too."""
        for path in paths:
            if (found := _COMPILED.fullmatch(path)) is not None:
                source = f"{found[1]}{found[2]}.py"
                path = source if os.path.isfile(source) else path
            if path not in self._files and not path.startswith(("/proc/", "/dev/", f"{ours}/")):
                stamp = stamp_of(path)
                if stamp is not None:
                    self._files[path] = (stamp, digest(path))

    def changed(self) -> str:
        """A file that is not what was loaded; empty when all are. Content is what counts."""
        for folder, written in self._folders.items():
            if not os.path.isdir(folder) or os.stat(folder).st_mtime_ns != written:
                return folder  # packages were added or removed
        for path, (stamp, content) in self._files.items():
            now = stamp_of(path)
            if now != stamp:
                if digest(path) != content:
                    return path
                self._files[path] = (now, content)
        return ""


def stamp_of(path: str) -> Stamp | None:
    """None for what is not a file, or not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size


def digest(path: str) -> str:
    """SHA-256 of the content; empty for what cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
