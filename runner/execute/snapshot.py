"""A private copy of what a plan names, which its run reads: later changes cannot reach it.

Each file lies below the copy's folder at its own absolute path, so that what is named
relative to a playbook or a role is found in the copy. Beside the copies lie links to the
project's other files: what the plan does not name is then found, and stops the run, instead
of silently being absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from runner.catalog.digest import LEFT_BEHIND, files_below, of_collection
from runner.errors import Refused

_CHUNK = 1 << 20
#: Copies of collections that no run used for so long are removed when another one is made.
_UNUSED = 30 * 86_400


def mirrored(folder: Path, path: Path) -> Path:
    """Where `path` lies in the copy."""
    return folder / path.relative_to("/")


def take(folder: Path, files: Mapping[Path, str], base: Path) -> None:
    """Copy `files`, each with its expected SHA-256, below `folder`.

    Other files below `base` become links. Raises Refused naming a file that is not what the
    plan says.
    """
    for path, expected in files.items():
        if _copy(path, mirrored(folder, path)) != expected:
            raise Refused(f"{path} changed since the plan was made; nothing was started")
    for place, _, _ in os.walk(mirrored(folder, base)):
        try:
            children = list(os.scandir(Path("/") / Path(place).relative_to(folder)))
        except PermissionError:
            continue  # Ansible, as the same user, cannot look around there either
        for child in children:
            link = Path(place, child.name)
            if not os.path.lexists(link) and not child.name.endswith(LEFT_BEHIND):
                link.symlink_to(child.path)


def collection(cache: Path, name: str, folder: Path, expected: str) -> Path:
    """The folder to search for this collection: a copy that its content names.

    Raises Refused when the collection is not what the plan says.
    """
    kept = cache / expected
    if not kept.is_dir():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = time.time() - _UNUSED
        for copy in cache.iterdir():
            with contextlib.suppress(OSError):  # another run's draft may have its name by now
                if copy.stat().st_mtime < before:
                    shutil.rmtree(copy, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=".", dir=cache))
        try:
            copy = made / "ansible_collections" / Path(*name.split("."))
            for inside, path in files_below(folder):
                _copy(path, copy / inside)
            if of_collection(copy) != expected:
                raise Refused(f"the collection {name} changed since the plan was made")
            try:
                made.rename(kept)
            except OSError:
                if not kept.is_dir():  # else another run made the same copy meanwhile
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    os.utime(kept)
    return kept


def _copy(source: Path, target: Path) -> str:
    """Copy one file, readable by its owner only; the SHA-256 of what was copied."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    total = hashlib.sha256()
    try:
        with source.open("rb") as file:
            runs = os.fstat(file.fileno()).st_mode & 0o100
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(target, flags, 0o500 if runs else 0o400), "wb") as copy:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
                    copy.write(chunk)
    except FileNotFoundError:
        return ""
    return total.hexdigest()
