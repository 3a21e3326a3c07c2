"""What an entry says of its dry run, against the tasks that its play reaches.

A module that cannot show its effect may have one by the entry's word, but only a plain change of
state, by a module that does nothing else: whatever else the task asks for would go unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from runner import shipped
from runner.catalog.entry import Effect, Entry
from runner.catalog.scan import Scan
from runner.catalog.task import Task

_UNIT = frozenset("name service unit state scope no_block sleep pattern".split())
#: Modules whose whole work is a state → the arguments that say which state of what.
STATES: Mapping[str, frozenset[str]] = {
    "ansible.builtin.systemd": _UNIT,
    "ansible.builtin.systemd_service": _UNIT,
    "ansible.builtin.service": _UNIT,
    "community.general.supervisorctl": frozenset(
        "name state config server_url username password supervisorctl_path".split()
    ),
    "community.docker.docker_container": frozenset(
        "name state restart stop_timeout force_kill docker_host tls tls_hostname ca_path "
        "client_cert client_key validate_certs timeout".split()
    ),
    "kubernetes.core.k8s_scale": frozenset(
        "name kind api_version namespace replicas current_replicas wait wait_timeout wait_sleep "
        "kubeconfig context host api_key ca_cert validate_certs".split()
    ),
}
_READS = frozenset(
    "stat find slurp getent service_facts package_facts mount_facts wait_for "
    "wait_for_connection ping async_status".split()
)
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")
#: Modules of the runner that call a program of the inventory in check mode, too.
_CALLS_IN_CHECK_MODE = frozenset(
    f"{shipped.COLLECTION}.{name}" for name in ("rebooted_host", "reloaded_configuration")
)
#: What Ansible itself does without asking a host for anything that could change it.
_ON_THE_CONTROLLER = frozenset(
    "assert debug fail import_role import_tasks include_role include_tasks include_vars meta "
    "set_fact set_stats validate_argument_spec".split()
)
_FACTS = frozenset(("setup", "gather_facts"))


def reads_only(action: str) -> bool:
    """Whether a module is known to change nothing, whatever it is asked for."""
    name = action.rpartition(".")[2]
    known = action.startswith(_BUILTIN) or "." not in action
    return (known and name in _READS) or name.endswith(("_info", "_facts"))


def really_done(entry: Entry, found: Scan) -> tuple[str, ...]:
    """What a dry run of the entry may really do on a host, a sentence each; none when check mode
    holds for every task, or lets one through that is known to read only.

    Known are modules that come with Ansible or the runner, and what `dry_run.reads` lists. A
    module of the project may do what it likes in check mode, so it has to be listed, too.
    """
    if not entry.dry_run.required:
        return ()
    said = [*found.unknown, *found.unchecked]
    for task in found.tasks:
        if task.keywords.get("name") in entry.dry_run.reads:
            continue
        name = _full(task.written)
        if task.keywords.get("check_mode") in (None, True):
            if not _foreign(task.written, entry, found):
                said.append(f"Task {task.name} is of {task.written}, a module of the project")
            elif name in _CALLS_IN_CHECK_MODE:
                said.append(f"Task {task.name} runs its check in check mode, by {task.written}")
        elif not (_shipped_reader(name) and _foreign(task.written, entry, found)):
            said.append(f"Task {task.name} really runs in check mode, by {task.written}")
    return tuple(dict.fromkeys(said))


def _shipped_reader(name: str) -> bool:
    """Whether a module of Ansible or of the runner, by its full name, only reads."""
    if name.startswith("ansible.builtin."):
        short = name.removeprefix("ansible.builtin.")
        return short in _READS | _ON_THE_CONTROLLER | _FACTS
    return name.startswith(f"{shipped.COLLECTION}.") and name.endswith(("_info", "_facts"))


def _foreign(action: str, entry: Entry, found: Scan) -> bool:
    """Whether a module is Ansible's or a collection's, and none that lies with the project.

    A short name is taken from `library` beside the playbook or in a role before Ansible's own.
    """
    short = action.removeprefix("ansible.legacy.")
    if "." in short:
        return "{" not in action
    holders = (entry.folder, *found.folders)
    return short in _of_ansible() and not any(
        any((holder / "library").glob(f"{short}.*")) for holder in holders
    )


@cache
def _of_ansible() -> frozenset[str]:
    """The modules and action plugins that come with ansible-core, by their short names."""
    spec = find_spec("ansible")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    files = [path for place in places for path in place.glob("modules/*.py")]
    return _ON_THE_CONTROLLER | {path.stem for path in files}


def can_state(action: str) -> bool:
    """Whether a task of this module may have its effect from the entry."""
    return _full(action) in STATES


@dataclass(frozen=True)
class Checked:
    """The effects that hold up against the play's tasks, and what is wrong with the rest."""

    effects: tuple[Effect, ...]
    problems: tuple[str, ...]


def checked(entry: Entry, tasks: Sequence[Task]) -> Checked:
    """`dry_run` of the entry against every task that its play reaches."""
    sound, problems = [], []
    for effect in entry.dry_run.effects:
        wrong = list(_against(effect, tasks))
        problems += [f"dry_run.effects: {text}" for text in wrong]
        if not wrong:
            sound.append(effect)
    for name in entry.dry_run.reads:
        found = _named(tasks, name)
        left_out = ["ansible_check_mode" in str(task.keywords.get("when")) for task in found]
        if not found:
            problems.append(f"dry_run.reads: there is no task called {name!r}")
        elif not any(left_out) and not any(map(really_runs, found)):
            why = "has no check_mode: false, so a dry run does not really run it"
            problems.append(f"dry_run.reads: {name!r} {why}")
    return Checked(tuple(sound), tuple(problems))


def _against(effect: Effect, tasks: Sequence[Task]) -> Iterator[str]:
    found = _named(tasks, effect.task)
    if len(found) != 1:
        yield f"{_count(found)} called {effect.task!r}; the effect must be of exactly one"
        return
    module = _full(found[0].written)
    if module not in STATES:
        known = ", ".join(sorted(STATES))
        yield f"{effect.task!r} is of {found[0].written}, which is none of {known}"
    elif others := sorted(set(found[0].arguments) - STATES[module]) or found[0].free:
        what = ", ".join(others) if isinstance(others, list) else others
        yield f"{effect.task!r} also asks for {what}, which a state does not show"
    readers = _named(tasks, effect.before)
    if len(readers) != 1:
        yield f"before: {_count(readers)} called {effect.before!r}; name the one that reads it"
    elif not (reads_only(_full(readers[0].written)) or really_runs(readers[0])):
        yield f"before: a dry run does not really run {effect.before!r}; give it check_mode: false"


def really_runs(task: Task) -> bool:
    """Whether check mode runs it like any run."""
    return task.keywords.get("check_mode") is False


def _named(tasks: Sequence[Task], name: str) -> list[Task]:
    return [task for task in tasks if task.keywords.get("name") == name]


def _count(found: Sequence[Task]) -> str:
    return f"there are {len(found)} tasks" if found else "there is no task"


def _full(action: str) -> str:
    for prefix in _BUILTIN:
        if action.startswith(prefix):
            return f"ansible.builtin.{action.removeprefix(prefix)}"
    return action if "." in action else f"ansible.builtin.{action}"
