"""The picture of a simulated year: a line a record, a dot a bad run. For light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from runner.incident import Level

WIDTH, LEFT, RIGHT, TOP = 860, 84, 20, 26
STEP, GAP = 16, 50  #: between two levels, and between two records
#: Title, (day, rank) whenever it was looked at, days of bad runs.
Row = tuple[str, Sequence[tuple[float, int]], Sequence[float]]

_STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.level { font-size: 10px; fill: #59636e; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line { fill: none; stroke: #0969da; stroke-width: 2; stroke-linejoin: round; }
.bad { fill: #d1242f; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .level { fill: #9198a1; } .grid { stroke: #3d444d; }
  .line { stroke: #4493f8; } .bad { fill: #f85149; }
}"""


def draw(rows: Sequence[Row], days: int) -> str:
    """The whole SVG."""
    height = TOP + len(rows) * (3 * STEP + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>What six records have earned in a simulated year</title>",
        f"<style>{_STYLE}</style>",
    ]
    for number, row in enumerate(rows):
        parts += _record(row, TOP + number * (3 * STEP + GAP), days)
    return "\n".join([*parts, "</svg>", ""])


def _record(row: Row, top: int, days: int) -> list[str]:
    title, levels, bad = row
    parts = [f'<text x="{LEFT}" y="{top - 8}">{escape(title)}</text>']
    for level in Level:
        y = _y(top, level.rank)
        parts.append(
            f'<text class="level" x="{LEFT - 8}" y="{y + 3}" text-anchor="end">{level}</text>'
        )
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
    parts.append(f'<path class="line" d="{_line(levels, top, days)}"/>')
    below = _y(top, 0) + 8
    parts += [f'<circle class="bad" cx="{_x(day, days)}" cy="{below}" r="2"/>' for day in bad]
    return parts


def _line(levels: Sequence[tuple[float, int]], top: int, days: int) -> str:
    """A step where the level changed."""
    path, before = f"M{LEFT} {_y(top, levels[0][1] if levels else 0)}", None
    for day, rank in levels:
        if rank != before:
            path += f"H{_x(day, days)}V{_y(top, rank)}"
            before = rank
    return path + f"H{WIDTH - RIGHT}"


def _x(day: float, days: int) -> str:
    return f"{LEFT + (WIDTH - LEFT - RIGHT) * day / days:.1f}"


def _y(top: int, rank: int) -> int:
    return top + (3 - rank) * STEP
