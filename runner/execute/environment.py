"""The closed environment of a run: a fixed list, and what the configuration adds.

Nothing is inherited from the runner's own environment, because Ansible loads
plugins and settings, and Python code, from whatever is named there.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from runner.child import PATH, home
from runner.execute.request import RunRequest
from runner.execute.snapshot import mirrored
from runner.private import ours_alone

_FIRST_PERSON = 1000  # the first uid of a person: logind empties a person's /dev/shm at logout

_CALLBACKS = "ANSIBLE_CALLBACK_PLUGINS"
_COLLECTIONS = "ANSIBLE_COLLECTIONS_PATH"
_OWN_CALLBACKS = Path(__file__).parent / "callback"

#: Set unless the project's ansible.cfg says something: variable → key, sections that may have it.
_TUNING = {
    "ANSIBLE_PIPELINING": ("pipelining", ("connection", "ssh_connection", "defaults")),
    "ANSIBLE_SSH_ARGS": ("ssh_args", ("ssh_connection",)),
    "ANSIBLE_SSH_CONTROL_PATH_DIR": ("control_path_dir", ("ssh_connection",)),
}


#: Set where the project's ansible.cfg says something else: variable → key, value. What it logs,
#: caches or calls would outlive the run or get its output unmasked.
_OVERRIDDEN = {
    "ANSIBLE_STRATEGY": ("strategy", "linear"),
    "ANSIBLE_CACHE_PLUGIN": ("fact_caching", "memory"),
    "ANSIBLE_RETRY_FILES_ENABLED": ("retry_files_enabled", "False"),
    "ANSIBLE_LOG_PATH": ("log_path", os.devnull),
    # A name that is no full one adds none.
    "ANSIBLE_CALLBACKS_ENABLED": ("callbacks_enabled", "remediation_facts"),
}


def private_root() -> Path:
    """Where private folders are made: memory where that is safe, else the temporary folder."""
    memory = Path("/dev/shm")
    if os.getuid() < _FIRST_PERSON and os.access(memory, os.W_OK | os.X_OK):
        return memory
    return Path(tempfile.gettempdir())


def closed(request: RunRequest, private: Path) -> dict[str, str]:
    """Every variable that the run's processes get."""
    variables = {
        "RUNNER_RUN_ID": request.id,
        "RUNNER_TASK_FACTS": str(private / "facts.jsonl"),
        "PATH": PATH,
        # The real one: keys and collections are named from it in people's inventories.
        "HOME": home(),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(request.ansible_config or private / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        "ANSIBLE_HOST_KEY_CHECKING": str(request.host_key_checking),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NOCOWS": "1",
        # A question would wait at a terminal that nobody reads until the timeout.
        "ANSIBLE_ASK_PASS": "False",
        "ANSIBLE_ASK_VAULT_PASS": "False",
        "ANSIBLE_BECOME_ASK_PASS": "False",
        # ansible-runner empties larger results; ours are cut with a note instead.
        "MAX_EVENT_RES": "4000000",
        # What is shown of a result is bounded before it is written anywhere.
        "ANSIBLE_STDOUT_CALLBACK": "bounded_display",
        # Without it nobody could tell that a task failed for want of memory.
        "ANSIBLE_DISPLAY_TRACEBACK": "error",
    }
    if request.vault_password_file:
        variables["ANSIBLE_VAULT_PASSWORD_FILE"] = str(request.vault_password_file)
    variables |= _tuned(request, private) | dict(request.environment)
    named = variables.get(_CALLBACKS)
    variables[_CALLBACKS] = f"{named}:{_OWN_CALLBACKS}" if named else str(_OWN_CALLBACKS)
    if request.loading.collection_paths:
        variables[_COLLECTIONS] = _paths(request.loading.collection_paths)
    return variables


def copied(request: RunRequest, collections: Iterable[Path]) -> dict[str, str]:
    """The variables that lead Ansible to the run's private copy instead of the project."""
    assert request.snapshot is not None
    loading, found = request.loading, {}
    for name, folders in loading.plugin_folders.items():
        copies = [mirrored(request.snapshot, folder) for folder in folders]
        if name == _CALLBACKS:  # those that only an ansible.cfg names are not used
            copies = [*(copies if name in request.environment else ()), _OWN_CALLBACKS]
        if copies:
            found[name] = _paths(copies)
    if loading.collection_paths:
        found[_COLLECTIONS] = _paths((*collections, *loading.collection_paths))
    return found


def _paths(folders: Iterable[Path]) -> str:
    return os.pathsep.join(map(str, folders))


def _tuned(request: RunRequest, private: Path) -> dict[str, str]:
    # A short folder that outlives the run, so that SSH connections are shared; ours alone.
    shared = Path(tempfile.gettempdir()) / f"runner-ssh-{os.getuid()}"
    fit = ours_alone(shared) and len(str(shared)) < 60
    values = {
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=30m",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(shared if fit else private),
    }
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(request.ansible_config or ())
    except (configparser.Error, UnicodeDecodeError):
        return values  # Ansible itself will say what is wrong with it
    for name, (key, value) in _OVERRIDDEN.items():
        if config.has_option("defaults", key):
            values[name] = value
    for name, (key, sections) in _TUNING.items():
        if any(config.has_option(section, key) for section in sections):
            del values[name]
    return values
