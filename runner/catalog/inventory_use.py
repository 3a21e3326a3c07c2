"""What a play may see of the inventory beside the variables of its own hosts.

Its files are read as text, comments and all: a word too many only costs time, as the run then
reads the whole inventory. So does whatever only a run could tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.catalog.content import read
from runner.catalog.loaded import called
from runner.catalog.scan import scan

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.catalog.entry import Entry
    from runner.catalog.installed import Installed
    from runner.catalog.task import Task

#: What reads variables of other hosts, or asks for the inventory itself, or changes it.
_WORDS = re.compile(
    r"hostvars|ansible_inventory_sources|inventory_hostnames"
    r"|add_host|group_by|refresh_inventory"
    # The file may be anywhere, and hold any of these.
    r"|(?:lookup|query|q)\s*\(\s*[\"'][\w.]*template|with_template"
)
#: All variables at once: `groups` is one of them.
_EVERYTHING = re.compile(
    r"\bvars\s*(?:\||\}\}|%\}|\.\s*(?:copy|get|items|keys|values)\b)|\bvar\s*[:=]\s*[\"']?vars\b"
)
_GROUPS = re.compile(r"(?<![\w-])groups(?![\w-])")
#: A group by its name; the order of all groups is not kept.
_NAMED = re.compile(
    r"""groups(?:\s*\[\s*(?P<quote>\\?['"])(?P<quoted>[\w.-]+)(?P=quote)\s*\]
        |\.(?P<plain>(?!(?:copy|get|items|keys|values)\b)[A-Za-z_]\w*))""",
    re.VERBOSE,
)
_KEY = re.compile(r"groups[\"']?\s*(?::|=(?!=))")  # a module's parameter
_ASKED_FOR = re.compile(r"['\"]\s+(?:not\s+)?in\s+$")  # `'web' in groups`
_PART = re.compile(r"\s*[\[.(|]")
_NOTES = re.compile(rb"^\s*[#;].*$", re.MULTILINE)  # of an ansible.cfg: its usual one has hundreds
_VARS_PLUGINS = "ANSIBLE_VARS_PLUGINS"
#: Folders beside a playbook or in a role from which Ansible takes variables of hosts.
_BESIDE = frozenset({"group_vars", "host_vars", "vars_plugins"})
#: In a collection: what runs on a host, or does not run.
_ELSEWHERE = frozenset({"doc_fragments", "inventory", "module_utils", "modules"})


@dataclass(frozen=True, kw_only=True)
class InventoryUse:
    """What an excerpt of the inventory has to have."""

    groups: frozenset[str] = frozenset()  #: whose hosts may be named
    patterns: tuple[str, ...] = ()  #: what its play names as hosts
    whole: str = ""  #: why no excerpt will do, a few words; empty when one will


def of_text(text: str) -> InventoryUse:
    """What templates in this text may see."""
    if found := _WORDS.search(text) or _EVERYTHING.search(text):
        return InventoryUse(whole=f"it uses {' '.join(found[0].split())}")
    groups = set()
    for found in _GROUPS.finditer(text):
        start, end = found.span()
        if named := _NAMED.match(text, start):
            groups.add(named["quoted"] or named["plain"])
            continue
        # Whether a group is there may be asked.
        asked = _ASKED_FOR.search(text[max(0, start - 40) : start]) and not _PART.match(text, end)
        if not asked and not _KEY.match(text, start):
            return InventoryUse(whole="it uses groups otherwise than by a literal name")
    return InventoryUse(groups=frozenset(groups))


def of_entry(catalog: Catalog, entry: Entry, loaded: Mapping[str, str]) -> InventoryUse:
    """What the play of this entry may see; `loaded` is what its plan knows that it loads.

    Raises CatalogError when a file cannot be read.
    """
    found = scan(entry, catalog.roles)
    content = read(catalog, entry)
    paths = {*content.paths.values(), *found.files, *found.beside}
    paths |= {Path(name) for name in loaded if name[0] == "/"}
    texts = {path: _text(path) for path in sorted(paths)}
    uses = {path: of_text(text) for path, text in texts.items()}
    words = content.words.union(*(re.findall(r"\w+", text) for text in texts.values()))
    reasons = (
        *found.unknown[:1],
        *(f"{each.file} includes what only a run knows" for each in found.templated[:1]),
        *filter(None, map(_outside, found.tasks)),
        *(f"{path}: {use.whole}" for path, use in uses.items() if use.whole),
        *(f"{name} gives variables" for name in content.paths if _BESIDE & set(name.split("/"))),
        *_of_plugins(catalog.roles.installed, words, loaded),
    )
    return InventoryUse(
        groups=frozenset(found.groups).union(*(use.groups for use in uses.values())),
        patterns=tuple(pattern for play in found.plays for pattern in play.patterns),
        whole=next(iter(reasons), ""),
    )


def _text(path: Path) -> str:
    """The text of a file; nothing of a binary one, or of one that is not there."""
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    if path.suffix == ".cfg":
        content = _NOTES.sub(b"", content)
    return "" if b"\0" in content else content.decode(errors="replace")


def _outside(task: Task) -> str:
    """Why a task may read a template or variables that are not in the entry's files."""
    if "delegate_to" in str(task.arguments.get("apply", "")):
        return f"{task.name} applies delegate_to to what it includes"
    if task.module == "include_vars":
        named = [task.free, task.arguments.get("file"), task.arguments.get("dir")]
    elif task.module == "template":
        named = [task.arguments.get("src"), task.free]
    else:
        return ""
    for name in map(str, filter(None, named)):
        if "{{" in name or ".." in name or name.startswith(("/", "~")):
            return f"{task.name} reads a file that only the run knows"
    return ""


def _of_plugins(
    installed: Installed | None, words: frozenset[str], loaded: Mapping[str, str]
) -> Iterator[str]:
    """Why plugins may see more: those that give variables, and those of collections that ask."""
    if installed is None:
        return
    for folder in installed.plugin_folders.get(_VARS_PLUGINS, ()):
        if any(folder.rglob("*.py")):
            yield f"{folder} may give variables"
    for name, each in installed.collections.items():
        if (digest := loaded.get(called(each))) is None or name == "runner.remediation":
            continue
        if asking := sorted(_asking(each.folder, digest) & words):
            yield f"{name} is used, whose {asking[0]} may read what other hosts have"


@lru_cache(maxsize=200)
def _asking(folder: Path, digest: str) -> frozenset[str]:
    """The plugins of a collection, at this digest, that may see other hosts, by their names."""
    names = set()
    for path in (folder / "plugins").rglob("*.py"):
        kind = path.relative_to(folder / "plugins").parts[0]
        if kind not in _ELSEWHERE and of_text(_text(path)).whole:
            # What other plugins import is known by the name of none of them.
            names.add(path.stem if kind != "plugin_utils" else "ansible")
    return frozenset(names)
