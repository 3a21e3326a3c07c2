"""A task's diff as text, and the hash of a whole run's diff.

Modules report before and after as text, as a mapping, or as prepared text. All
of it becomes unified diff lines, in an order that does not depend on which host
answered first.

Hosts write these texts. Lines are cut before anything looks at them, patterns are RE2's,
and long texts are compared by the lines that occur once: the time is linear in the text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from runner.text import storable

_TITLE = re2.compile(r"# \S+ (?:→ [^·]+ )?· ")  #: as `rehearsal` writes it
_PATH = re2.compile(r"(?m)^(?:---|\+\+\+) (?:before: |after: )?(/\S+)")
_LISTED = re2.compile(r"(?m)^[-+][ \t]*(/.+)$")  # a play that lists files, one a line

MAX_SIDE = 1_000_000  # characters that are compared line by line
MAX_LINE = 2_000  # characters of one line; what is cut off is told by its hash
#: Pairs of lines up to which every line is compared with every other; above it, only between
#: lines that occur once on each side.
MAX_PAIRS = 250_000
_CONTEXT = 3  # lines around a change


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
            made = rf"{re2.escape(self.private)}/tmp/ansible-local-\w+(?:/[\w.-]+)?"
            text = re2.sub(made, "<temporary>", text).replace(self.private, "<private>")
        return text


NOTHING = Own()


def unified(reported: Any) -> str:
    """What one module reported as `diff`, as unified diff text."""
    texts = []
    for part in reported if isinstance(reported, list) else [reported]:
        if not isinstance(part, dict):
            texts.append("\n".join(_lines(str(part))))
        elif part.get("prepared"):
            texts.append("\n".join(_lines(str(part["prepared"]).rstrip("\n"))))
        else:
            binary = [key for key in ("src_binary", "dst_binary") if part.get(key)]
            larger = [key for key in ("src_larger", "dst_larger") if part.get(key)]
            texts += [f"({key}: {part[key]})" for key in binary]
            texts += [f"({key}: above {part[key]} bytes)" for key in larger]
            if "before" in part or "after" in part:
                texts.append(_compared(part))
    return storable("\n".join(filter(None, texts)))


def hash_of(text: str) -> str:
    """SHA-256 over `text`; empty for no text."""
    if not text:
        return ""
    text = storable(text)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def bounded(text: str, most: int) -> str:
    """`text`, or its beginning with the hash of all: a change behind the cut is still seen."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n[cut: the whole diff has sha256 {hash_of(text)}]"


#: Beginnings of lines that stand for what a diff leaves out.
_LEFT_OUT = re2.compile(
    r"(?m)^(?:\[cut: |\[\d+ more items|\((?:src|dst)_(?:binary|larger): "
    r"|\([^\n]*: too large to show;)| \[cut: \d+ characters in this line, sha256 "
)


def is_whole(text: str) -> bool:
    """Whether `text` shows all that a module reported: there is some, and nothing is left out."""
    return bool(text) and not _LEFT_OUT.search(text)


def differing(before: str, now: str) -> list[str]:
    """Where two diffs of a whole run differ: `web1 · mark : Write the text (/etc/motd)`, sorted."""
    left, right = _sections(before), _sections(now)
    found = []
    for title in {*left, *right}:
        old, new = left.get(title, ""), right.get(title, "")
        if hash_of(old) != hash_of(new):
            # The files that the diff is of; where it only lists files, those that are not in both.
            headed = set(_PATH.findall(new or old))
            paths = sorted(headed or set(_LISTED.findall(old)) ^ set(_LISTED.findall(new)))
            where = f" ({', '.join(paths[:3])})" if paths else ""
            found.append(f"{title or 'the diff'}{where}")
    return sorted(found)


def _sections(text: str) -> dict[str, str]:
    """Title → diff, as `rehearsal.diff_of` joins them."""
    found: dict[str, str] = {}
    title = ""
    for line in text.splitlines():
        if _TITLE.match(line):
            title = line[2:]
        found[title] = f"{found.get(title, '')}{line}\n"
    return found


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
    left, right = _lines(before), _lines(after)
    if len(left) * len(right) <= MAX_PAIRS:
        return "\n".join(difflib.unified_diff(left, right, names[0], names[1], lineterm=""))
    lines = [f"--- {names[0]}", f"+++ {names[1]}"]
    for group in _Anchored(left, right).get_grouped_opcodes(_CONTEXT):
        (_, i, _, j, _), (_, _, i_end, _, j_end) = group[0], group[-1]
        lines.append(f"@@ -{_range(i, i_end)} +{_range(j, j_end)} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [f" {line}" for line in left[i1:i2]]
            else:
                lines += [f"-{line}" for line in left[i1:i2]]
                lines += [f"+{line}" for line in right[j1:j2]]
    return "\n".join(lines)


def _lines(text: str) -> list[str]:
    """The lines of `text`, each of a bounded length."""
    found = []
    for line in text.splitlines():
        if len(line) > MAX_LINE:
            digest = hashlib.sha256(line.encode(errors="replace")).hexdigest()
            cut = f" [cut: {len(line)} characters in this line, sha256 {digest}]"
            found.append(line[:MAX_LINE] + cut)
        else:
            found.append(line)
    return found


def _range(start: int, stop: int) -> str:
    """Lines as a unified diff counts them."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


class _Anchored(difflib.SequenceMatcher[str]):
    """Compares by the lines that occur once on each side, and only between two of them by all.

    SequenceMatcher itself takes quadratic time, and more, for lines that an attacker chooses.
    """

    def __init__(self, left: Sequence[str], right: Sequence[str]) -> None:
        super().__init__(None, "", "", autojunk=False)
        self.a, self.b = left, right

    def get_matching_blocks(self) -> list[difflib.Match]:
        blocks: list[tuple[int, int, int]] = []
        i = j = 0
        ends = (len(self.a), len(self.b))
        for next_i, next_j in [*_anchors(self.a, self.b), ends]:
            if 0 < (next_i - i) * (next_j - j) <= MAX_PAIRS:
                matcher = difflib.SequenceMatcher(None, self.a[i:next_i], self.b[j:next_j])
                found = matcher.get_matching_blocks()[:-1]
                blocks += [(i + a, j + b, size) for a, b, size in found]
            if (next_i, next_j) != ends:
                blocks.append((next_i, next_j, 1))
            i, j = next_i + 1, next_j + 1
        joined: list[difflib.Match] = []  # what follows one another on both sides is one block
        for a, b, size in blocks:
            last = joined[-1] if joined else difflib.Match(-1, -1, 0)
            if (last.a + last.size, last.b + last.size) == (a, b):
                joined[-1] = difflib.Match(last.a, last.b, last.size + size)
            else:
                joined.append(difflib.Match(a, b, size))
        return [*joined, difflib.Match(*ends, 0)]


def _anchors(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the lines that occur once on each side, in the longest order both sides share."""
    counts, places = Counter(left), {line: place for place, line in enumerate(right)}
    once = {line for line, count in Counter(right).items() if count == 1 == counts.get(line)}
    pairs = [(i, places[line]) for i, line in enumerate(left) if line in once]
    ends: list[int] = []  # the smallest place on the right that ends an order of each length
    chosen: list[int] = []  # of each length, the pair that ends it
    before: list[int] = []  # of each pair, the one before it
    for number, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        if length == len(ends):
            ends.append(j)
            chosen.append(number)
        ends[length], chosen[length] = j, number
        before.append(chosen[length - 1] if length else -1)
    found = []
    number = chosen[-1] if chosen else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _side(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, sort_keys=True, default=str)
