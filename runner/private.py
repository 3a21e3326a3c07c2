"""Files and folders that only their owner can read, whatever the umask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from runner.errors import RunnerError

_OTHERS = 0o077  #: what group and everybody else may do


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` so that a crash at any moment leaves the old file or the new one."""
    with _draft(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A text file to write, which takes its name once it is whole.

    Raises RunnerError when it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, a terminal: there is nothing to keep
            with path.open("w", encoding="utf-8") as file:
                yield file
            return
        with _draft(path) as raw, open(raw.fileno(), "w", encoding="utf-8", closefd=False) as file:
            yield file
    except OSError as error:
        raise RunnerError(f"{path}: cannot be written ({error.strerror})") from None


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(draft, "wb", opener=opener) as file:
            yield file
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def opener(path: str | Path, flags: int) -> int:
    """For `open`: a file that is made belongs to its owner alone."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def make_folder(path: Path) -> None:
    """Make the folder, and those above it that are missing, for their owner alone.

    Raises OSError.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def ours_alone(folder: Path) -> bool:
    """Make the folder where it is missing; whether it is one, and nobody else's in any way.

    For places that everybody may write to: whoever was there first may have put a link, or
    may be able to put something inside.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return ours and not found.st_mode & _OTHERS


def tighten(path: Path) -> None:
    """Take group and others away from a file or folder of ours; nothing for one that is missing.

    Raises RunnerError where everybody may read it and it is not ours to change.
    """
    try:
        found = path.stat()
    except OSError:
        return
    if not found.st_mode & _OTHERS:
        return
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError as error:
        if found.st_mode & 0o007:
            raise RunnerError(
                f"{path}: everybody on this machine can read it, and that cannot be changed "
                f"({error.strerror}); chmod o= it as its owner"
            ) from None


def too_open(path: Path) -> bool:
    """Whether somebody else than its owner may read or write it; False for what is missing."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
