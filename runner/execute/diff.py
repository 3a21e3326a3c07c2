"""A task's diff as text, and the hash of a whole run's diff.

Modules report before and after as text, as a mapping, or as prepared text. All
of it becomes unified diff lines, in an order that does not depend on which host
answered first.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TITLE = re.compile(r"# \S+ · ")
_PATH = re.compile(r"^(?:---|\+\+\+) (?:before: |after: )?(/\S+)", re.MULTILINE)
_LISTED = re.compile(r"^[-+]\s*(/.+)$", re.MULTILINE)  # a play that lists files, one a line

MAX_SIDE = 1_000_000  # characters that are compared line by line


@dataclass(frozen=True)
class Own:
    """What the runner itself makes up for each run, by its known name: nothing else is random.

    `private` is the run's folder of temporary files, `copy` holds the files that it reads, each
    at its own path.
    """

    private: str = ""
    copy: str = ""

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Own:
        """Of a run as its intent describes it."""
        return cls(private=run["private"], copy=run.get("snapshot") or "")

    def leave_out(self, text: str) -> str:
        """`text` as if every run had the same folders, and read the project itself."""
        if self.copy:
            text = text.replace(self.copy, "")
        if self.private and self.private in text:
            made = rf"{re.escape(self.private)}/tmp/ansible-local-\w+(?:/[\w.-]+)?"
            text = re.sub(made, "<temporary>", text).replace(self.private, "<private>")
        return text


NOTHING = Own()


def unified(reported: Any) -> str:
    """What one module reported as `diff`, as unified diff text."""
    parts = reported if isinstance(reported, list) else [reported]
    return "\n".join(filter(None, (_part(part) for part in parts)))


def hash_of(text: str) -> str:
    """SHA-256 over `text`; empty for no text."""
    if not text:
        return ""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def bounded(text: str, most: int) -> str:
    """`text`, or its beginning with the hash of all: a change behind the cut is still seen."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n[cut: the whole diff has sha256 {hash_of(text)}]"


#: Beginnings of lines that stand for what a diff leaves out.
_LEFT_OUT = re.compile(
    r"^(?:\[cut: |\[\d+ more items|\((?:src|dst)_(?:binary|larger): |\([^\n]*: too large to show;)",
    re.MULTILINE,
)


def is_whole(text: str) -> bool:
    """Whether `text` shows all that a module reported: there is some, and nothing is left out."""
    return bool(text) and not _LEFT_OUT.search(text)


def differing(before: str, now: str) -> list[str]:
    """Where two diffs of a whole run differ: `web1 · mark : Write the text (/etc/motd)`, sorted."""
    left, right = _sections(before), _sections(now)
    names = {
        name
        for name in {*left, *right}
        if hash_of(left.get(name, "")) != hash_of(right.get(name, ""))
    }
    return sorted(_named(name, left.get(name, ""), right.get(name, "")) for name in names)


def _sections(text: str) -> dict[str, str]:
    """Title → diff, as `rehearsal.diff_of` joins them."""
    found: dict[str, str] = {}
    title = ""
    for line in text.splitlines():
        if _TITLE.match(line):
            title = line[2:]
        found[title] = f"{found.get(title, '')}{line}\n"
    return found


def _named(title: str, before: str, now: str) -> str:
    paths = _paths(before, now)
    where = f" ({', '.join(paths[:3])})" if paths else ""
    return f"{title or 'the diff'}{where}"


def _paths(before: str, now: str) -> list[str]:
    """The files that the diff is of; where it only lists files, those that are not in both."""
    headed = set(_PATH.findall(now or before))
    return sorted(headed or set(_LISTED.findall(before)) ^ set(_LISTED.findall(now)))


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    if part.get("prepared"):
        return str(part["prepared"]).rstrip("\n")
    lines = [f"({key}: {part[key]})" for key in ("src_binary", "dst_binary") if part.get(key)]
    lines += [f"({key}: above {part[key]} bytes)" for key in _LARGER if part.get(key)]
    if "before" in part or "after" in part:
        lines.append(_compared(part))
    return "\n".join(filter(None, lines))


_LARGER = ("src_larger", "dst_larger")


def _compared(part: dict[str, Any]) -> str:
    before, after = _side(part.get("before")), _side(part.get("after"))
    if before == after:
        return ""
    names = [str(part.get(f"{side}_header") or side) for side in ("before", "after")]
    if len(before) + len(after) > MAX_SIDE:
        digests = [
            hashlib.sha256(text.encode(errors="replace")).hexdigest() for text in (before, after)
        ]
        return f"({names[0]}: too large to show; sha256 {digests[0]} becomes {digests[1]})"
    left, right = before.splitlines(), after.splitlines()
    return "\n".join(difflib.unified_diff(left, right, names[0], names[1], lineterm=""))


def _side(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, sort_keys=True, default=str)
