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
            load = Load(supervisor.pid, only_waits)
            until = time.monotonic() + (request.timeout + request.grace).total_seconds() + _SLACK
            stopped: str | None = None
            while not stopped and not _ended(supervisor, _LOOK):
                if cancelled():
                    stopped = "cancelled"
                elif time.monotonic() > until:
                    stopped = "timeout"
                else:
                    load.look()
            if stopped:
                _stop(supervisor, request)
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
    """Its result, once another process has read what it left, where its supervisor did not.

    That process has the limits that the run's own supervisor had.
    """
    if not (folder / "summary.json").exists():
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
            subprocess.run(
                [sys.executable, "-I", str(_SUPERVISOR), str(place / "spec.json")],
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
    return finish(folder, intent, mask, stopped)


def warm_up(request: RunRequest, warm: Warm) -> None:
    """Have the warm process begin before the first run that is like this one asks for it."""
    with tempfile.TemporaryDirectory(dir=private_root()) as folder:
        warm.begin(closed(request, Path(folder)), Path(folder))


def _limits(mask: Mask, memory: int) -> dict[str, Any]:
    """What is masked, and how much memory each process of a run may have, in bytes."""
    return {"mask": mask.described(), "memory": memory}


def _begin(request: RunRequest, mask: Mask, warm: Warm | None) -> tuple[dict[str, Any], Holder]:
    """Make the run's folder, which can be made once only, copy what it reads, and start it."""
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
        intent = _describe(request, private, mask)
        environment, loading = closed(request, private), request.loading
        if loading.files is not None and request.snapshot is not None:
            snapshot.take(request.snapshot, loading.files, loading.base)
            assert loading.cache is not None or not loading.collections
            collections = [
                snapshot.collection(loading.cache, name, folder, digest)
                for name, (folder, digest) in loading.collections.items()
                if loading.cache
            ]
            environment |= copied(request, collections)
        supervisor = _spawn(request, private, environment, warm)
    except (OSError, Refused) as error:
        for folder in filter(None, (private, request.folder)):
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, Refused):
            raise
        raise RunnerError(f"run {request.id}: cannot be started: {error}") from None
    record = {"pid": supervisor.pid, "started": processes.started_at(supervisor.pid)}
    write_whole(request.folder / "process.json", json.dumps(record).encode())
    return intent, supervisor


def _describe(request: RunRequest, private: Path, mask: Mask) -> dict[str, Any]:
    """Note what will be started, before it is: kept as the intent, and for its supervisor."""
    playbook, roles = request.playbook, list(request.roles_path)
    if request.snapshot:
        playbook = snapshot.mirrored(request.snapshot, playbook)
        roles = [*(snapshot.mirrored(request.snapshot, path) for path in roles), *roles]
    inventory = request.inventory if request.excerpt is None else (private / EXCERPT,)
    intent = {
        "id": request.id,
        "entry": request.entry_id,
        "hosts": list(request.hosts),
        "allowed": sorted(request.touchable),
        "check": request.check,
        "effects": [effect.model_dump() for effect in request.effects],
        "memory": request.memory,
        "reads": list(request.reads),
        "left_out": list(request.left_out),
        "private": str(private),
        "snapshot": str(request.snapshot or ""),
        "started_at": datetime.now(UTC).isoformat(),
        "deadline": time.time() + (request.timeout + request.grace).total_seconds(),
        "grace": request.grace.total_seconds(),
    }
    spec = intent | {
        "folder": str(request.folder),
        "playbook": request.playbook_name or str(playbook),
        "tags": ",".join(request.tags),
        "skip_tags": ",".join(request.skip_tags),
        "variables": str(private / "variables.json"),
        "inventory": list(map(str, inventory)),
        "given": [str(private / name) for name in ("variables.json", EXCERPT)],
        "roles_path": list(map(str, roles)),
        "limit": ",".join((*request.hosts, *request.also)),
        "forks": request.forks,
        "timeout": request.timeout.total_seconds(),
        "ended": False,
        **_limits(mask, request.memory),
    }
    write_whole(request.folder / "intent.json", json.dumps(intent).encode())
    write_whole(private / "spec.json", json.dumps(spec).encode())
    return intent


def _spawn(
    request: RunRequest, private: Path, environment: dict[str, str], warm: Warm | None
) -> Holder:
    spec = private / "spec.json"
    with open(request.folder / "supervisor.log", "wb", opener=opener) as log:
        try:
            if warm and (forked := warm.supervise(spec, environment, private, log.fileno())):
                return forked
        except OSError:
            try:
                # Under another name, so that whoever was asked cannot begin any more.
                spec = spec.rename(private / "spec-cold.json")
            except FileNotFoundError:  # somebody had begun
                grace = request.grace.total_seconds()
                processes.end(lambda: processes.of_run(request.id), grace=grace)
                raise OSError("the warm process went away while it started the run") from None
        return subprocess.Popen(
            [sys.executable, "-I", str(_SUPERVISOR), str(spec)],
            env=environment,
            cwd=private,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _private(request: RunRequest) -> Path:
    """A fresh folder for this run alone, with all that it is given to read in it."""
    private = Path(tempfile.mkdtemp(prefix="runner-", dir=private_root()))
    (private / "tmp").mkdir(mode=0o700)
    (private / "ansible.cfg").touch(mode=0o600)
    write_variables(private / "variables.json", request.variables)
    if request.excerpt is not None:
        write_whole(private / EXCERPT, request.excerpt)
    loading, trusted = request.loading, [private, request.folder, request.loading.cache]
    listed = loading.files
    # The inventory counts by the values that it gives the plan's hosts.
    by_value = [*request.inventory, *loading.passwords]
    for path in request.inventory:
        by_value += [path.parent / name for name in ("group_vars", "host_vars")]
    by_value += filter(None, [request.vault_password_file])
    watch = {
        "roots": list(map(str, loading.roots)),
        "trusted": [str(path) for path in trusted if path],
        "ignored": list(map(str, by_value)),
        "strict": loading.strict,
        "listed": None if listed is None else {str(path): d for path, d in listed.items()},
        "report": str(private / "loaded.jsonl"),
        "unread": list(request.unread),
    }
    write_whole(private / "watch.json", json.dumps(watch).encode())  # see `watched.py`
    return private


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
