"""The plays of a playbook: what each is called, and for which hosts it says that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PARTS = re.compile(r"[,:](?![^\[]*\])")  # not the colon of `web[0:2]`


@dataclass(frozen=True, kw_only=True)
class Play:
    """One play. `patterns` are the parts of its `hosts`, as in `web`, `!web1`, `db*`."""

    file: Path
    name: str  #: as Ansible shows it: its own name, else its hosts
    patterns: tuple[str, ...]  #: an empty one for what is no text
    prompts: tuple[Mapping[str, Any], ...] = ()

    @property
    def place(self) -> str:
        """For the beginning of a sentence."""
        return f"{self.file}: the play {self.name!r}"

    @property
    def unclear(self) -> str:
        """A part of `hosts` that only a run can fill in, or that is no text; empty for none."""
        bad = [part for part in self.patterns if not part or "{{" in part or part.startswith("@")]
        return (bad[0] or "what is no text") if bad else ""


def play_of(file: Path, content: Mapping[str, Any]) -> Play:
    """The play that this item of a playbook is."""
    hosts = content.get("hosts")
    texts = hosts if isinstance(hosts, list) else [hosts]
    parts: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            parts.append("")
        elif "{{" in text or "{%" in text:
            parts.append(text)
        else:
            parts += _PARTS.split(text)
    asked = content.get("vars_prompt")
    prompts = asked if isinstance(asked, list) else [asked] if asked else []
    return Play(
        file=file,
        name=str(content.get("name") or ",".join(map(str, texts))),
        patterns=tuple(part.strip() for part in parts),
        prompts=tuple(p if isinstance(p, Mapping) else {"name": str(p)} for p in prompts),
    )
