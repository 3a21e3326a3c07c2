"""What an entry's play touches beside its hosts, as far as its files can tell.

The play and every role file that it reaches by a literal name are read, never run.
What only a run could tell is listed as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.catalog import document, find_role, unattended
from runner.catalog.entry import Entry
from runner.catalog.task import Task, blocks_in, tasks_in

_SELF = ("{{ inventory_hostname }}", "{{inventory_hostname}}")
_HERE = "localhost"
_TASKS = ("tasks", "post_tasks", "handlers")
_SUFFIXES = ("", ".yml", ".yaml", ".json")
_GROUP = re.compile(
    r"""\{\{\s* groups
        (?: \[\s*(?P<quote>['"])(?P<quoted>[\w.-]+)(?P=quote)\s*\] | \.(?P<plain>[A-Za-z_]\w*) )
        (?: \s*\[\s*-?\d+\s*\] | \s*\|\s*(?:first|last|random|sort|list) )*
        \s*\}\}""",
    re.VERBOSE,
)
_ELSEWHERE = ("ansible_host", "ansible_connection", "ansible_port", "ansible_ssh_host")


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was found. `files` are those that were read, and hold every task."""

    delegates: tuple[str, ...] = ()  #: further hosts, as the files name them, sorted
    groups: tuple[str, ...] = ()  #: inventory groups, any host of which may be acted on, sorted
    unknown: tuple[str, ...] = ()  #: what cannot be known without a run, a sentence each
    run_once: tuple[str, ...] = ()  #: places of tasks that act for all hosts on one
    roles: tuple[str, ...] = ()  #: names of every role that is reached, sorted
    files: tuple[Path, ...] = ()  #: task files, in the order of their first mention
    tasks: tuple[Task, ...] = ()  #: every task that was read, in the order of the files
    #: why it can never be run unattended, a sentence each: nothing that has one is started
    obstacles: tuple[str, ...] = ()


def scan(entry: Entry, roles: tuple[Path, ...]) -> Scan:
    """What the play of the entry touches beside its hosts; nothing for a plan of steps."""
    if entry.role is None:
        return Scan()
    # A drill's fault ends by itself, after its own time; that is what a drill is.
    walk = _Walk(roles, may_outlive=entry.kind == "drill")
    walk.playbook(entry.playbook)
    return Scan(
        delegates=tuple(sorted(walk.delegates)),
        groups=tuple(sorted(walk.groups)),
        unknown=tuple(dict.fromkeys(walk.unknown)),
        run_once=tuple(dict.fromkeys(walk.run_once)),
        roles=tuple(sorted(walk.roles_seen)),
        files=tuple(walk.files),
        tasks=tuple(task for _, task in walk.tasks),
        obstacles=tuple(dict.fromkeys(walk.obstacles)),
    )


@dataclass
class _Walk:
    """One walk over the files; each is read once."""

    roles: tuple[Path, ...]
    may_outlive: bool = False
    delegates: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    run_once: list[str] = field(default_factory=list)
    roles_seen: set[str] = field(default_factory=set)
    files: dict[Path, None] = field(default_factory=dict)
    tasks: list[unattended.Placed] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def playbook(self, path: Path) -> None:
        plays = self._list(path)
        if len(plays) > 1:
            self.unknown.append(f"{path}: has {len(plays)} plays; one play per entry is read")
        for play in plays:
            if isinstance(play, Mapping):
                self._play(path, play)

    def _play(self, path: Path, play: Mapping[str, Any]) -> None:
        imported = play.get("import_playbook", play.get("ansible.builtin.import_playbook"))
        if imported is not None:
            self.unknown.append(f"{path}: imports another playbook, whose hosts are not known")
            self._imported(path, str(imported))
            return
        named = f" {play['name']!r}" if "name" in play else ""
        self._keywords(f"{path}: the play{named}", play)
        self.obstacles += unattended.of_play(f"{path}: the play{named}", play)
        before = len(self.tasks)
        self._tasks(play.get("pre_tasks"), path, None)
        for role in play.get("roles") or ():
            self._role_entry(path, role)
        for section in _TASKS:
            self._tasks(play.get(section), path, None)
        own = self.tasks[before:]
        self.obstacles += unattended.of_tasks(own, may_outlive=self.may_outlive)

    def _imported(self, path: Path, name: str) -> None:
        """The plays of a playbook that is imported by a literal name; each file is read once."""
        other = (path.parent / name).resolve()
        if other.is_file() and other not in self.files:
            self.files[other] = None
            self.playbook(other)

    def _role_entry(self, path: Path, role: Any) -> None:
        """One item of a play's `roles` or of a role's `dependencies`."""
        if isinstance(role, Mapping):
            self._keywords(f"{path}: a role", role)
        name = (role.get("role") or role.get("name")) if isinstance(role, Mapping) else role
        self._role(name, path)

    def _role(self, name: Any, place: Path, wanted: Mapping[str, Any] | None = None) -> None:
        folder = find_role(self.roles, str(name))
        if folder is None:
            self.unknown.append(f"{place}: the role {str(name)!r} cannot be read here")
            return
        if folder.name not in self.roles_seen:
            self.roles_seen.add(folder.name)
            self._dependencies(folder)
        starts = {"tasks": "main", "handlers": "main"}
        for section, start in starts.items():
            file = (wanted or {}).get(f"{section}_from") or start
            self._role_file(folder, section, str(file), place, optional=file == "main")

    def _dependencies(self, folder: Path) -> None:
        path = folder / "meta" / "main.yml"
        if not path.is_file():
            return
        try:
            content = document.mapping(path, ansible=True)
        except ValueError as error:
            self.unknown.append(f"{path}: {error}")
            return
        for role in content.get("dependencies") or ():
            self._role_entry(path, role)

    def _role_file(
        self, folder: Path, section: str, file: str, place: Path, *, optional: bool
    ) -> None:
        path = _existing(folder / section, file)
        if path is not None and _inside(path, folder):
            self._file(path, folder)
        elif not optional:
            self.unknown.append(f"{place}: {section} file {file!r} of {folder.name} is not there")

    def _file(self, path: Path, role: Path | None) -> None:
        path = path.resolve()
        if path not in self.files:
            self.files[path] = None
            self._tasks(self._list(path), path, role)

    def _list(self, path: Path) -> list[Any]:
        try:
            content = document.read(path, ansible=True)
        except ValueError as error:
            self.unknown.append(f"{path}: {error}")
            return []
        if content is None or isinstance(content, list):
            return content or []
        self.unknown.append(f"{path}: must be a list")
        return []

    def _tasks(self, items: Any, path: Path, role: Path | None) -> None:
        for block in blocks_in(items):
            self._keywords(f"{path}: a block", block)
        for task in tasks_in(items):
            self._task(task, path, role)

    def _task(self, task: Task, path: Path, role: Path | None) -> None:
        place = f"{path}: {task.name}"
        self.tasks.append((place, task))
        self._keywords(place, task.keywords)
        if task.local or task.module == "add_host":
            self._action(task, place)
        if task.module == "set_fact":
            self._connection(place, task.arguments)
        if task.module in ("import_tasks", "include_tasks", "include"):
            self._include(task, path, role)
        elif task.module in ("import_role", "include_role"):
            self._role(task.arguments.get("name"), path, task.arguments)

    def _action(self, task: Task, place: str) -> None:
        if task.local:
            self.delegates.add(_HERE)
        if task.module == "add_host":
            self.unknown.append(f"{place} adds hosts while it runs (add_host)")

    def _include(self, task: Task, path: Path, role: Path | None) -> None:
        file = task.arguments.get("file") or task.free
        literal = bool(file) and "{{" not in file and "=" not in file
        candidates = [path.parent, *([role / "tasks"] if role else [])]
        found = next(filter(None, (_existing(c, file) for c in candidates)), None)
        if not literal or found is None:
            self.unknown.append(f"{path}: includes {file!r}, which cannot be read before the run")
        elif not _inside(found, role or path.parent):
            self.unknown.append(f"{path}: includes {file!r}, which lies outside of its folder")
        else:
            self._file(found, role)

    def _keywords(self, place: str, keywords: Mapping[str, Any]) -> None:
        """What any play, role, block or task may say of where it acts, and of whom it waits for."""
        self.obstacles += unattended.of_keywords(place, keywords)
        if "delegate_to" in keywords:
            self._delegate(place, str(keywords["delegate_to"]), keywords)
        if str(keywords.get("connection", "")).endswith("local"):
            self.delegates.add(_HERE)
        if keywords.get("run_once"):
            self.run_once.append(place)
        self._connection(place, keywords.get("vars"))

    def _delegate(self, place: str, host: str, keywords: Mapping[str, Any]) -> None:
        if host in _SELF:
            return
        if "{{" not in host and "{%" not in host:
            self.delegates.add(host)
        elif group := _group_in(host) or _group_looped(host, keywords):
            self.groups.add(group)
        else:
            self.unknown.append(f"{place} acts on {host}, a host that only the run knows")

    def _connection(self, place: str, variables: Any) -> None:
        for name in _ELSEWHERE:
            if isinstance(variables, Mapping) and name in variables:
                self.unknown.append(f"{place} sets {name} and so may act on another host")


def _group_in(text: str) -> str | None:
    """The group of `{{ groups['lb'][0] }}`, `{{ groups.lb | first }}` and the like.

    Which host of it is taken is not looked at: any of them counts as touched. A name that only
    the run fills in gives none, and so does anything else beside the group.
    """
    found = _GROUP.fullmatch(text.strip())
    return (found["quoted"] or found["plain"]) if found else None


def _group_looped(host: str, keywords: Mapping[str, Any]) -> str | None:
    """The group that a task loops over when it acts on each item of it."""
    control = keywords.get("loop_control")
    named = control.get("loop_var", "item") if isinstance(control, Mapping) else "item"
    if not re.fullmatch(rf"\{{\{{\s*{re.escape(str(named))}\s*\}}\}}", host.strip()):
        return None
    loops = [keywords[key] for key in ("loop", "with_items") if key in keywords]
    return _group_in(loops[0]) if len(loops) == 1 and isinstance(loops[0], str) else None


def _existing(folder: Path, file: str) -> Path | None:
    return next((p for s in _SUFFIXES if (p := folder / f"{file}{s}").is_file()), None)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def role_folders(found: Scan, roles: tuple[Path, ...]) -> Iterator[Path]:
    """The folder of every role that was reached."""
    for name in found.roles:
        folder = find_role(roles, name)
        if folder is not None:
            yield folder
