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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from runner.text import storable

_TITLE = re2.compile(r"# \S+ · ")
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
    parts = reported if isinstance(reported, list) else [reported]
    return storable("\n".join(filter(None, (_part(part) for part in parts))))


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
    # The files that the diff is of; where it only lists files, those that are not in both.
    headed = set(_PATH.findall(now or before))
    paths = sorted(headed or set(_LISTED.findall(before)) ^ set(_LISTED.findall(now)))
    where = f" ({', '.join(paths[:3])})" if paths else ""
    return f"{title or 'the diff'}{where}"


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return "\n".join(_lines(str(part)))
    if part.get("prepared"):
        return "\n".join(_lines(str(part["prepared"]).rstrip("\n")))
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
    return "\n".join(_changes(_lines(before), _lines(after), names))


def _lines(text: str) -> list[str]:
    """The lines of `text`, each of a bounded length."""
    return [line if len(line) <= MAX_LINE else _cut_line(line) for line in text.splitlines()]


def _cut_line(line: str) -> str:
    digest = hashlib.sha256(line.encode(errors="replace")).hexdigest()
    return f"{line[:MAX_LINE]} [cut: {len(line)} characters in this line, sha256 {digest}]"


def _changes(left: list[str], right: list[str], names: list[str]) -> Iterator[str]:
    """Unified diff lines."""
    if len(left) * len(right) <= MAX_PAIRS:
        yield from difflib.unified_diff(left, right, names[0], names[1], lineterm="")
        return
    yield from (f"--- {names[0]}", f"+++ {names[1]}")
    for group in _Anchored(left, right).get_grouped_opcodes(_CONTEXT):
        yield f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (f" {line}" for line in left[i1:i2])
                continue
            yield from (f"-{line}" for line in left[i1:i2])
            yield from (f"+{line}" for line in right[j1:j2])


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
        blocks: list[difflib.Match] = []
        i = j = 0
        ends = (len(self.a), len(self.b))
        for next_i, next_j in [*_anchors(self.a, self.b), ends]:
            blocks += self._between(i, next_i, j, next_j)
            if (next_i, next_j) != ends:
                blocks.append(difflib.Match(next_i, next_j, 1))
            i, j = next_i + 1, next_j + 1
        return [*_joined(blocks), difflib.Match(*ends, 0)]

    def _between(self, i: int, i_end: int, j: int, j_end: int) -> Iterator[difflib.Match]:
        if 0 < (i_end - i) * (j_end - j) <= MAX_PAIRS:
            matcher = difflib.SequenceMatcher(None, self.a[i:i_end], self.b[j:j_end])
            for block in matcher.get_matching_blocks()[:-1]:
                yield difflib.Match(i + block.a, j + block.b, block.size)


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


def _joined(blocks: Sequence[difflib.Match]) -> Iterator[difflib.Match]:
    """Blocks that follow one another on both sides as one."""
    held: difflib.Match | None = None
    for block in blocks:
        if held and (held.a + held.size, held.b + held.size) == (block.a, block.b):
            held = difflib.Match(held.a, held.b, held.size + block.size)
            continue
        if held:
            yield held
        held = block
    if held:
        yield held


def _side(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, sort_keys=True, default=str)
