"""Whether a run uses the processor or only waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.execute import load, processes
from runner.execute.load import LOOKS, Load
from runner.execute.run import run
from runner.execute.warm.client import Warm
from runner.incident import Outcome
from tests.local_hosts import Lab
from tests.warm_process import is_warm, keeper


class Machine:
    """A clock, and the processor time of a run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.used = 0.0
        self.looks = 0
        monkeypatch.setattr(load.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(processes, "processor_time", self.processor_time)

    def processor_time(self, root: int) -> float:
        self.looks += 1
        return self.used

    def after(self, look: Load, seconds: float, used: float) -> None:
        self.now += seconds
        self.used += used
        look.look()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_it_waits_when_two_looks_in_a_row_find_next_to_nothing(machine: Machine) -> None:
    told: list[bool] = []
    look = Load(1, lambda waits: told.append(waits) or True)
    for used in (0.01, 0.01, 0.02, 0.5, 0.01, 0.01):
        machine.after(look, 1.0, used)
    assert LOOKS == 2
    assert told == [False, True, True, False, False, True]


def test_it_looks_once_a_second_and_no_longer_than_anybody_listens(machine: Machine) -> None:
    look = Load(1, lambda waits: not waits)
    for _ in range(8):
        machine.after(look, 0.25, 0.0)
    assert machine.looks == 2
    for _ in range(8):
        machine.after(look, 5.0, 0.0)
    assert machine.looks == 2, "it was told that there is nothing more to say"


def test_time_that_seems_to_run_backwards_is_no_rest(machine: Machine) -> None:
    """A process has ended, and its parent has not asked yet: what it used is nowhere to be seen."""
    told: list[bool] = []
    look = Load(1, lambda waits: told.append(waits) or True)
    for used in (0.01, -0.5, 0.01, 0.01):
        machine.after(look, 1.0, used)
    assert told == [False, False, False, True]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("load"))


#: Works for a while, says so, and waits until somebody has noticed.
PLAY = """
- ansible.builtin.raw: "timeout 4 sh -c 'while :; do :; done'; touch {mark}"
- ansible.builtin.raw: "until [ -e {go} ]; do sleep 0.2; done"
"""


def watched(lab: Lab, folder: Path, warm: Warm | None) -> Path:
    """Run it, with or without a warm process; the run's folder."""
    mark, go = folder / "mark", folder / "go"
    too_early: list[bool] = []

    def only_waits(waits: bool) -> bool:
        if waits:
            too_early.append(not mark.exists())
            go.touch()
        return not waits

    play = lab.play(PLAY.format(mark=mark, go=go))
    result = run(lab.request(play), only_waits=only_waits, warm=warm)
    assert result.outcome is Outcome.CHANGED, result.reason
    assert too_early == [False], "while a child of it used a whole core, it was busy"
    return result.artifacts


@pytest.mark.real
def test_a_cold_run_is_known_to_wait(lab: Lab, tmp_path: Path) -> None:
    assert not is_warm(watched(lab, tmp_path, None))


@pytest.mark.real
def test_a_warm_run_is_known_to_wait(lab: Lab, tmp_path: Path) -> None:
    with keeper(lab) as warm:
        assert is_warm(watched(lab, tmp_path, warm))
