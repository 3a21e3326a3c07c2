"""The import rule: entry points → remediate → steps → nouns, and nobody looks sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "runner"

#: What asks, decides, acts or tells: each takes what it needs as arguments.
ACTIVITIES = {
    "admit", "approve", "audit", "decide", "evidence", "execute", "intake", "inventory", "learn",
    "nodes", "notify", "policy", "verify",
}  # fmt: skip
#: Nouns that every activity may use, and what a look at text or time needs.
NOUNS = {
    "bundle", "catalog", "client", "config", "duration", "errors", "firing", "incident",
    "model_call", "names", "pack", "plain", "private", "promql", "record", "shipped", "store",
    "text", "turns", "vault",
}  # fmt: skip
#: Single nouns of an activity that others may hold: data without behaviour.
SHARED = {
    "intake.payload",  # Delivery: what admission reads
    "execute.request",  # RunRequest, RunResult, TaskEvent
    "evidence.mask",  # Mask: what takes secrets out of text, wherever it is written
}
#: Words that say nothing of what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "core", "manager", "service", "base", "misc"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, without `runner.`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "runner":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("runner."):
                found.add(node.module.removeprefix("runner."))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {n.removeprefix("runner.") for n in names if n.startswith("runner.")}
    return found


def part(path: Path) -> str:
    """The first name below the package: `policy` for policy/radius.py, `admit` for admit.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_activities_never_import_one_another(path: Path) -> None:
    own = part(path)
    if own not in ACTIVITIES:
        return
    for name in imports(path) - SHARED:
        first = name.partition(".")[0]
        allowed = first in NOUNS or first in (own, "__version__")
        assert allowed, f"{path.name} imports runner.{name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nouns_import_only_nouns(path: Path) -> None:
    if part(path) not in NOUNS:
        return
    for name in imports(path):
        first = name.partition(".")[0]
        assert first in NOUNS or (first == "engine" and part(path) == "store"), (path, name)


def test_only_two_modules_know_the_engine() -> None:
    """ENGINE rule: a change of the durable engine touches two files."""
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if "import dbos" in path.read_text() or "from dbos" in path.read_text()
    }
    assert knowing == {"engine.py", "remediate.py"}


def test_no_entry_point_is_imported_by_what_it_starts() -> None:
    for path in modules():
        if part(path) not in ("cli", "web", "demo", "__main__"):
            assert not {n for n in imports(path) if n.split(".")[0] in ("cli", "web", "demo")}, path


@pytest.mark.parametrize("outside", ["cases", "ask"])
def test_who_looks_from_outside_is_not_known_inside(outside: str) -> None:
    """What is judged by cases, or asked about, must not know of it: only entry points do."""
    for path in modules():
        if part(path) not in (outside, "cli", "web", "demo"):
            assert not {n for n in imports(path) if n.split(".")[0] == outside}, path


def test_module_names_say_what_is_inside() -> None:
    assert not [path for path in modules() if path.stem in EMPTY_NAMES]
