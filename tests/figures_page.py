"""Figures that stand in a page between two marks: written by a test run, or compared by it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def hold(page: Path, name: str, rows: str) -> None:
    """Compare what stands between the marks of `name`; `RUNNER_TEST_WRITE=1` writes it anew."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    found = re.search(f"{begin}\n(.*?)\n?{end}", text, re.DOTALL)
    assert found, f"{page.name} has lost its marks of {name}"
    if os.environ.get("RUNNER_TEST_WRITE"):
        new = f"{begin}\n\n{rows.strip()}\n\n{end}"
        page.write_text(text.replace(found[0], new), encoding="utf-8")
        return
    assert found[1].strip() == rows.strip(), "RUNNER_TEST_WRITE=1 writes the figures anew"


def row(*cells: object) -> str:
    """A row of a table."""
    return "| " + " | ".join(map(str, cells)) + " |\n"
