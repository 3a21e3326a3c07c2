"""The report of a game day: a table of medians, every game as JSON, and a picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from runner import private
from runner.drill import PHASES, Game, medians
from runner.incident_report import to_json

COLORS = {"detect": "#7f8fa6", "decide": "#e1a730", "run": "#3a7ca5", "verify": "#4a9c5d"}
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 18, 10, 200, 560, 48
_FONT = 'font-family="sans-serif" font-size="12"'


def by_drill(games: Sequence[Game]) -> dict[str, list[Game]]:
    """The games of each drill, in the order in which the drills were first played."""
    found: dict[str, list[Game]] = {}
    for game in games:
        found.setdefault(game.drill, []).append(game)
    return found


def summary(games: Sequence[Game]) -> list[dict[str, Any]]:
    """One row per drill: what became of it, which entry answered, the median of each phase."""
    return [
        {
            "drill": drill,
            "games": len(played),
            "results": dict(Counter(game.result for game in played)),
            "entries": sorted({game.entry for game in played if game.entry}),
            "medians": medians(played),
        }
        for drill, played in by_drill(games).items()
    ]


def as_json(games: Sequence[Game]) -> dict[str, Any]:
    """All of the report for a program."""
    return {
        "games": to_json(list(games)),
        "drills": summary(games),
        "results": dict(Counter(game.result for game in games)),
        "medians": medians(games),
    }


def write(games: Sequence[Game], folder: Path) -> tuple[Path, ...]:
    """Write report.json, report.md and report.svg into a folder; their paths."""
    private.make_folder(folder)
    contents = {
        "report.json": json.dumps(as_json(games), indent=2) + "\n",
        "report.md": markdown(games),
        "report.svg": chart(games),
    }
    for name, text in contents.items():
        private.write_whole(folder / name, text.encode())
    return tuple(folder / name for name in contents)


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the summary as texts: drill, results, entry, then the seconds of each phase."""
    results = ", ".join(f"{count} {name}" for name, count in row["results"].items())
    seconds = [row["medians"].get(name) for name in (*PHASES, "total")]
    figures = ["" if value is None else f"{value:.1f}" for value in seconds]
    return [row["drill"], results, ", ".join(row["entries"]) or "none", *figures]


HEADINGS = ("drill", "results", "entry", *PHASES, "total")


def markdown(games: Sequence[Game]) -> str:
    """The table, for a page: medians in seconds."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in summary(games)]
    return "\n".join(lines) + "\n"


def chart(games: Sequence[Game]) -> str:
    """A picture as SVG: a bar per drill, made of the median seconds of each phase."""
    rows = summary(games)
    longest = max((sum(_parts(row)) for row in rows), default=0.0) or 1.0
    height = _TOP + len(rows) * (_BAR + _GAP) + 8
    width = _LEFT + _WIDTH + 70
    legend = []
    for number, (phase, color) in enumerate(COLORS.items()):
        x = _LEFT + number * 90
        legend.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{color}"/>')
        legend.append(f'<text x="{x + 18}" y="24" {_FONT}>{phase}</text>')
    body = ["".join(legend)]
    for number, row in enumerate(rows):
        body.append(_row(row, _TOP + number * (_BAR + _GAP), _WIDTH / longest))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    title = "<title>Median seconds from fault to end, by drill and phase</title>"
    ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, title, ground, *body, "</svg>"]) + "\n"


def _parts(row: dict[str, Any]) -> list[float]:
    return [row["medians"].get(phase, 0.0) for phase in PHASES]


def _row(row: dict[str, Any], y: int, scale: float) -> str:
    text = y + _BAR - 5
    name = escape(row["drill"])
    parts = [f'<text x="{_LEFT - 8}" y="{text}" text-anchor="end" {_FONT}>{name}</text>']
    x = float(_LEFT)
    for phase, seconds in zip(PHASES, _parts(row), strict=True):
        width = seconds * scale
        place = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}"'
        shown = f"<title>{name}, {phase}: {seconds:.1f} s</title>"
        parts.append(f'<rect {place} fill="{COLORS[phase]}">{shown}</rect>')
        x += width
    label = f"{sum(_parts(row)):.1f} s" if row["medians"] else "undetected"
    parts.append(f'<text x="{x + 6:.1f}" y="{text}" {_FONT}>{label}</text>')
    return "".join(parts)
