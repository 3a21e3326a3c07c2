"""Whether a console block of a page shows what a terminal shows.

`…` on the page stands for any text within a line, and alone in a line for any lines. What
differs from run to run is replaced on both sides; everything else must be the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

#: What differs each time it is run, and what stands for it.
_VARIES = {
    r"\b[0-9a-f]{64}\b": "HASH",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC": "MOMENT",
    r"\bpid \d+, uptime [\d:]+": "PID, UPTIME",
    r"\b\d\d:\d\d:\d\d\b": "TIME",
    # Not how long a check was held, which the entry says.
    r"(?<!for )\b(?:\d+\.\d|\d+)s\b|(?<!for )\b\d+[mhd](?:\d+[smh])?\b": "SPAN",
    r"/\S+/ops/": "/HOME/ops/",
    r"ansible-core [\d.]+": "ansible-core VERSION",
    r"^\d+ transitions": "N transitions",
    r"(?<=\S) {2,}": "  ",  # columns are as wide as what is in them
}
_ANY = "…"
_MOVE = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)")


def commands(block: str) -> Iterator[tuple[str, str]]:
    """(command, what is printed below it) of each command of a console block."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def difference(page: str, terminal: str) -> str:
    """The lines in which the two differ, `-` those of the page; empty when none does."""
    expected, found = _lines(page), _lines(terminal)
    pattern = "".join(_pattern(line) for line in expected)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(line for line in difflib.ndiff(expected, found) if line[0] in "-+")


def _lines(text: str) -> list[str]:
    return [_steady(line.rstrip()) for line in text.strip("\n").splitlines()]


def _steady(line: str) -> str:
    for varies, name in _VARIES.items():
        line = re.sub(varies, name, line)
    return line


def _pattern(line: str) -> str:
    if line == _ANY:
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.split(_ANY))) + r"\n"


def displayed(output: str) -> str:
    """What stands on the screen in the end: a status line that was drawn over is gone."""
    lines, row, column = [""], 0, 0
    for move, text in _MOVE.findall(output):
        if text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif move == "\r":
            column = 0
        elif move == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif move.endswith("K"):
            lines[row] = ""
        elif move.endswith("A"):
            row = max(0, row - int(move[2:-1] or 1))
    return "\n".join(lines)
