"""One thing that lint has to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """`text` is a predicate of `place`: «has no heading Impact»."""

    place: Path
    text: str
    note: bool = False  #: worth knowing, but nothing that has to be changed
    refused: bool = False  #: nothing is ever started while it stands

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"
