"""What is mounted on this host.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo."""

    number: str  #: as in /proc/PID/fdinfo
    device: str  #: MAJOR:MINOR
    path: str
    options: frozenset[str]  #: of this mount
    kind: str  #: of the file system, such as ext4
    source: str
    super_options: frozenset[str]  #: of the file system, in whatever place it is mounted


def mounted(mountinfo: str = "/proc/self/mountinfo") -> list[Mount]:
    """In the order in which they were mounted: of one path the last one counts."""
    with open(mountinfo, "rb") as lines:
        return [_parsed(line.split()) for line in lines]


def _parsed(words: list[bytes]) -> Mount:
    end = words.index(b"-")  # after optional fields
    return Mount(
        number=_text(words[0]),
        device=_text(words[2]),
        path=_text(words[4]),
        options=frozenset(_text(words[5]).split(",")),
        kind=_text(words[end + 1]),
        source=_text(words[end + 2]),
        super_options=frozenset(_text(words[end + 3]).split(",")),
    )


def _text(word: bytes) -> str:
    """Blanks, line ends and backslashes in names are written as octal numbers."""
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), word))
