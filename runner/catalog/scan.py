"""What an entry's play touches beside its hosts, as far as its files can tell.

The play and every role file that it reaches by a literal name are read, never run.
What only a run could tell is listed as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.catalog import document, unattended
from runner.catalog.entry import Entry, Parameter
from runner.catalog.plays import Play, play_of
from runner.catalog.roles import Roles, collection_of
from runner.catalog.task import Task, blocks_in, tasks_in
from runner.catalog.templated import Templated, decided_by

_SELF = ("{{ inventory_hostname }}", "{{inventory_hostname}}")
_HERE = "localhost"
_CHECK_MODE = "ansible_check_mode"
_TASKS = ("tasks", "post_tasks", "handlers")
#: Which files of a role an include takes instead of its main ones.
_FROM = ("tasks_from", "vars_from", "defaults_from", "handlers_from")
_SUFFIXES = ("", ".yml", ".yaml", ".json")
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
    plays: tuple[Play, ...] = ()  #: in the order in which Ansible comes to them
    playbooks: tuple[Path, ...] = ()  #: the playbook and those that it imports
    tasks: tuple[Task, ...] = ()  #: every task that was read, in the order of the files
    #: of plays, roles, blocks, tasks and what brings them, sorted; None where they cannot be known
    tags: tuple[str, ...] | None = ()
    #: what may be another thing in a dry run than in the run, a sentence each
    differs: tuple[str, ...] = ()
    #: plays, roles, blocks and includes that may switch check mode off for what is below them
    unchecked: tuple[str, ...] = ()
    #: why it can never be run unattended, a sentence each: nothing that has one is started
    obstacles: tuple[str, ...] = ()


def scan(entry: Entry, roles: Roles) -> Scan:
    """What the play of the entry touches beside its hosts; nothing for a plan of steps."""
    if entry.steps:
        return Scan()
    walk = _Walk(
        roles.beside(entry.play_file),
        # A drill's fault ends by itself, after its own time; that is what a drill is.
        may_outlive=entry.kind == "drill",
        answers=entry.parameters,
        collections=_names(collection_of(entry.collection_playbook)),
        anywhere=entry.playbook is not None,
    )
    walk.playbook(entry.play_file)
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
        templated=decided_by(walk.templates, walk.files, walk.reached.values()),
        plays=tuple(walk.plays),
        playbooks=tuple(walk.playbooks),
        tasks=tuple(task for _, task in walk.tasks),
        tags=tuple(sorted(walk.tags)) if walk.whole else None,
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
    answers: Mapping[str, Parameter] = field(default_factory=dict)  #: to prompts
    collections: tuple[str, ...] = ()  #: of the playbook itself
    anywhere: bool = False  #: whether its files may lie wherever they are named
    plays: list[Play] = field(default_factory=list)
    playbooks: dict[Path, None] = field(default_factory=dict)
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
    tags: set[str] = field(default_factory=set)
    whole: bool = True  #: whether all tasks were read, and their tags are no templates
    obstacles: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def playbook(self, path: Path) -> None:
        self.playbooks[path] = None
        for play in self._list(path):
            if isinstance(play, Mapping):
                self._play(path, play)

    def _play(self, path: Path, play: Mapping[str, Any]) -> None:
        imported = play.get("import_playbook", play.get("ansible.builtin.import_playbook"))
        if imported is not None:
            self._tagged(play)
            return self._imported(path, str(imported))
        named = f" {play['name']!r}" if "name" in play else ""
        self._holder(f"{path}: the play{named}", play)
        self.obstacles += unattended.of_play(f"{path}: the play{named}", play)
        self.plays.append(found := play_of(path, play))
        self.obstacles += unattended.of_prompts(found, self.answers)
        if found.unclear:
            self.obstacles.append(
                f"{found.place} is for {found.unclear}, which only a run fills in; name its hosts"
            )
        self.searched[None] = (*_names(play.get("collections")), *self.collections)
        for files in play.get("vars_files") or ():
            for file in map(str, files if isinstance(files, list) else [files]):
                self._variables(path, file)
        before = len(self.tasks)
        self._tasks(play.get("pre_tasks"), path, None)
        for role in play.get("roles") or ():
            self._role_entry(path, role, None)
        for section in _TASKS:
            self._tasks(play.get(section), path, None)
        own = self.tasks[before:]
        self.obstacles += unattended.of_tasks(own, may_outlive=self.may_outlive)

    def _unread(self, why: str) -> None:
        """Some tasks are not known."""
        self.unknown.append(why)
        self.whole = False

    def _tagged(self, keywords: Mapping[str, Any]) -> None:
        """The tags of a play, role, block, task or import."""
        given = keywords.get("tags") or []
        for text in map(str, given if isinstance(given, list) else [given]):
            self.whole = self.whole and "{{" not in text
            self.tags.update(filter(None, map(str.strip, text.split(","))))

    def _imported(self, path: Path, name: str) -> None:
        """The plays of a playbook that is imported by a literal name; each file is read once."""
        other = self.roles.playbook(name) or (path.parent / name).resolve()
        if not other.is_file():
            self._unread(f"{path}: imports {name!r}, which cannot be read here")
        elif other not in self.playbooks:
            self.files[other] = None
            before, self.roles = self.roles, self.roles.beside(other)
            self.playbook(other)
            self.roles = before

    def _variables(self, path: Path, file: str) -> None:
        """A file of `vars_files`."""
        if "{{" in file:
            self.templates[path, file] = (file, True)
            return
        for folder in ("", "vars"):
            if (beside := path.parent / folder / file).is_file():
                self.beside.add(beside.resolve())

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
            self._unread(f"{place}: the role {str(name)!r} cannot be read here")
            return
        if folder not in self.reached.values():
            collection, full_name = "", folder.name
            if found := _IN_COLLECTION.fullmatch(folder.as_posix()):
                collection = found["collection"].replace("/", ".")
                full_name = f"{collection}.{found['role'].replace('/', '.')}"
            # Two playbooks may each have a role of this name beside them.
            self.reached[str(folder) if full_name in self.reached else full_name] = folder
            meta = _existing(folder / "meta", "main") or folder / "meta" / "main.yml"
            content: Mapping[str, Any] = {}
            try:
                content = document.mapping(meta, ansible=True) if meta.is_file() else {}
            except ValueError as error:
                self._unread(f"{meta}: {error}")
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
                self._unread(f"{place}: {why}")

    def _file(self, path: Path, role: Path | None) -> None:
        path = path.resolve()
        if path not in self.files:
            self.files[path] = None
            self._tasks(self._list(path), path, role)

    def _list(self, path: Path) -> list[Any]:
        try:
            content = document.read(path, ansible=True)
        except ValueError as error:
            self._unread(f"{path}: {error}")
            return []
        if content is None or isinstance(content, list):
            return content or []
        self._unread(f"{path}: must be a list")
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
            self._source(task, path, role)
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

    def _source(self, task: Task, path: Path, role: Path | None) -> None:
        """A literal file that a task outside of any role copies, fills in or runs."""
        if role is not None or not self.anywhere:
            return
        named = [task.arguments.get("src"), task.arguments.get("cmd"), *task.free.split()[:1]]
        for text in (text for text in named if isinstance(text, str) and "{{" not in text):
            for base in (path.parent, *(playbook.parent for playbook in self.playbooks)):
                for folder in ("templates", "files", "vars", ""):
                    with suppress(OSError):  # a command line may be longer than any name
                        if text and (found := base / folder / text).is_file():
                            self.beside.add(found.resolve())

    def _include(self, task: Task, path: Path, role: Path | None) -> None:
        file = task.arguments.get("file") or task.free
        literal = bool(file) and "{{" not in file and "=" not in file
        beside = [playbook.parent for playbook in self.playbooks] if self.anywhere else []
        candidates = [path.parent, *([role / "tasks"] if role else beside)]
        found = next(filter(None, (_existing(c, file) for c in candidates)), None)
        self._templated(task, path, file)
        if not literal or found is None:
            self._unread(f"{path}: includes {file!r}, which cannot be read before the run")
        elif role is None and self.anywhere:
            self._file(found, None)
        elif not _inside(found, role or path.parent):
            self.beside.add(found.resolve())
            self._unread(f"{path}: includes {file!r}, which lies outside of its folder")
        else:
            self._file(found, role)

    def _handed_down(self, place: str, task: Task) -> None:
        """What an import or an include hands down to the tasks that it brings."""
        if task.module.startswith(("import_", "include")):
            applied = task.arguments.get("apply")
            for given in (task.keywords, applied if isinstance(applied, Mapping) else {}):
                self._unchecked(place, given)
                self._tagged(given)

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
        self._tagged(keywords)
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
