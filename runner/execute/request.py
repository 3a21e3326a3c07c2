"""What is asked of one Ansible run, and what came of it.

A RunRequest that exists is safe to start: hosts are exact names, variable names
are plain, paths are absolute. Everything else is refused here, with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.catalog.entry import Effect
from runner.errors import Refused
from runner.execute.variables import refuse_unplain
from runner.incident import Fidelity, Outcome

#: Names of our own in the run's environment, which configuration may not set.
RESERVED = frozenset({"RUNNER_RUN_ID", "RUNNER_TASK_FACTS", "AWX_ISOLATED_DATA_DIR"})

MEMORY = 1024 * 2**20  #: bytes of data that each process of a run may have, unless it says so

_ID = re.compile(r"[0-9a-f]{8,64}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_GROUPS_OF_EVERYTHING = frozenset({"all", "ungrouped"})


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What a run may load, and from where."""

    roots: tuple[Path, ...] = ()  #: folders of playbooks, roles, plugins, collections
    #: file → SHA-256 of all that may be loaded, from a private copy. None: a dry run, which
    #: reads the project itself and reports what it loads
    files: Mapping[Path, str] | None = None
    #: whether a dry run completed the list, so that nothing else may be read elsewhere either
    strict: bool = True
    base: Path = Path("/")  #: what is named relative to a playbook lies below it
    #: environment variable → folders in which Ansible looks for plugins
    plugin_folders: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    #: name → folder and digest of each collection that may be used
    collections: Mapping[str, tuple[Path, str]] = field(default_factory=dict)
    collection_paths: tuple[Path, ...] = ()  #: in which Ansible looks for collections
    passwords: tuple[Path, ...] = ()  #: files with passwords: no part of what is approved
    cache: Path | None = None  #: where copies of collections are kept


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One start of a playbook. Raises Refused when it could reach more than it says."""

    id: str  #: hexadecimal, made before the intent is stored
    entry_id: str
    playbook: Path
    inventory: tuple[Path, ...]
    hosts: tuple[str, ...]  #: exact inventory names; never empty, never a pattern
    artifacts: Path  #: the folder below which a folder named `id` is made and kept
    timeout: timedelta
    roles_path: tuple[Path, ...] = ()
    allowed: frozenset[str] = frozenset()  #: hosts and delegates; `hosts` always are
    also: tuple[str, ...] = ()  #: those of `allowed` that plays of their own run on
    playbook_name: str = ""  #: `ns.coll.name`, by which Ansible finds a collection's playbook
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  #: names of plays that may be for no host
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    check: bool = False  #: a dry run: `--check`
    effects: tuple[Effect, ...] = ()  #: what a dry run may show by its entry's word
    reads: tuple[str, ...] = ()  #: tasks that only read, by the same word
    forks: int = 5
    memory: int = MEMORY  #: bytes of data of each process of the run
    grace: timedelta = timedelta(seconds=1)  #: between TERM and KILL
    host_key_checking: bool = True
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    vault_password_file: Path | None = None
    ansible_config: Path | None = None
    #: what Ansible reads instead of `inventory`: an excerpt of it, with its secrets
    excerpt: bytes | None = field(default=None, repr=False)
    unread: tuple[str, ...] = ()  #: inventory sources that cannot be read, so are not waited for
    loading: Loading = field(default_factory=Loading, repr=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise Refused(f"run id {self.id!r} must be 8 to 64 hexadecimal digits")
        if not self.hosts:
            raise Refused("a run needs at least one host: an empty limit would mean every host")
        for host in (*self.hosts, *self.also):
            if ":" in host:
                raise Refused(
                    f"host {host!r} cannot be a limit, because a colon separates patterns; "
                    "give it a plain name in the inventory and set ansible_host"
                )
            if host in _GROUPS_OF_EVERYTHING or not _HOST.fullmatch(host):
                raise Refused(
                    f"host {host!r} is not an exact host name: letters, digits, dot, dash and "
                    "underscore only, and neither all nor ungrouped"
                )
        if not self.allowed.issuperset(self.also):
            raise Refused(f"the limit names {', '.join(self.also)}, which the plan does not")
        if len(set(self.hosts)) != len(self.hosts):
            raise Refused(f"the hosts {', '.join(self.hosts)} name one host twice")
        _refuse_paths(self)
        refuse_unplain(self.variables)
        if self.timeout <= timedelta():
            raise Refused(f"run {self.id}: a run needs a timeout above zero")
        if taken := RESERVED & set(self.environment):
            raise Refused(f"execution.environment may not set {', '.join(sorted(taken))}")

    @property
    def folder(self) -> Path:
        """Where what is kept of this run lies."""
        return self.artifacts / self.id

    @property
    def snapshot(self) -> Path | None:
        """Where the private copy of its files lies while it runs; None for a dry run."""
        return self.folder / "files" if self.loading.files is not None else None

    @property
    def touchable(self) -> frozenset[str]:
        """Every host that may be seen in this run's events."""
        return self.allowed | frozenset(self.hosts)


def _refuse_paths(request: RunRequest) -> None:
    if not request.inventory:
        raise Refused(f"run {request.id}: a run needs an inventory; name one in runner.yml")
    single = (request.playbook, request.artifacts)
    optional = (request.vault_password_file, request.ansible_config)
    paths = (*single, *request.inventory, *request.roles_path, *filter(None, optional))
    for path in paths:
        if not path.is_absolute():
            raise Refused(f"run {request.id}: {path} must be an absolute path")
    for path in (*request.inventory, request.playbook):
        if "," in str(path):
            raise Refused(f"{path}: Ansible takes a path with a comma for a list of hosts")
        if not path.exists():
            raise Refused(f"{path}: is not there; nothing was started")


@dataclass(frozen=True, kw_only=True)
class TaskEvent:
    """What one task came to on one host, as it happens. `text` is masked and short."""

    host: str
    task: str
    action: str
    status: str  #: ok, changed, failed, skipped, unreachable
    at: datetime
    duration: timedelta
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What one run came to. Every text in it is masked and bounded."""

    id: str
    outcome: Outcome
    reason: str
    started_at: datetime
    ended_at: datetime
    artifacts: Path  #: the folder with what was kept
    stats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: by host
    results: Mapping[str, Any] = field(default_factory=dict)  #: `set_stats: remediation`
    diff: str = ""  #: at most 256 kB
    diff_hash: str = ""  #: of the whole normalised diff; empty without any change
    fidelity: Fidelity = field(default_factory=Fidelity)  #: of a dry run
    hosts_seen: frozenset[str] = frozenset()
    #: file → SHA-256 of what a dry run loaded below the watched folders, and by Ansible's reader
    loaded: Mapping[str, str] = field(default_factory=dict)
    #: (file, template) of each include that the dry run decided
    included: frozenset[tuple[str, str]] = frozenset()
    tasks: tuple[TaskEvent, ...] = ()
