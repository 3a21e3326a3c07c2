"""Words that must not come back in what people read: tests/old_words.py has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.old_words import INSTEAD

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "runner.example.yml")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "runner").rglob("templates/*")),
]
MODULES = [
    path
    for package in ("runner", "runner_demo")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
]
#: The older names themselves, where they are still accepted, and what reads texts of others.
KNOWS_OLDER = {
    "runner/catalog/entry.py",
    "runner/catalog/lint.py",
    "runner/cli/__init__.py",
    "runner/cli/check.py",
    "runner/config/policy.py",
    "runner/config/reading.py",
    "runner/decide/injection.py",
}
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def old_words(text: str) -> list[str]:
    """`the word: what is said instead`, for each old word in a text."""
    plain = " ".join(_CODE.sub(" ", text).split())
    return [
        f"{found[0]!r}: say {new!r}"
        for old, new in INSTEAD.items()
        for found in re.finditer(rf"(?i)(?<![\w-])(?:{old})(?![\w-])", plain)
    ]


def messages(path: Path) -> Iterator[str]:
    """Every text of two words or more in a module, its docstrings left out except those of
    commands, which are their help."""
    tree = ast.parse(path.read_text())
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            command = isinstance(node, ast.FunctionDef) and bool(node.decorator_list)
            if isinstance(first, ast.Expr) and not (command and "cli" in path.parts):
                hidden.add(id(first.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in hidden and " " in node.value.strip():
                yield node.value


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_page_says_an_old_word(path: Path) -> None:
    assert not old_words(path.read_text())


@pytest.mark.parametrize("path", [p for p in MODULES if name(p) not in KNOWS_OLDER], ids=name)
def test_no_message_says_an_old_word(path: Path) -> None:
    found = [f"{text!r}: {old}" for text in messages(path) for old in old_words(text)]
    assert not found


def test_an_old_word_is_found_whole_and_with_its_replacement() -> None:
    assert old_words("It was Rehearsed,\n  told\n  by stdin") == [
        "'Rehearsed': say 'dry run'",
        "'told by': say 'received from'",
    ]
    assert not old_words("the key `rehearsal:` is older, and recommended")
