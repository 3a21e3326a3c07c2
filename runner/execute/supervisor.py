"""The small process that holds one run, and outlives the runner if it must.

Started by file, isolated, in its own session: `python -I supervisor.py SPEC`. Or it is a fork
of the warm process, and then Ansible is a fork of it.
It runs ansible-runner once, writes each event, masked, to the private folder, ends the
whole process tree at the deadline or on SIGTERM, and leaves `ending.json` in the
run's folder: written whole, or not there at all. Then it reads what the run left, and
leaves `summary.json`; SPEC can ask for that alone, when a supervisor was lost.

Hosts can print as much as they like, so memory has a limit here and in every process of
the run, and so has the time for the summary. What does not fit is lost, and said; the
ending is written before.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # isolated, so nothing but the installed packages is importable
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from runner.evidence.mask import Mask
from runner.execute import events, result
from runner.execute.diff import Own
from runner.execute.shown import OutputFilter
from runner.private import opener, write_whole

if TYPE_CHECKING:
    from runner.execute.warm.child import Playing

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: orphans become our children, so descent finds them
_POLL = 0.25  # seconds; the default of 5 would be added to the end of a run
_WAITING = 16  # events that wait to be written; a run that is faster waits for its log
_BEGUN = ("playbook_", "runner_")  # events of a play; a mere warning may come before
SUMMARY_SECONDS = 10  # of processor time for the summary


class Log:
    """Writes events, masked, from a thread of its own; holds a bounded number of them."""

    def __init__(self, path: Path, given: Sequence[Path], own: Own, mask: result.Mask) -> None:
        self._mask = mask
        self.stats: dict[str, dict[str, int]] | None = None
        self.hosts: set[str] = set()
        self.begun = False  #: whether Ansible came as far as its plays
        self.unmatched: list[str] = []  #: plays that were for no host of the limit
        self._play = ""
        self._did: set[str] = set()
        self._skipped: set[str] = set()
        self._written = 0
        self._given = given
        self._own = own
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_WAITING)
        self._file = open(path, "ab", opener=opener)
        self._thread = threading.Thread(target=self._write_all, name="log")
        self._thread.start()

    def put(self, raw: Mapping[str, Any]) -> bool:
        """ansible-runner's event handler. False: it need not keep the event itself."""
        self._queue.put(raw)
        return False

    def close(self) -> None:
        """Return when every event is written."""
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(OSError):  # what could not be written is lost
            self._file.close()

    @property
    def idle(self) -> list[str]:
        """Hosts on which something was skipped and nothing else with an effect ran."""
        return sorted(self._skipped - self._did)

    def _write_all(self) -> None:
        while (raw := self._queue.get()) is not None:
            if str(raw.get("event")).startswith(_BEGUN):
                self.begun = True
                _remove(self._given)  # Ansible reads them before it begins
            try:
                self._plays(raw)
                event = events.compact(raw, self._own)
                self._tally(event)
                event = result.mask_event(event, self._mask)
            except (TypeError, ValueError, RecursionError, AttributeError, MemoryError) as error:
                event = {"event": str(raw.get("event")), "stdout": f"[unreadable: {error}]"}
                self._tally(event)
            if self._written > events.MAX_LOG:
                event = events.skeleton(event)
            if self._written > 2 * events.MAX_LOG and "stats" not in event:
                continue
            line = json.dumps(event, default=str).encode() + b"\n"
            self._written += len(line)
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:  # what is lost is only shown; the run must not stand still
                print(f"an event could not be kept: {error}", file=sys.stderr)

    def _plays(self, raw: Mapping[str, Any]) -> None:
        if raw.get("event") == "playbook_on_play_start":
            self._play = str((raw.get("event_data") or {}).get("name"))[:200]
        elif raw.get("event") == "playbook_on_no_hosts_matched" and len(self.unmatched) < 100:
            self.unmatched.append(self._play)

    def _tally(self, event: events.Event) -> None:
        self.stats = event.get("stats", self.stats)
        kind, host = event["event"], event.get("host")
        if not host or not kind.startswith("runner_"):
            return
        self.hosts |= {host, events.delegate_shown(event) or host}
        if events.has_effect(event.get("action", "")):
            if kind == "runner_on_skipped":
                self._skipped.add(host)
            elif kind in ("runner_on_ok", "runner_on_failed"):
                self._did.add(host)


class Stopper:
    """Ends the run's processes at the deadline or when SIGTERM asks for it."""

    def __init__(self, run_id: str, timeout: float, grace: float) -> None:
        self.reason: str | None = None
        self.survivors = 0
        self._run_id, self._timeout, self._grace = run_id, timeout, grace
        self._asked = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="stopper", daemon=True)
        signal.signal(signal.SIGTERM, lambda number, frame: self._asked.set())
        self._thread.start()

    def over(self) -> None:
        """The run has ended; return when nothing is being ended any more."""
        self._over.set()
        self._asked.set()
        self._thread.join()

    def sweep(self) -> None:
        """End whatever is left of the run."""
        from runner.execute import processes

        root = os.getpid()

        def find() -> list[Any]:
            return [p for p in processes.of_run(self._run_id, root=root) if p.pid != root]

        self.survivors = processes.end(find, grace=self._grace)

    def _wait(self) -> None:
        asked = self._asked.wait(self._timeout)
        if self._over.is_set():
            return
        self.reason = "cancelled" if asked else "timeout"
        while True:  # Ansible may have been started while we looked
            self.sweep()
            if self._over.wait(0.2):
                self.sweep()
                return


def preload() -> None:
    """Import what is imported late, for those that are forked off this process."""
    import ansible_runner.config.runner
    import ansible_runner.runner  # noqa: F401
    import pexpect  # type: ignore[import-untyped]  # noqa: F401

    from runner.execute import processes, watched  # noqa: F401


def main(path: Path, fork: Callable[[], Playing] | None = None) -> None:
    """Hold the run that the file `path` describes; the file is removed once read.

    `fork` makes the process that becomes Ansible; without it one is started.
    """
    spec = json.loads(path.read_bytes())
    path.unlink()  # where another supervisor took the run meanwhile, this one ends here
    private, folder = Path(spec["private"]), Path(spec["folder"])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A shell ignores it in what it starts in the background; a run has it as a warm one does.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    mask = Mask.of(spec["mask"])
    _limit(resource.RLIMIT_DATA, spec["memory"])
    if spec["ended"]:
        _summarize(spec, mask)
        return
    playing = fork() if fork else None  # while there is no second thread
    stopper = Stopper(spec["id"], spec["timeout"], spec["grace"])
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    given = list(map(Path, spec["given"]))
    log = Log(private / "events.jsonl", given, Own.of(spec), mask)
    code, error = _run(spec, private, log, stopper, playing)
    stopper.over()
    log.close()
    if log.stats is None and not stopper.reason:
        stopper.sweep()  # Ansible was killed, perhaps: then it ended none of its workers
    _remove(given)
    ending = _ending(private, log, stopper, code, error)
    ending["warm"] = playing is not None and playing.began
    write_whole(folder / "ending.json", json.dumps(ending).encode())
    _summarize(spec, mask)


def _remove(given: Sequence[Path]) -> None:
    """Take away what only this run was given to read: its variables, its own inventory."""
    for path in given:
        path.unlink(missing_ok=True)


def _limit(what: int, most: int) -> None:
    """Lower the soft limit, which children inherit; they may raise it again up to the hard one."""
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _summarize(spec: Mapping[str, Any], mask: Mask) -> None:
    """Within limits: whoever reaches one ends here, without a summary."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + SUMMARY_SECONDS)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    try:
        result.summarize(spec, mask)
    except MemoryError:
        print("the summary needs more memory than it may have", file=sys.stderr)


def _run(
    spec: Mapping[str, Any], private: Path, log: Log, stopper: Stopper, playing: Playing | None
) -> tuple[int | None, str]:
    """Ansible's status, None where there is none, and what went wrong around it."""
    try:
        import pexpect
        from ansible_runner.config.runner import RunnerConfig
        from ansible_runner.runner import Runner

        _hasten(pexpect, playing)
        config = RunnerConfig(
            private_data_dir=str(private),
            artifact_dir=str(private / "artifacts"),
            ident="run",
            playbook=spec["playbook"],
            inventory=spec["inventory"],
            roles_path=spec["roles_path"] or None,
            limit=spec["limit"],
            extravars=spec["variables"],
            cmdline="--check --diff" if spec["check"] else "--diff",
            tags=spec["tags"] or None,
            skip_tags=spec["skip_tags"] or None,
            forks=spec["forks"],
            quiet=True,
            fact_cache_type="none",
            suppress_env_files=True,
        )
        config.prepare()
        watched = str(Path(__file__).with_name("watched.py"))
        config.command[:1] = [sys.executable, "-P", watched, str(private / "watch.json")]
        config.pexpect_timeout = _POLL
        config.suppress_output_file = True
        held = Runner(config, event_handler=log.put)
        if stopper.reason:
            return None, "it was ended before Ansible began"
        held.run()
    except Exception as error:
        return None, f"ansible-runner: {type(error).__name__}: {error}"[:500]
    return held.rc, ""


def _hasten(pexpect: Any, playing: Playing | None) -> None:
    """No fixed sleep at the terminal's close, no error when a daemon still holds it, and a bound
    on what is kept of what was shown there. Where Ansible is a fork, that is what is spawned."""
    from ptyprocess import PtyProcess  # type: ignore[import-untyped]

    class Spawn(pexpect.spawn):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._shown = OutputFilter()
            super().__init__(*arguments, maxread=64 * 1024, **options)

        def _spawnpty(self, command: list[bytes], **options: Any) -> Any:
            if playing and playing.begin(command, options["env"], options["cwd"]):
                return PtyProcess(playing.pid, playing.terminal)
            return super()._spawnpty(command, **options)

        def close(self, force: bool = True) -> None:
            self.ptyproc.delayafterclose = 0
            super().close(force=force)

        def expect(self, pattern: Any, *arguments: Any, **options: Any) -> Any:
            if pattern is pexpect.EOF:
                return super().expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1)
            found = super().expect(pattern, *arguments, **options)
            # Nobody looks at what was read and matched nothing; without this it is all kept.
            self._buffer, self._before = self.buffer_type(), self.buffer_type()
            return found

        def _log(self, text: str, direction: str) -> None:
            super()._log(self._shown(text) if direction == "read" else text, direction)

    pexpect.spawn = Spawn


def _ending(
    private: Path, log: Log, stopper: Stopper, code: int | None, error: str
) -> dict[str, Any]:
    """What is recorded of the run's end."""
    delegates, changed = _acted_on(events.read_lines(private / "facts.jsonl"))
    loaded = list(events.read_lines(private / "loaded.jsonl"))
    return {
        "rc": code,
        "stats": log.stats,
        "hosts_seen": sorted(log.hosts | delegates),
        "changed": sorted(changed),
        "begun": log.begun,
        "idle": log.idle,
        "unmatched": log.unmatched,
        "stopped": stopper.reason,
        "survivors": stopper.survivors,
        "loaded": {line["loaded"]: line["digest"] for line in loaded if "loaded" in line},
        "refused": [f"{line['refused']}: {line['why']}" for line in loaded if "refused" in line],
        "error": error,
        "ended_at": datetime.now(UTC).isoformat(),
    }


def _acted_on(facts: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """(hosts that tasks were delegated to, hosts that were changed, by delegation or themselves).

    The items of a loop come before its whole result, which need not know their delegates.
    """
    delegates: set[str] = set()
    changed: set[str] = set()
    delegated = set()  # (task, host) that changed something elsewhere
    for fact in facts:
        host, delegate = fact.get("host"), fact.get("delegate")
        if isinstance(delegate, str):
            delegates.add(delegate)
        if not isinstance(host, str) or not fact.get("changed"):
            continue
        if isinstance(delegate, str):
            changed.add(delegate)
            delegated.add((fact.get("uuid"), host))
        elif (fact.get("uuid"), host) not in delegated:
            changed.add(host)
    return delegates, changed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do that a clean-up at exit would add
