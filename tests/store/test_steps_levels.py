"""How far an incident may go holds whatever interrupts a step, and wherever it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError
from runner.incident import Decision, Level, State
from runner.project import Project
from runner.steps.ask import ask
from runner.steps.carry_out import carry_out
from runner.steps.judge import judge
from runner.steps.rehearse import rehearse
from runner.store import incidents, records, workers
from tests import small_project as small
from tests.real.test_learning import opened

pytestmark = pytest.mark.store

Made = Callable[[str], Project]


@pytest.fixture
def made(tmp_path: Path, store_url: str) -> Iterator[Made]:
    """A project at a level, whose entry needs no check mode."""
    projects: list[Project] = []

    def make(level: str) -> Project:
        path = small.make(tmp_path, settings={"level": level}, entry={"dry_run": "none"})
        project = small.project(path, store_url)
        projects.append(project)
        with project.database.write() as tx:
            workers.join(tx, "worker", "here")
        return project

    yield make
    for project in projects:
        project.close()


def decided(project: Project) -> int:
    """An incident for which the rules chose the entry."""
    incident = opened(project)
    with project.database.write() as tx:
        chosen = Decision(decider="rules", entry="mark", reason="it fits", confidence=1.0)
        records.put_decision(tx, incident, chosen)
    return incident


class Interrupted:
    """A store whose `number`-th write from now on fails, as in a crash just before it."""

    def __init__(self, project: Project, number: int) -> None:
        self.write, self.left = project.database.write, number

    def __call__(self) -> AbstractContextManager[Any]:
        self.left -= 1
        if self.left == 0:
            raise StoreError("the store is unavailable")
        return self.write()


def gone_through(project: Project, incident: int, *steps: Callable[[Project, int], bool]) -> bool:
    """Whether the last step lets it go on; each is repeated when the store fails, as always."""
    for step in steps:
        while True:
            try:
                on = step(project, incident)
                break
            except StoreError:
                continue
        if not on:
            return False
    return True


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize(
    ("level", "state"), [("observe", State.OBSERVED), ("dry-run", State.DRY_RUN)]
)
def test_an_interrupted_step_lets_nothing_go_further(
    made: Made, monkeypatch: pytest.MonkeyPatch, level: str, state: State, number: int
) -> None:
    """Invariant 8: between the verdict and the end that it means, nothing fits."""
    project = made(level)
    incident = decided(project)
    monkeypatch.setattr(project.database, "write", Interrupted(project, number))
    assert not gone_through(project, incident, judge, rehearse, ask)
    monkeypatch.undo()
    found = small.look(project, incident)
    assert found.incident.state is state, found.transitions
    assert found.approvals == ()
    rehearsed = State.PLANNED in [transition.action for transition in found.transitions]
    assert rehearsed is (level == "dry-run")


@pytest.mark.parametrize("level", [None, Level.OBSERVE, Level.DRY_RUN])
def test_below_approve_nothing_runs_whatever_the_state_says(
    made: Made, tmp_path: Path, level: Level | None
) -> None:
    """Invariant 8: the pre-flight asks for the level itself."""
    project = made("auto")
    incident = decided(project)
    assert gone_through(project, incident, judge, rehearse, ask)
    with project.database.write() as tx:
        incidents.move(tx, incident, State.APPROVED, "by somebody", level=level)
    assert not carry_out(project, incident, 1)
    found = small.look(project, incident)
    assert found.incident.state is State.ESCALATED
    assert "allows no run" in found.incident.reason
    assert small.runs(tmp_path) == 0 and found.runs == ()
