"""Start one run, follow it, end it when asked, and say what it came to.

The run is held by a supervisor process of its own session, so that it survives
the runner's death, ends at its deadline all the same, and can be found again
with `recover`. Any number of threads may call `run` at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from runner.errors import Refused, RunnerError
from runner.evidence.mask import Mask
from runner.execute import processes, snapshot
from runner.execute.environment import closed, copied, private_root
from runner.execute.live import Follower
from runner.execute.load import Load
from runner.execute.request import MEMORY, RunRequest, RunResult, TaskEvent
from runner.execute.result import finish
from runner.execute.variables import write_variables
from runner.execute.warm.client import Supervisor, Warm
from runner.private import make_folder, opener, write_whole

ALIVE: Final = "alive"
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SLACK = 20.0  # seconds that the supervisor has beyond its deadline and grace
_SUMMARY = 20.0  # seconds that a summary may take which a lost supervisor has not left
_LOOK = 0.25  # seconds between two questions whether the run is cancelled


#: Ansible takes a file without an ending for YAML, and so for JSON, whatever its settings say.
EXCERPT = "hosts"

#: What holds a run: started, or a fork of the warm process.
Holder = subprocess.Popen[bytes] | Supervisor

_SECRETS = Mask()
logger = logging.getLogger(__name__)


def _never(*_: bool) -> bool:
    return False


def run(
    request: RunRequest,
    *,
    on_event: Callable[[TaskEvent], None] | None = None,
    cancelled: Callable[[], bool] = _never,
    only_waits: Callable[[bool], bool] = _never,
    on_started: Callable[[int, int], None] | None = None,
    mask: Mask = _SECRETS,
    warm: Warm | None = None,
) -> RunResult:
    """Run `request` once and return what it came to; a failed play is a result, not an error.

    `on_event` is called from another thread and may be slow. `only_waits` is told about once a
    second whether the run uses no processor worth mentioning, until it answers False.
    `on_started` gets the supervisor's process id and process group. `warm` saves Ansible's start
    where it can.
    Raises Refused when a run with this id was started before, RunnerError when nothing could be
    started.
    """
    intent, supervisor = _begin(request, mask, warm)
    private = Path(intent["private"])
    with Follower(private / "events.jsonl", on_event):
        try:
            if on_started:
                on_started(supervisor.pid, supervisor.pid)
            stopped = _wait(supervisor, request, cancelled, Load(supervisor.pid, only_waits))
            _sweep(request)
        except BaseException:
            _stop(supervisor, request)
            _sweep(request)
            _finish(request.folder, intent, mask, "cancelled")
            raise
    return _finish(request.folder, intent, mask, stopped)


def recover(
    artifacts: Path, run_id: str, *, mask: Mask = _SECRETS, unwanted: bool = False
) -> RunResult | Literal["alive"] | None:
    """What became of a run whose runner died.

    `"alive"` while it goes on; ask again later. None when this machine has no trace
    of it: it never started here. Otherwise its result, with outcome unknown when
    nothing proves what happened. A run past its deadline is ended first, and so is one that
    is `unwanted`.
    """
    folder = artifacts / run_id
    intent = _read(folder / "intent.json")
    if intent is None:
        return None
    stopped = None
    if _living(folder, run_id):
        overdue = time.time() >= float(intent["deadline"]) + _SLACK
        if not overdue and not unwanted:
            return ALIVE
        processes.end(lambda: _living(folder, run_id), grace=float(intent["grace"]))
        stopped = "timeout" if overdue else "cancelled"
    return _finish(folder, intent, mask, stopped)


def _finish(folder: Path, intent: dict[str, Any], mask: Mask, stopped: str | None) -> RunResult:
    if not (folder / "summary.json").exists():
        _summarize(folder, intent, mask)
    return finish(folder, intent, mask, stopped)


def _summarize(folder: Path, intent: dict[str, Any], mask: Mask) -> None:
    """Have another process do it, within the limits that the run's own supervisor had."""
    spec = {
        "private": intent["private"],
        "folder": str(folder),
        "check": intent["check"],
        "effects": intent.get("effects", ()),
        "reads": intent.get("reads", ()),
        "ended": True,
        **_limits(mask, intent.get("memory", MEMORY)),
    }
    place = Path(tempfile.mkdtemp(prefix="runner-", dir=private_root()))
    try:
        write_whole(place / "spec.json", json.dumps(spec).encode())
        command = [sys.executable, "-I", str(_SUPERVISOR), str(place / "spec.json")]
        subprocess.run(
            command,
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SUMMARY,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        logger.warning("run %s: what it printed and changed cannot be read", intent["id"])
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _limits(mask: Mask, memory: int) -> dict[str, Any]:
    """What is masked, and how much memory each process of a run may have, in bytes."""
    return {"mask": mask.described(), "memory": memory}


def _begin(request: RunRequest, mask: Mask, warm: Warm | None) -> tuple[dict[str, Any], Holder]:
    """Make the run's folder, which can be made once only, and start the supervisor."""
    private = None
    try:
        make_folder(request.artifacts)
        request.folder.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused(f"run {request.id} was started before and is never started again") from None
    except OSError as error:
        raise RunnerError(f"run {request.id}: cannot be started: {error}") from None
    try:
        private = _private(request)
        intent = _intend(request, private)
        environment = closed(request, private) | _copied(request)
        supervisor = _spawn(request, private, environment, mask, warm)
    except (OSError, Refused) as error:
        for folder in filter(None, (private, request.folder)):
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, Refused):
            raise
        raise RunnerError(f"run {request.id}: cannot be started: {error}") from None
    _record_process(request.folder, supervisor.pid)
    return intent, supervisor


def _copied(request: RunRequest) -> dict[str, str]:
    """Copy all that the plan names; the environment that leads to the copy. Raises Refused."""
    loading = request.loading
    if loading.files is None or request.snapshot is None:
        return {}
    snapshot.take(request.snapshot, loading.files, loading.base)
    assert loading.cache is not None or not loading.collections
    collections = [
        snapshot.collection(loading.cache, name, folder, digest)
        for name, (folder, digest) in loading.collections.items()
        if loading.cache
    ]
    return copied(request, collections)


def _intend(request: RunRequest, private: Path) -> dict[str, Any]:
    """Note what will be started, before it is."""
    seconds = request.timeout.total_seconds() + request.grace.total_seconds()
    intent = {
        "id": request.id,
        "entry": request.entry_id,
        "hosts": list(request.hosts),
        "allowed": sorted(request.touchable),
        "check": request.check,
        "effects": [effect.model_dump() for effect in request.effects],
        "memory": request.memory,
        "reads": list(request.reads),
        "private": str(private),
        "snapshot": str(request.snapshot or ""),
        "started_at": datetime.now(UTC).isoformat(),
        "deadline": time.time() + seconds,
        "grace": request.grace.total_seconds(),
    }
    write_whole(request.folder / "intent.json", json.dumps(intent).encode())
    return intent


def _private(request: RunRequest) -> Path:
    """A fresh folder for this run alone, with the variables and its own inventory in it."""
    private = Path(tempfile.mkdtemp(prefix="runner-", dir=private_root()))
    (private / "tmp").mkdir(mode=0o700)
    (private / "ansible.cfg").touch(mode=0o600)
    write_variables(private / "variables.json", request.variables)
    if request.excerpt is not None:
        write_whole(private / EXCERPT, request.excerpt)
    return private


def _watch(request: RunRequest, private: Path) -> dict[str, Any]:
    """What the watch over Ansible's files must know, see `watched.py`."""
    loading, copies = request.loading, [private, request.folder]
    listed = loading.files
    return {
        "roots": list(map(str, loading.roots)),
        "trusted": [str(path) for path in (*copies, loading.cache) if path],
        "ignored": [str(path) for path in _by_value(request)],
        "strict": loading.strict,
        "listed": None if listed is None else {str(path): d for path, d in listed.items()},
        "report": str(private / "loaded.jsonl"),
    }


def _by_value(request: RunRequest) -> list[Path]:
    """The inventory: it counts by the values that it gives the plan's hosts."""
    paths = list(request.inventory)
    for path in request.inventory:
        paths += [path.parent / name for name in ("group_vars", "host_vars")]
    return [*paths, *request.loading.passwords, *filter(None, [request.vault_password_file])]


def _inventory(request: RunRequest, private: Path) -> tuple[Path, ...]:
    return request.inventory if request.excerpt is None else (private / EXCERPT,)


def _spawn(
    request: RunRequest,
    private: Path,
    environment: dict[str, str],
    mask: Mask,
    warm: Warm | None,
) -> Holder:
    def reads(path: Path) -> Path:
        return snapshot.mirrored(request.snapshot, path) if request.snapshot else path

    roles = [*map(reads, request.roles_path), *(request.roles_path if request.snapshot else ())]
    write_whole(private / "watch.json", json.dumps(_watch(request, private)).encode())
    spec = {
        "id": request.id,
        "private": str(private),
        "snapshot": str(request.snapshot or ""),
        "folder": str(request.folder),
        "playbook": str(reads(request.playbook)),
        "variables": str(private / "variables.json"),
        "inventory": list(map(str, _inventory(request, private))),
        "given": [str(private / name) for name in ("variables.json", EXCERPT)],
        "roles_path": list(map(str, roles)),
        "limit": ",".join(request.hosts),
        "check": request.check,
        "effects": [effect.model_dump() for effect in request.effects],
        "reads": list(request.reads),
        "forks": request.forks,
        "timeout": request.timeout.total_seconds(),
        "grace": request.grace.total_seconds(),
        "ended": False,
        **_limits(mask, request.memory),
    }
    path = private / "spec.json"
    write_whole(path, json.dumps(spec).encode())
    with open(request.folder / "supervisor.log", "wb", opener=opener) as log:
        if warm is not None:
            try:
                forked = warm.supervise(path, environment, private, log.fileno())
            except OSError:
                path = _taken_back(request, path)
            else:
                if forked is not None:
                    return forked
        return subprocess.Popen(
            [sys.executable, "-I", str(_SUPERVISOR), str(path)],
            env=environment,
            cwd=private,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _taken_back(request: RunRequest, spec: Path) -> Path:
    """What a run is, under another name: whoever was asked to hold it cannot begin any more.

    Raises OSError when somebody had begun, once that is ended.
    """
    mine = spec.with_name("spec-cold.json")
    try:
        spec.rename(mine)
    except FileNotFoundError:
        grace = request.grace.total_seconds()
        processes.end(lambda: processes.of_run(request.id), grace=grace)
        raise OSError("the warm process went away while it started the run") from None
    return mine


def _record_process(folder: Path, pid: int) -> None:
    record = {"pid": pid, "started": processes.started_at(pid)}
    write_whole(folder / "process.json", json.dumps(record).encode())


def _wait(
    supervisor: Holder, request: RunRequest, cancelled: Callable[[], bool], load: Load
) -> str | None:
    """Return when the supervisor has ended: why we ended it, if we did."""
    seconds = request.timeout.total_seconds() + request.grace.total_seconds() + _SLACK
    until = time.monotonic() + seconds
    while not _ended(supervisor, _LOOK):
        if cancelled():
            _stop(supervisor, request)
            return "cancelled"
        if time.monotonic() > until:
            _stop(supervisor, request)
            return "timeout"
        load.look()
    return None


def _ended(supervisor: Holder, seconds: float) -> bool:
    """Wait up to `seconds` for the end, and no longer than the end where Linux tells us."""
    if isinstance(supervisor, Supervisor):
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(seconds)
        return supervisor.poll() is not None
    try:
        handle = os.pidfd_open(supervisor.pid)
    except (AttributeError, OSError):
        try:
            supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
    try:
        select.select([handle], [], [], seconds)
    finally:
        os.close(handle)
    return supervisor.poll() is not None


def _stop(supervisor: Holder, request: RunRequest) -> None:
    """Ask the supervisor to end its run; when it does not, end everything ourselves."""
    supervisor.terminate()
    try:
        supervisor.wait(request.grace.total_seconds() + _SLACK / 2)
    except subprocess.TimeoutExpired:
        pass
    if supervisor.poll() is None:
        root, grace = supervisor.pid, request.grace.total_seconds()
        processes.end(lambda: processes.of_run(request.id, root=root), grace=grace)
        supervisor.wait()


def _sweep(request: RunRequest) -> None:
    """A supervisor that was killed leaves Ansible without a terminal: end what is left."""
    if not (request.folder / "ending.json").exists():
        grace = request.grace.total_seconds()
        processes.end(lambda: processes.of_run(request.id), grace=grace)


def _living(folder: Path, run_id: str) -> list[Any]:
    """The processes that still belong to the run; shared SSH connections do not count."""
    process = _read(folder / "process.json") or {}
    pid, started = process.get("pid"), process.get("started")
    root = pid if pid and started and processes.same(pid, started) else None
    if root is None and (folder / "ending.json").exists():
        return []  # what it started and left behind on purpose is not the run
    found = processes.of_run(run_id, root=root)
    return [each for each in found if not processes.is_shared_connection(each)]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
