"""Every key of runner.yml does something: a key that is only parsed is a promise that is not kept.

A key counts as used where code outside of the configuration reads an attribute of its name in a
module that has its section in hand: by the section's class, or by the key that holds it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runner import config
from runner.config import Config, Section
from runner.config.problems import section_in

PACKAGE = Path(config.__file__).parents[1]


def sections() -> dict[type[Section], set[str]]:
    """Each class of sections → the keys that hold one, and its name."""
    found: dict[type[Section], set[str]] = {Config: {"config"}}
    waiting: list[type[Section]] = [Config]
    while waiting:
        for name, field in waiting.pop().model_fields.items():
            below = section_in(field.annotation)
            if below is None:
                continue
            if below not in found:
                waiting.append(below)
            for each in (one for one in below.__mro__ if issubclass(one, Section)):
                if each is not Section:
                    found.setdefault(each, {each.__name__}).update({name, below.__name__})
    return found


def defined() -> Iterator[tuple[type[Section], str]]:
    """(class, field) of every key, once, where it is written down."""
    for section in sections():
        for name in section.model_fields:
            if name in section.__annotations__ and name != "root":
                yield section, name


@cache
def modules() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """(names that it mentions, attributes that it reads) of each module of the product."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if "config" in path.relative_to(PACKAGE).parts[:1] or "demo" in path.parts:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        # `getattr(endpoint, name) for name in ("ca_file", …)` reads them as well.
        texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        found.append((frozenset(names | read), frozenset(read | texts)))
    return tuple(found)


def doors(section: type[Section], field: str) -> set[str]:
    """The field, and the methods and properties of its section that read it for others."""
    found = {field}
    while True:
        more = {name for name, reads in methods(section).items() if reads & found} - found
        if not more:
            return found
        found |= more


@cache
def methods(section: type[Section]) -> dict[str, frozenset[str]]:
    """Method or property → what it reads of itself; checks at the start are left out."""
    found: dict[str, frozenset[str]] = {}
    for path in (PACKAGE / "config").glob("*.py"):
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(one, ast.ClassDef) and one.name == section.__name__:
                for each in one.body:
                    if isinstance(each, ast.FunctionDef) and not _validates(each):
                        nodes = ast.walk(each)
                        found[each.name] = frozenset(
                            node.attr for node in nodes if isinstance(node, ast.Attribute)
                        )
    return found


def _validates(function: ast.FunctionDef) -> bool:
    return any("validator" in ast.unparse(each) for each in function.decorator_list)


@pytest.mark.parametrize(
    ("section", "field"),
    [pytest.param(*each, id=f"{each[0].__name__}.{each[1]}") for each in defined()],
)
def test_every_key_is_used(section: type[Section], field: str) -> None:
    names, wanted = sections()[section], doors(section, field)
    assert any(names & mentioned and wanted & read for mentioned, read in modules())


def test_a_key_that_nobody_reads_would_be_found() -> None:
    names = sections()[config.Retention]
    for unread in ("incidents_of_old", "instance_label"):
        assert not any(names & mentioned and unread in read for mentioned, read in modules())
