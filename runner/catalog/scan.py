"""What an entry's play touches beside its hosts, as far as its files can tell.

The play and every role file that it reaches by a literal name are read, never run.
What only a run could tell is listed as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.catalog import document, unattended
from runner.catalog.entry import Entry
from runner.catalog.roles import Roles
from runner.catalog.task import Task, blocks_in, tasks_in

_SELF = ("{{ inventory_hostname }}", "{{inventory_hostname}}")
_HERE = "localhost"
_CHECK_MODE = "ansible_check_mode"
_TASKS = ("tasks", "post_tasks", "handlers")
#: Which files of a role an include takes instead of its main ones.
_FROM = ("tasks_from", "vars_from", "defaults_from", "handlers_from")
_SUFFIXES = ("", ".yml", ".yaml", ".json")
_WORD = re.compile(r"[A-Za-z_]\w{0,127}", re.ASCII)
_LOOKUP = re.compile(r"\b(?:lookup|query|q)\s*\(")
_GROUP = re.compile(
    r"""\{\{\s* groups
        (?: \[\s*(?P<quote>['"])(?P<quoted>[\w.-]+)(?P=quote)\s*\] | \.(?P<plain>[A-Za-z_]\w*) )
        (?: \s*\[\s*-?\d+\s*\] | \s*\|\s*(?:first|last|random|sort|list) )*
        \s*\}\}""",
    re.VERBOSE,
)
_ELSEWHERE = ("ansible_host", "ansible_connection", "ansible_port", "ansible_ssh_host")
_IN_COLLECTION = re.compile(
    r".*/ansible_collections/(?P<collection>[^/]+/[^/]+)/roles/(?P<role>.+)", re.DOTALL
)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was found. `files` are those that were read, and hold every task."""

    delegates: tuple[str, ...] = ()  #: further hosts, as the files name them, sorted
    groups: tuple[str, ...] = ()  #: inventory groups, any host of which may be acted on, sorted
    unknown: tuple[str, ...] = ()  #: what cannot be known without a run, a sentence each
    run_once: tuple[str, ...] = ()  #: places of tasks that act for all hosts on one
    roles: tuple[str, ...] = ()  #: names of every role that is reached, sorted
    folders: tuple[Path, ...] = ()  #: their folders, in the same order
    files: tuple[Path, ...] = ()  #: task files, in the order of their first mention
    beside: tuple[Path, ...] = ()  #: literal files outside of playbook and roles, sorted
    templated: tuple[Templated, ...] = ()  #: includes that only a run can fill in
    tasks: tuple[Task, ...] = ()  #: every task that was read, in the order of the files
    #: what may be another thing in a dry run than in the run, a sentence each
    differs: tuple[str, ...] = ()
    #: plays, roles, blocks and includes that may switch check mode off for what is below them
    unchecked: tuple[str, ...] = ()
    #: why it can never be run unattended, a sentence each: nothing that has one is started
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Templated:
    """An include whose file or role is a template."""

    file: Path  #: the file that it stands in
    text: str  #: the template as written
    depends_on: str = ""  #: what else than facts and inventory decides it; empty for nothing
    at_start: bool = False  #: filled in by every run, before its first task


def scan(entry: Entry, roles: Roles) -> Scan:
    """What the play of the entry touches beside its hosts; nothing for a plan of steps."""
    if entry.role is None:
        return Scan()
    # A drill's fault ends by itself, after its own time; that is what a drill is.
    walk = _Walk(roles.beside(entry.playbook), may_outlive=entry.kind == "drill")
    walk.playbook(entry.playbook)
    for role in walk.reached.values():
        for folder in ("defaults", "vars"):
            for path in sorted((role / folder).rglob("*.y*ml")):
                if _CHECK_MODE in path.read_text(errors="replace"):
                    walk.differs.append(f"{path} sets variables by {_CHECK_MODE}")
    return Scan(
        delegates=tuple(sorted(walk.delegates)),
        groups=tuple(sorted(walk.groups)),
        unknown=tuple(dict.fromkeys(walk.unknown)),
        run_once=tuple(dict.fromkeys(walk.run_once)),
        roles=tuple(sorted(walk.reached)),
        folders=tuple(folder for _, folder in sorted(walk.reached.items())),
        files=tuple(walk.files),
        beside=tuple(sorted(walk.beside)),
        templated=walk.decided_by(),
        tasks=tuple(task for _, task in walk.tasks),
        differs=tuple(dict.fromkeys(walk.differs)),
        unchecked=tuple(dict.fromkeys(walk.unchecked)),
        obstacles=tuple(dict.fromkeys(walk.obstacles)),
    )


def _by_check_mode(task: Task) -> bool:
    """Whether a dry run may leave something out of the task that its fidelity does not count.

    A condition of its own is counted.
    """
    when = str(task.keywords.get("when") or "")
    if task.module == "meta":
        return _CHECK_MODE in when
    if task.keywords.get("changed_when") is False:
        return False
    rest = {key: value for key, value in task.keywords.items() if key not in ("when", "vars")}
    return _CHECK_MODE in str(rest)


@dataclass
class _Walk:
    """One walk over the files; each is read once."""

    roles: Roles
    may_outlive: bool = False
    delegates: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    run_once: list[str] = field(default_factory=list)
    reached: dict[str, Path] = field(default_factory=dict)
    files: dict[Path, None] = field(default_factory=dict)
    beside: set[Path] = field(default_factory=set)
    templates: dict[tuple[Path, str], tuple[str, bool]] = field(default_factory=dict)
    #: of the play (None) and of each role: the collections in which it searches short names
    searched: dict[Path | None, tuple[str, ...]] = field(default_factory=dict)
    tasks: list[unattended.Placed] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

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
            # The plays of a playbook that is imported by a literal name; each file is read once.
            other = (path.parent / str(imported)).resolve()
            if other.is_file() and other not in self.files:
                self.files[other] = None
                self.playbook(other)
            return
        named = f" {play['name']!r}" if "name" in play else ""
        self._holder(f"{path}: the play{named}", play)
        self.obstacles += unattended.of_play(f"{path}: the play{named}", play)
        self.searched[None] = _names(play.get("collections"))
        for files in play.get("vars_files") or ():
            for file in map(str, files if isinstance(files, list) else [files]):
                if "{{" in file:
                    self.templates[path, file] = (file, True)
                elif (found := path.parent / file).is_file():
                    self.beside.add(found.resolve())
        before = len(self.tasks)
        self._tasks(play.get("pre_tasks"), path, None)
        for role in play.get("roles") or ():
            self._role_entry(path, role, None)
        for section in _TASKS:
            self._tasks(play.get(section), path, None)
        own = self.tasks[before:]
        self.obstacles += unattended.of_tasks(own, may_outlive=self.may_outlive)

    def _role_entry(self, path: Path, role: Any, inside: Path | None) -> None:
        """One item of a play's `roles` or of a role's `dependencies`."""
        if isinstance(role, Mapping):
            self._holder(f"{path}: a role", role)
        name = (role.get("role") or role.get("name")) if isinstance(role, Mapping) else role
        self._role(name, path, inside)

    def _role(
        self,
        name: Any,
        place: Path,
        inside: Path | None,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        """A role that is named in `place`, a file of the role `inside` or of none."""
        folder = self.roles.find(str(name), self.searched.get(inside, ()))
        if folder is None:
            self.unknown.append(f"{place}: the role {str(name)!r} cannot be read here")
            return
        if folder not in self.reached.values():
            collection, full_name = "", folder.name
            if found := _IN_COLLECTION.fullmatch(folder.as_posix()):
                collection = found["collection"].replace("/", ".")
                full_name = f"{collection}.{found['role'].replace('/', '.')}"
            self.reached[full_name] = folder
            meta = _existing(folder / "meta", "main") or folder / "meta" / "main.yml"
            content: Mapping[str, Any] = {}
            try:
                content = document.mapping(meta, ansible=True) if meta.is_file() else {}
            except ValueError as error:
                self.unknown.append(f"{meta}: {error}")
            self.searched[folder] = (*_names(collection), *_names(content.get("collections")))
            for role in content.get("dependencies") or ():
                self._role_entry(meta, role, folder)
        for section in ("tasks", "handlers"):
            file = str((wanted or {}).get(f"{section}_from") or "main")
            path = _existing(folder / section, file)
            if path is not None and _inside(path, folder):
                self._file(path, folder)
            elif file != "main":
                why = f"{section} file {file!r} of {folder.name} is not there"
                self.unknown.append(f"{place}: {why}")

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
            self._holder(f"{path}: a block", block)
        for task in tasks_in(items):
            place = f"{path}: {task.name}"
            self.tasks.append((place, task))
            self._keywords(place, task.keywords)
            self._handed_down(place, task)
            if _by_check_mode(task):
                self.differs.append(f"{place} goes by {_CHECK_MODE} elsewhere than in its own when")
            if task.module == "add_host":
                self.unknown.append(f"{place} adds hosts while it runs (add_host)")
            elif task.module == "set_fact":
                self._connection(place, task.arguments)
            elif task.module in ("import_tasks", "include_tasks", "include"):
                self._include(task, path, role)
            elif task.module in ("import_role", "include_role"):
                for key in ("name", *_FROM):
                    self._templated(task, path, task.arguments.get(key))
                self._role(task.arguments.get("name"), path, role, task.arguments)
            elif task.module == "include_vars":
                file = task.arguments.get("file") or task.arguments.get("dir") or task.free
                self._templated(task, path, file)

    def _templated(self, task: Task, path: Path, file: Any) -> None:
        """A template, and what a loop fills in for it, decide what is loaded."""
        text = str(file)
        if "{{" in text:
            named = task.keywords.items()
            loops = [v for k, v in named if k == "loop" or str(k).startswith("with_")]
            own = task.keywords.get("vars")
            read = " ".join(map(str, (text, *loops, own or "")))
            self.templates[path, text] = (read, task.module.startswith("import_"))

    def decided_by(self) -> tuple[Templated, ...]:
        """Each template with what decides it beside facts and inventory."""
        if not self.templates:
            return ()
        results, defined = _results_and_variables(self.files, self.reached.values())
        return tuple(
            Templated(
                file=path,
                text=text,
                depends_on=_depends(read, results, defined),
                at_start=at_start,
            )
            for (path, text), (read, at_start) in sorted(self.templates.items())
        )

    def _include(self, task: Task, path: Path, role: Path | None) -> None:
        file = task.arguments.get("file") or task.free
        literal = bool(file) and "{{" not in file and "=" not in file
        candidates = [path.parent, *([role / "tasks"] if role else [])]
        found = next(filter(None, (_existing(c, file) for c in candidates)), None)
        self._templated(task, path, file)
        if not literal or found is None:
            self.unknown.append(f"{path}: includes {file!r}, which cannot be read before the run")
        elif not _inside(found, role or path.parent):
            self.beside.add(found.resolve())
            self.unknown.append(f"{path}: includes {file!r}, which lies outside of its folder")
        else:
            self._file(found, role)

    def _handed_down(self, place: str, task: Task) -> None:
        """What an import or an include hands down to the tasks that it brings."""
        if task.module.startswith(("import_", "include")):
            applied = task.arguments.get("apply")
            for given in (task.keywords, applied if isinstance(applied, Mapping) else {}):
                self._unchecked(place, given)

    def _holder(self, place: str, keywords: Mapping[str, Any]) -> None:
        """The keywords of what holds tasks: a play, a role, a block."""
        self._keywords(place, keywords)
        self._unchecked(place, keywords)

    def _unchecked(self, place: str, keywords: Mapping[str, Any]) -> None:
        if keywords.get("check_mode") not in (None, True):
            self.unchecked.append(f"{place} switches check mode off for its tasks")

    def _keywords(self, place: str, keywords: Mapping[str, Any]) -> None:
        """What any play, role, block or task may say of where it acts, and of whom it waits for."""
        self.obstacles += unattended.of_keywords(place, keywords)
        host = str(keywords.get("delegate_to", _SELF[0]))
        if host not in _SELF:
            if "{{" not in host and "{%" not in host:
                self.delegates.add(host)
            elif group := _group(host, keywords):
                self.groups.add(group)
            else:
                self.unknown.append(f"{place} acts on {host}, a host that only the run knows")
        if "local_action" in keywords or str(keywords.get("connection", "")).endswith("local"):
            self.delegates.add(_HERE)
        if keywords.get("run_once"):
            self.run_once.append(place)
        self._connection(place, keywords.get("vars"))
        if _CHECK_MODE in str(keywords.get("vars") or ""):
            self.differs.append(f"{place} sets variables by {_CHECK_MODE}")

    def _connection(self, place: str, variables: Any) -> None:
        for name in _ELSEWHERE:
            if isinstance(variables, Mapping) and name in variables:
                self.unknown.append(f"{place} sets {name} and so may act on another host")


def _group(host: str, keywords: Mapping[str, Any]) -> str | None:
    """The group of `{{ groups['lb'][0] }}`, `{{ groups.lb | first }}` and the like, also of a
    loop over it by a task that acts on each item.

    Which host of it is taken is not looked at: any of them counts as touched. A name that only
    the run fills in gives none, and so does anything else beside the group.
    """
    control = keywords.get("loop_control")
    named = control.get("loop_var", "item") if isinstance(control, Mapping) else "item"
    text = host.strip()
    if re.fullmatch(rf"\{{\{{\s*{re.escape(str(named))}\s*\}}\}}", text):
        loops = [keywords[key] for key in ("loop", "with_items") if key in keywords]
        text = loops[0].strip() if len(loops) == 1 and isinstance(loops[0], str) else ""
    found = _GROUP.fullmatch(text)
    return (found["quoted"] or found["plain"]) if found else None


def _existing(folder: Path, file: str) -> Path | None:
    return next((p for s in _SUFFIXES if (p := folder / f"{file}{s}").is_file()), None)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _names(given: Any) -> tuple[str, ...]:
    """A name, or a list of them."""
    items = given if isinstance(given, list) else [given]
    return tuple(str(item) for item in items if item)


def _results_and_variables(
    files: Iterable[Path], roles: Collection[Path]
) -> tuple[set[str], dict[str, set[str]]]:
    """(names that tasks set while they run, variable → words of the texts that define it)."""
    results: set[str] = set()
    defined: dict[str, set[str]] = {}
    # Every task file of the roles: an include may reach any of them.
    folders = [role / section for role in roles for section in ("tasks", "handlers")]
    reachable = {path.resolve() for folder in folders for path in folder.rglob("*.y*ml")}
    for path in reachable.union(files):
        items = _read_or_nothing(path)
        for holder in (*blocks_in(items), *(task.keywords for task in tasks_in(items))):
            _define(defined, holder.get("vars"))
        for task in tasks_in(items):
            results |= set(_names(task.keywords.get("register")))
            if task.module == "set_fact":
                results |= {str(name) for name in task.arguments}
    for role in roles:
        for folder in ("defaults", "vars"):
            for path in (role / folder).rglob("*.y*ml"):
                _define(defined, _read_or_nothing(path))
    return results, defined


def _read_or_nothing(path: Path) -> Any:
    try:
        return document.read(path, ansible=True)
    except ValueError:
        return None


def _define(defined: dict[str, set[str]], variables: Any) -> None:
    for name, value in variables.items() if isinstance(variables, Mapping) else ():
        defined.setdefault(str(name), set()).update(_WORD.findall(str(value)))


def _depends(text: str, results: set[str], defined: Mapping[str, set[str]]) -> str:
    """What a template reads beside facts and inventory, also through variables of a role."""
    if _LOOKUP.search(text):
        return "a lookup"
    seen: set[str] = set()
    waiting = set(_WORD.findall(text))
    while waiting:
        seen |= waiting
        waiting = {word for name in waiting for word in defined.get(name, ())} - seen
    found = sorted(seen & results)
    if found:
        return f"{found[0]}, which a task sets"
    return "a lookup" if seen & {"lookup", "query"} else ""
