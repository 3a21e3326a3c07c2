"""What a probe brought back, as evidence: its facts, each for itself, and its logs.

A play reports with `set_stats` under `remediation:`. What stands under `logs` there are lines
of a log, everything else are facts. They are pieces of their own, so that no log is so long
that a fact is lost; and equal lines are one line with a count, errors first, the newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2

from runner.incident import Evidence, Outcome
from runner.incident.part import KINDS, canonical
from runner.text import cut, storable

_TAIL = 60_000  #: characters of a log that are looked at: no more than a mask reads
_LINE = 400  #: characters of a line
_SMALL = 120  #: characters up to which facts share one piece
_ROWS = 30  #: lines of one fact
#: Under which a probe lists the parts of its host. They are keys of limits, and no evidence.
PARTS = "parts"
_MOST_PARTS = 1000  #: of one kind

#: What differs in lines that say the same: when it was, where, and which process said it.
_BEGINS = re2.compile(
    r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)? ?"
    r"(?:[\w.-]+ )?([\w@:./\\-]+)\[\d+\]: "
)
_WHEN = re2.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s\]]*)\]?:? ")
_ERROR = re2.compile(
    r"(?i)\b(?:error|err|fail(?:ed|ure)?|fatal|panic|critical|crit|alert|emerg|exception|traceback"
    r"|denied|refused|timed out|timeout|killed|out of memory|oom|segfault|no space left"
    r"|cannot|could not|unable|exit-code|status=[1-9]\d*)\b"
)


def pieces(
    source: str,
    title: str,
    results: Mapping[str, Any],
    outcome: Outcome | None,
    reason: str,
    *,
    mask: Callable[[str], str],
    at: datetime,
) -> list[Evidence]:
    """The facts first, then the logs; and why there are none, in the run's own words.

    `mask` sees a log as it was written: behind it, a secret of several lines has none left.
    """
    reported = results.get("facts")
    apart = ("facts", "logs", PARTS)
    others = {name: value for name, value in results.items() if name not in apart}
    facts = {**reported, **others} if isinstance(reported, Mapping) else others
    if reported is not None and not isinstance(reported, Mapping):
        facts["facts"] = reported
    # Small facts together, every other for itself; the unit's state leads.
    written = {
        name: _written(name, value) for name, value in facts.items() if value not in ({}, [])
    }
    small = {n: t for n, t in written.items() if "\n" not in t and len(t) <= _SMALL and n != "unit"}
    texts = [("unit", written["unit"])] if "unit" in written else []
    if small:
        texts.append(("facts", "\n".join(f"{name}: {text}" for name, text in small.items())))
    texts += [(n, t) for n, t in written.items() if n not in small and n != "unit"]
    found = [_piece("fact", source, f"{title}: {name}", text, at) for name, text in texts]
    if "logs" in results:
        log = results["logs"]
        text = "\n".join(str(line) for line in log) if isinstance(log, list) else str(log)
        lines = mask(text[-_TAIL:]).splitlines()
        found.append(_piece("log", source, f"{title}: log", distinct(lines) or "(empty)", at))
    if outcome is None or not outcome.completed:
        why = f"the probe ended as {outcome or 'unknown'}: {reason or 'it gave no reason'}"
        found.insert(0, _piece("fact", source, title, f"unknown: {why}", at))
    elif not found:
        why = "the play ended well and reported nothing: `set_stats` under `remediation:` is empty"
        found.append(_piece("fact", source, title, f"unknown: {why}", at))
    return found


def parts(results: Mapping[str, Any]) -> frozenset[str]:
    """The parts of its host that a probe lists under `parts`: a kind to a list of names."""
    given = results.get(PARTS)
    names = given if isinstance(given, Mapping) else {}
    return frozenset(
        part
        for kind in KINDS
        if isinstance(names.get(kind), list)
        for name in names[kind][:_MOST_PARTS]
        if (part := canonical(kind, str(name)))
    )


def failed(source: str, title: str, why: str, *, at: datetime) -> list[Evidence]:
    """A probe that could not be started."""
    return [_piece("fact", source, title, f"unknown: the probe could not run: {why}", at)]


def distinct(lines: Sequence[str]) -> str:
    """Each line once, with how often it stands there: the newest error first, the rest behind.

    Lines are equal that differ only in their time, host and process. The newest of them is shown.
    """
    # The last lines, each of a bounded length, as many as are looked at.
    kept, left = [], _TAIL
    for line in reversed(lines):
        left -= min(len(line), _LINE) + 1
        if left < 0:
            break
        kept.append(cut(storable(line[: 4 * _LINE]).strip(), _LINE))
    seen: dict[str, _Said] = {}
    for line in reversed(kept):
        said = _said(line)
        if said.text:
            before = seen.pop(said.text, None)
            seen[said.text] = said.after(before)
    newest_first = list(seen.values())[::-1]
    errors = [said for said in newest_first if _ERROR.search(said.text)]
    others = [said for said in newest_first if not _ERROR.search(said.text)]
    return "\n".join(str(said) for said in (*errors, *others))


@dataclass(frozen=True)
class _Said:
    """One line without what differs each time, and when it was said last."""

    text: str
    when: str = ""
    count: int = 1

    def after(self, before: _Said | None) -> _Said:
        return self if before is None else _Said(self.text, self.when, before.count + 1)

    def __str__(self) -> str:
        often = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.when} {self.text}{often}".strip()


def _said(line: str) -> _Said:
    if match := _BEGINS.search(line):
        return _Said(f"{match[2]}: {line[match.end() :]}".strip(), match[1] or "")
    if match := _WHEN.search(line):
        return _Said(line[match.end() :].strip(), match[1])
    return _Said(line)


def _written(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_word(each)}" for key, each in value.items())
    if isinstance(value, list):
        rows = sorted(value, key=_fullness) if name == "file_systems" else value
        lines = [_row(row) for row in rows[:_ROWS]]
        more = [f"and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []
        return "\n".join([*lines, *more])
    return _word(value)


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_word(each)}" for key, each in value.items()) + "}"
    return cut(str(value), _LINE)


def _row(row: Any) -> str:
    if not isinstance(row, Mapping):
        return _word(row)
    if (used := _used(row, "size_total", "size_available")) is None or "mount" not in row:
        return _written("", row)
    inodes = _used(row, "inode_total", "inode_available")
    text = f"{row['mount']} ({row.get('fstype', '?')} on {row.get('device', '?')}): {used:.1%} used"
    text += f", {row['size_available'] / 2**20:.0f} MiB free"
    return cut(text + (f", {inodes:.0%} of inodes used" if inodes is not None else ""), _LINE)


def _fullness(row: Any) -> float:
    """Fullest first; what cannot be said last."""
    used = _used(row, "size_total", "size_available") if isinstance(row, Mapping) else None
    return -used if used is not None else 1.0


def _used(row: Mapping[str, Any], total: str, free: str) -> float | None:
    whole, left = row.get(total), row.get(free)
    if not isinstance(whole, int | float) or not isinstance(left, int | float) or whole <= 0:
        return None
    return 1 - left / whole


def _piece(kind: str, source: str, title: str, text: str, at: datetime) -> Evidence:
    return Evidence(number=0, kind=kind, source=source, title=title, text=text, at=at)
