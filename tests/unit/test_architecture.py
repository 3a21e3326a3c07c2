"""The import rule: entry points → remediate → steps → nouns, and nobody looks sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runner"

#: What asks, decides, acts or tells: each takes what it needs as arguments.
ACTIVITIES = {
    "autonomy", "decide", "evidence", "execute", "intake", "inventory", "nodes", "notify",
    "policy", "verify",
}  # fmt: skip
#: Nouns that every activity may use, and what a look at text or time needs.
NOUNS = {
    "catalog", "child", "client", "config", "errors", "incident", "incident_report", "private",
    "rulebook", "shipped", "store", "text", "vault",
}  # fmt: skip
#: Single nouns of an activity that others may hold: data without behaviour.
SHARED = {
    "autonomy.record",  # trials, and what people set: what the store keeps
    "execute.request",  # RunRequest, RunResult, TaskEvent
    "evidence.mask",  # Mask: what takes secrets out of text, wherever it is written
    "inventory.names",  # the ways in which a host is called: what turns go around
}
#: Words that say nothing of what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "core", "manager", "service", "base", "misc"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, without `runner.`; those of the demo whole."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module.split(".")[0] == "runner":
                found |= {_module(f"{node.module}.{alias.name}") for alias in node.names}
            elif node.module.split(".")[0] == "runner_demo":
                found.add(node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {
                n.removeprefix("runner.") for n in names if n.startswith(("runner.", "runner_demo"))
            }
    return found


def _module(dotted: str) -> str:
    """The module that `from A import B` means: A.B where that is one, else A."""
    own, _, name = dotted.removeprefix("runner.").rpartition(".")
    whole = PACKAGE / f"{own}/{name}".replace(".", "/").lstrip("/")
    return f"{own}.{name}".lstrip(".") if whole.is_dir() or _file(whole).exists() else own or name


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.py")


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
    for name in imports(path) - SHARED:
        assert name.partition(".")[0] in NOUNS, (path, name)


def test_only_two_modules_know_the_engine() -> None:
    """ENGINE rule: a change of the durable engine touches two files."""
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if "import dbos" in path.read_text() or "from dbos" in path.read_text()
    }
    assert knowing == {"engine/__init__.py", "remediate.py"}


def test_no_entry_point_is_imported_by_what_it_starts() -> None:
    for path in modules():
        if part(path) not in ("cli", "web"):
            assert not {n for n in imports(path) if n.split(".")[0] in ("cli", "web")}, path


def test_the_product_does_not_know_the_demo() -> None:
    """It is a package of its own, and its needs are an extra."""
    for path in modules():
        assert not {n for n in imports(path) if n.split(".")[0] == "runner_demo"}, path


@pytest.mark.parametrize("outside", ["cases", "ask"])
def test_who_looks_from_outside_is_not_known_inside(outside: str) -> None:
    """What is judged by cases, or asked about, must not know of it: only entry points do."""
    for path in modules():
        if part(path) not in (outside, "cli", "web"):
            assert not {n for n in imports(path) if n.split(".")[0] == outside}, path


def test_module_names_say_what_is_inside() -> None:
    assert not [path for path in modules() if path.stem in EMPTY_NAMES]
