"""The path of an incident, from top to bottom, as durable workflows.

Every step's answer is stored before the next one starts, so that a crash repeats at most the
step that was under way. A person who is asked is not waited for: the first workflow ends, and
the answer starts the second. Nor is time: what is held back has no workflow until it is over.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from dbos import DBOS

from runner.errors import RunnerError, StoreError
from runner.project import Project
from runner.steps.approach import approach
from runner.steps.ask import ask
from runner.steps.carry_out import carry_out
from runner.steps.confirm import After, confirm, undo
from runner.steps.decide import decide
from runner.steps.gather import gather
from runner.steps.inject import inject
from runner.steps.judge import judge
from runner.steps.locate import admit, locate
from runner.steps.progress import Then, escalate
from runner.steps.rehearse import rehearse
from runner.store import incidents
from runner.store.runs import WorkerDead

logger = logging.getLogger(__name__)

_R = TypeVar("_R")

#: The steps by the names under which their answers are stored: an incident that an earlier
#: release began goes on by them, so a function may be renamed here, a name may not.
STEPS: Mapping[str, Callable[..., Then | After]] = {
    "admit": admit,
    "locate": locate,
    "gather": gather,
    "decide": decide,
    "judge": judge,
    "rehearse": rehearse,
    "ask": ask,
    "carry_out": carry_out,
    "confirm": confirm,
    "approach": approach,
    "undo": undo,
    "inject": inject,
}
_project: Project | None = None

#: Workflows that run in this process right now, by id.
active: set[str] = set()


def work_on(project: Project) -> None:
    """The project whose incidents this process works on: workflows know only ids."""
    global _project
    _project = project


@DBOS.workflow(name="remediate", max_recovery_attempts=None)
def remediate(incident: int, round: int = 0) -> None:
    """From an admitted alert to an approved plan, and on where no person is asked.

    What was held back or asked about begins a round of its own, with a workflow of its own.
    """

    def path() -> None:
        for name in ("admit", "locate", "gather", "decide", "judge", "rehearse", "ask"):
            if not _step(name, incident, round):
                return
        _act(incident, round)

    _tracked(path)


@DBOS.workflow(name="proceed", max_recovery_attempts=None)
def proceed(incident: int, round: int | None = None) -> None:
    """From an approved plan to a verified fix, an undo or an escalation.

    `round` is None for an answer that was given to an earlier release.
    """
    _tracked(lambda: _act(incident, round))


@DBOS.workflow(name="drill", max_recovery_attempts=None)
def drill(incident: int) -> None:
    """Inject a fault on purpose; what the runner makes of it is another incident."""
    _tracked(lambda: _step("inject", incident, None))


def _act(incident: int, round: int | None) -> None:
    step = attempt = 1
    while _step("carry_out", incident, round, attempt, step):
        after = After(_step("confirm", incident, round, step))
        if after is After.AGAIN:
            attempt += 1
        elif after is After.NEXT:
            step, attempt = step + 1, 1
            if not _step("approach", incident, round, step):
                return
        else:
            if after is After.UNDO:
                _step("undo", incident, round)
            return


def _tracked(path: Callable[[], object]) -> None:
    workflow = DBOS.workflow_id or ""
    active.add(workflow)
    try:
        path()
        assert _project is not None
        # Make room for the next; where the store is away, the worker's own look does it later.
        try:
            with _project.database.write() as tx:
                _project.queue.end(tx, workflow)
        except StoreError as error:
            logger.debug("%s still counts as begun: %s", workflow, error)
    finally:
        active.discard(workflow)


def _step(name: str, incident: int, round: int | None, *args: int) -> Any:
    """The stored answer of a step, or the step itself. A workflow whose round is over (it was
    cut short when it held the incident back, or asked) leaves the incident to the next one."""

    def work() -> Any:
        if round is not None and _round_now(incident) > round:
            return (After.END if name == "confirm" else Then.STOP).value
        return _guarded(STEPS[name], incident, *args).value

    return DBOS.run_step({"name": name}, work)


def _round_now(incident: int) -> int:
    """The round that the incident is in, as soon as the store can be asked."""
    project = _project
    assert project is not None, "work_on comes before the engine starts"
    while True:
        try:
            with project.database.read() as tx:
                return incidents.round_of(tx, incident)
        except StoreError as error:
            logger.warning("incident %s waits for the store: %s", incident, error)
            project.sleep(1.0)


def _guarded(function: Callable[..., _R], incident: int, *args: int) -> _R:
    """A step's answer. A store that is away is waited for; any other failure is a person's."""
    project = _project
    assert project is not None, "work_on comes before the engine starts"
    while True:
        try:
            return function(project, incident, *args)
        except StoreError as error:
            logger.warning("incident %s waits in %s: %s", incident, function.__name__, error)
            project.sleep(1.0)
        except WorkerDead:
            logger.critical("this worker was marked dead while it lived; it exits")
            os._exit(75)
        except RunnerError as error:
            return _given_up(project, incident, function, str(error))
        except Exception as error:
            logger.exception("incident %s: %s failed", incident, function.__name__)
            reason = f"internal error in {function.__name__}: {type(error).__name__}"
            return _given_up(project, incident, function, reason)


def _given_up(project: Project, incident: int, function: Callable[..., _R], reason: str) -> _R:
    while True:
        try:
            escalate(project, incident, reason)
            return cast(_R, After.END if function is confirm else Then.STOP)
        except StoreError as error:
            logger.warning("incident %s waits to be escalated: %s", incident, error)
            time.sleep(1.0)
