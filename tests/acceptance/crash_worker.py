"""A runner that ends itself with SIGKILL at a named point: `crash_worker.py RUNNER_YML POINT`.

Point `never` works until the first incident has ended and prints it as JSON. The points are
between any two things that must both survive; production code knows nothing of them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner import acts, daemon, engine, remediate
from runner.incident import State
from runner.incident_report import load, to_json
from runner.intake import admit
from runner.project import Project
from runner.steps import perform
from runner.store import deliveries, incidents
from tests import small_project as small


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal may take a moment; nothing may happen in it


def at(point: str, name: str) -> None:
    if point == name:
        kill()


def around_steps(point: str) -> None:
    """before:STEP and after:STEP, the latter before the engine has recorded the answer."""
    guarded = remediate._guarded

    def wrapped(function: Callable[..., Any], incident: int, *args: int) -> Any:
        # Of a plan's steps the last argument tells which one it is.
        step = f":{args[-1]}" if args else ""
        at(point, f"before:{function.__name__}")
        at(point, f"before:{function.__name__}{step}")
        answer = guarded(function, incident, *args)
        at(point, f"after:{function.__name__}")
        at(point, f"after:{function.__name__}{step}")
        if not answer and function.__name__ == "judge":
            at(point, "held")
        return answer

    remediate._guarded = wrapped


def around_runs(point: str) -> None:
    """intent, midway, ended and recorded of the dry run and of the run."""
    run, write = perform.ansible.run, perform._write
    purpose, entry = "none", "none"

    def moment(name: str) -> None:
        at(point, f"{purpose}:{name}")
        at(point, f"{purpose}:{name}:{entry}")

    def wrapped(request: Any, **options: Any) -> Any:
        nonlocal purpose, entry
        purpose, entry = "dry_run" if request.check else "run", request.entry_id
        moment("intent")
        if point in (f"{purpose}:midway", f"{purpose}:midway:{entry}"):
            options["on_started"] = lambda pid, group: threading.Timer(0.7, kill).start()
        result = run(request, **options)
        moment("ended")
        return result

    def recorded(*args: Any, **options: Any) -> None:
        write(*args, **options)
        moment("recorded")

    perform.ansible.run, perform._write = wrapped, recorded  # type: ignore[assignment]


def around_holds(point: str) -> None:
    """looks_again, after what was held back was queued to be judged anew."""
    release_held = daemon.release_held

    def looked(project: Project) -> int:
        found = release_held(project)
        if found:
            at(point, "looks_again")
        return found

    daemon.release_held = looked


def around_admission(point: str) -> None:
    """admitting, inside the transaction, and admitted, after it."""
    advance, step = deliveries.advance, admit.Inbox.step

    def within(*args: Any, **options: Any) -> None:
        advance(*args, **options)
        at(point, "admitting")

    def stepped(self: admit.Inbox) -> bool:
        more = step(self)
        if more:
            at(point, "admitted")
        return more

    deliveries.advance, admit.Inbox.step = within, stepped  # type: ignore[method-assign]


def around_turns(point: str) -> None:
    """handed_over, after that is committed and before the engine is told to look."""
    ring = engine.Worker.ring

    def rung(self: engine.Worker) -> None:
        at(point, "handed_over")
        ring(self)

    engine.Worker.ring = rung  # type: ignore[method-assign]


def main(config: Path, point: str) -> None:
    around_steps(point)
    around_runs(point)
    around_holds(point)
    around_admission(point)
    around_turns(point)
    project = Project.load(config)
    works = daemon.Daemon(project)
    alert = json.loads((config.parent / "alert.json").read_text())
    if not (config.parent / "acknowledged").exists():
        acts.deliver(project, small.body(alert), source="webhook")
        (config.parent / "acknowledged").touch()
        at(point, "stored")
    works.start()
    ended = wait(project)
    print(json.dumps(to_json(ended)))
    sys.stdout.flush()
    os._exit(0)


def wait(project: Project) -> Any:
    while True:
        with project.database.read() as tx:
            try:
                state = incidents.get(tx, 1).state
            except Exception:
                state = None
            if state and (state.ended or state is State.WAITING):
                return load(tx, 1)
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
