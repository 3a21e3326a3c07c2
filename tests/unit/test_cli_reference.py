from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import reference

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["cli", "configuration"])
def test_the_page_is_what_the_program_says(name: str) -> None:
    """Write them again with `make docs`."""
    made = getattr(reference, f"{name}_page")()
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == made


def test_it_writes_both_pages(tmp_path: Path) -> None:
    reference.main(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cli.md", "configuration.md"]
