"""How answers look: tables and colours on a terminal, plain aligned text in a pipe, or JSON.

Every text passes `visible`: a label cannot move the cursor (invariant 5).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import click

from runner.incident_report import to_json
from runner.text import brief, visible

if TYPE_CHECKING:
    from rich.console import Console

#: Words that have a colour of their own wherever they stand alone in a cell or lead a line.
STYLES = {
    "fixed": "green",
    "resolved": "green",
    "ok": "green",
    "changed": "green",
    "auto": "green",
    "waiting": "bold yellow",
    "held": "yellow",
    "waits": "yellow",
    "approve": "yellow",
    "warn": "yellow",
    "unknown": "yellow",
    "escalated": "bold red",
    "not_fixed": "red",
    "failed": "red",
    "error": "red",
    "denied": "red",
    "expired": "red",
    "cancelled": "red",
    "suppressed": "dim",
    "observed": "dim",
    "dry_run": "cyan",
}
_DIFF = {"+": "green", "-": "red", "@": "cyan", "#": "bold"}


class Screen:
    """Standard output."""

    def __init__(
        self, *, color: bool = True, stream: IO[str] | None = None, terminal: bool | None = None
    ) -> None:
        self._stream = stream
        self._color = color
        self.terminal = self.stream.isatty() if terminal is None else terminal

    @property
    def stream(self) -> IO[str]:
        """Looked up at each use, because tests put another one in place."""
        return self._stream or sys.stdout

    @cached_property
    def console(self) -> Console:
        """The terminal; only asked for when there is one."""
        from rich.console import Console

        return Console(
            file=self.stream, no_color=not self._color, highlight=False, force_terminal=True
        )

    def json(self, value: Any) -> None:
        """Any noun as JSON, its outside text escaped by JSON itself."""
        click.echo(json.dumps(to_json(value), indent=2), file=self.stream)

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        self.write(visible(text), style)

    def block(self, text: str, indent: str = "  ", limit: int | None = None) -> None:
        """Lines as they are, indented; of more than `limit` the rest is only counted."""
        lines = visible(text, lines=True).expandtabs(4).splitlines()
        for line in lines[:limit]:
            self.write(indent + line)
        self._rest(lines, indent, limit)

    def diff(self, text: str, indent: str = "  ", limit: int | None = None) -> None:
        """A diff, coloured on a terminal."""
        lines = visible(text, lines=True).expandtabs(4).splitlines()
        for line in lines[:limit]:
            self.write(indent + line, _DIFF.get(line[:1], ""))
        self._rest(lines, indent, limit)

    def _rest(self, lines: Sequence[str], indent: str, limit: int | None) -> None:
        if limit is not None and len(lines) > limit:
            self.write(f"{indent}… and {len(lines) - limit} more lines", "dim")

    def heading(self, text: str) -> None:
        """The name of a part, with an empty line before it."""
        self.write("")
        self.line(text, "bold")

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, aligned; those without a value are left out."""
        given = [(name, value) for name, value in pairs if value]
        width = max((len(name) for name, _ in given), default=0)
        for name, value in given:
            self.line(f"  {name:<{width}}  {value}")

    def write(self, text: str, style: str = "") -> None:
        """A line that is harmless already."""
        if not self.terminal:
            click.echo(text, file=self.stream)
            return
        from rich.text import Text

        self.console.print(Text(text, style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under headings; the last column takes what room is left."""
        # In a pipe a cell is a line too: grep and cut work on lines.
        limit = 400 if self.terminal else 4000
        cells = [[brief(str(cell), limit) if cell else "" for cell in row] for row in rows]
        if not self.terminal:
            lines = [[name.upper() for name in columns], *cells]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                padded = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
                click.echo("  ".join(padded).rstrip(), file=self.stream)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for number, name in enumerate(columns):
            widest = max(map(len, [name, *(row[number] for row in cells)]))
            least = min(widest, 24) if number < len(columns) - 1 else None
            table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=least)
        for row in cells:
            table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        self.console.print(table)
