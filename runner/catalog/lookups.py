"""Lookups whose answer no plan hash can cover: of a program, a server, chance, or a collection.

The code of a lookup of a collection is in the hash; what it brings back is not.
"""

from __future__ import annotations

import re
from pathlib import Path

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
    names = set()
    for part in re.split(r"\{\{|\{%", text)[1:]:
        expression = re.split(r"\}\}|%\}", part, maxsplit=1)[0]
        names |= {found["name"] or COMPUTED for found in _CALL.finditer(expression)}
    if path.suffix in _YAML or text.startswith("#jinja2:"):  # `when` and the like have no braces
        # With a space before the bracket it may be prose: `the query (once)`.
        names |= {
            found["name"] or COMPUTED
            for found in _CALL.finditer(text)
            if found["name"] or found[0].startswith(("lookup(", "query("))
        }
    if path.suffix in _YAML and "with_" in text:
        try:
            items = document.read(path, ansible=True)
        except ValueError:
            items = None  # whoever reads the tasks says so
        plays = items if isinstance(items, list) else []
        tasks = [play.get(each) for play in plays if isinstance(play, dict) for each in _SECTIONS]
        keys = {
            str(key) for each in (items, *tasks) for task in tasks_in(each) for key in task.keywords
        }
        names |= {key.removeprefix("with_") for key in keys if key.startswith("with_")}
    short = {n.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.") for n in names}
    return frozenset(short) - PURE
