"""Lookups whose answer no plan hash can cover: of a program, a server, chance, or a collection.

The code of a lookup of a collection is in the hash; what it brings back is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.catalog import document
from runner.catalog.task import tasks_in

#: Lookups of ansible-core that only rearrange what they are given, or read variables and files:
#: these are covered by themselves, as the run may read nothing that the plan does not name.
PURE = frozenset(
    """
    config csvfile dict env file fileglob first_found indexed_items ini items list nested sequence
    subelements template together unvault varnames vars
    """.split()
)
#: Stands for a lookup whose name is no literal.
COMPUTED = "with a computed name"
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")
_YAML = (".yml", ".yaml", ".json")
_SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers")
#: With its name, if that is a literal; within a quoted text of YAML quotes are written twice.
_CALL = re.compile(
    r"""(?<![\w.'"])(?:lookup|query|q)\s*\(\s*(?:(\\?"|''?)(?P<name>[\w.]+)\1\s*(?=[,)]))?"""
)


def uncovered(path: Path, content: bytes) -> frozenset[str]:
    """The lookups in a file of these bytes that are none of PURE, by their names.

    Python is not looked at: it is no template, and code of plugins.
    """
    if path.suffix == ".py":
        return frozenset()
    text = content.decode(errors="replace")
    names = {found["name"] or COMPUTED for part in _expressions(text) for found in _calls(part)}
    if path.suffix in _YAML or text.startswith("#jinja2:"):  # `when` and the like have no braces
        # With a space before the bracket it may be prose: `the query (once)`.
        names |= {
            found["name"] or COMPUTED
            for found in _calls(text)
            if found["name"] or found[0].startswith(("lookup(", "query("))
        }
    if path.suffix in _YAML and "with_" in text:
        names |= set(_loops(path))
    return frozenset(map(_short, names)) - PURE


def _calls(text: str) -> Iterator[re.Match[str]]:
    return _CALL.finditer(text)


def _expressions(text: str) -> Iterator[str]:
    """What stands in `{{ … }}` and `{% … %}`."""
    for part in re.split(r"\{\{|\{%", text)[1:]:
        yield re.split(r"\}\}|%\}", part, maxsplit=1)[0]


def _loops(path: Path) -> Iterator[str]:
    """The lookups of `with_…` loops of a playbook or a file of tasks."""
    try:
        content = document.read(path, ansible=True)
    except ValueError:
        return  # whoever reads the tasks says so
    for task in _tasks(content):
        for key in map(str, task.keywords):
            if key.startswith("with_"):
                yield key.removeprefix("with_")


def _tasks(content: Any) -> Iterator[Any]:
    yield from tasks_in(content)
    for play in content if isinstance(content, list) else ():
        for section in _SECTIONS:
            if isinstance(play, dict):
                yield from tasks_in(play.get(section))


def _short(name: str) -> str:
    for prefix in _BUILTIN:
        name = name.removeprefix(prefix)
    return name
