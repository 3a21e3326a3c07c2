"""Prometheus and Alertmanager away, slow, restarted or lying: nobody is told "fixed" wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.daemon import Daemon
from runner.incident import State
from runner.incident_report import Bundle
from runner.project import Project
from tests import small_project as small
from tests.acceptance.moments import Moments
from tests.once import once
from tests.real_alertmanager import RealAlertmanager, RealPrometheus
from tests.reliability.front import Front
from tests.reliability.record import Injected

pytest_plugins = ["tests.real_alertmanager"]
pytestmark = [pytest.mark.real, pytest.mark.slow]

CHECKS: list[dict[str, Any]] = [{"alert": "cleared"}, {"promql": "app_up == 1"}]


class World:
    """A runner, and in front of whom it asks something that can fail."""

    def __init__(self, root: Path, prometheus: RealPrometheus, alertmanager: RealAlertmanager):
        self.root = root
        self.truth, self.pager = prometheus, alertmanager
        self.prometheus, self.alertmanager = Front(prometheus.url), Front(alertmanager.url)
        settings = {
            "prometheus": {"url": self.prometheus.url, "timeout": "1s"},
            "alertmanagers": [{"url": self.alertmanager.url, "timeout": "1s"}],
        }
        verify = {"within": "3s", "hold": "1s", "checks": CHECKS}
        entry = {"dry_run": "none", "verify": verify}
        self.alert = small.alert()
        self.project: Project = small.project(small.make(root, settings=settings, entry=entry))

    def broken(self) -> None:
        """The trouble is there: the metric and the alert say so."""
        self.truth.expose("app_up 0\n")
        self.truth.wait_for("app_up == 0")
        self.pager.fire(**self.alert["labels"])

    def handled(self, moment: str, inject: Callable[[], None]) -> Bundle:
        """The incident's end, with `inject` at a moment of its path."""
        moments = Moments(moment, inject)
        daemon = Daemon(self.project)
        daemon.start()
        try:
            small.deliver(self.project, self.alert)
            found = small.wait(self.project, seconds=240)
        finally:
            moments.undo()
            daemon.stop()
        assert moments.came.is_set()
        return found

    def close(self) -> None:
        self.project.close()
        self.prometheus.stop()
        self.alertmanager.stop()


@pytest.fixture
def world(
    tmp_path: Path, prometheus: RealPrometheus, alertmanager: RealAlertmanager
) -> Iterator[World]:
    made = World(tmp_path / "world", prometheus, alertmanager)
    yield made
    made.close()


def counted(fault: Injected, world: World, found: Bundle, *, failures: int = 1) -> None:
    """The trouble was there to the end, so `fixed` is wrong."""
    fault.failure(failures)
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=True)
    fault.runs(small.runs(world.root))


def modes(which: str) -> list[Any]:
    return [
        pytest.param(mode, marks=pytest.mark.fault(f"{which}_{mode}")) for mode in ("away", "slow")
    ]


@pytest.mark.parametrize("mode", modes("prometheus"))
def test_without_prometheus_nothing_is_fixed(world: World, mode: str, fault: Injected) -> None:
    """Invariant 10: the alert has cleared, but one check cannot be made: unknown."""
    world.broken()

    def inject() -> None:
        world.prometheus.mode = mode
        world.pager.resolve(**world.alert["labels"])

    found = world.handled("run:ended", inject)
    counted(fault, world, found)
    assert found.incident.state is State.ESCALATED and world.prometheus.injected > 0
    assert "Unknown" in found.incident.reason


@pytest.mark.parametrize("mode", modes("alertmanager"))
def test_without_alertmanager_nothing_is_fixed(world: World, mode: str, fault: Injected) -> None:
    """Invariant 10: the metric is good, but whether the alert has cleared is not known."""
    world.broken()

    def inject() -> None:
        world.alertmanager.mode = mode
        world.truth.expose("app_up 1\n")

    found = world.handled("run:ended", inject)
    counted(fault, world, found)
    assert found.incident.state is State.ESCALATED and world.alertmanager.injected > 0
    assert "Unknown" in found.incident.reason


@pytest.mark.fault("alertmanager_away")
def test_without_alertmanager_nothing_runs(world: World, fault: Injected) -> None:
    """Invariant 10: whether it still fires must be known before the run."""
    world.broken()

    def inject() -> None:
        world.alertmanager.mode = "away"

    found = world.handled("before:carry_out", inject)
    counted(fault, world, found)
    assert found.incident.state is State.ESCALATED and small.runs(world.root) == 0


@pytest.mark.fault("prometheus_lies")
def test_an_old_answer_of_prometheus_fixes_nothing(world: World, fault: Injected) -> None:
    """Invariant 10: it repeats that all is well, and the alert still fires."""
    assert world.project.prometheus is not None
    world.truth.expose("app_up 1\n")
    world.truth.wait_for("app_up == 1")
    assert world.project.prometheus.query("app_up == 1")
    world.prometheus.mode = "stale"
    world.broken()
    found = world.handled("run:ended", lambda: None)
    counted(fault, world, found)
    assert found.incident.state is State.ESCALATED and world.prometheus.injected > 0


@pytest.mark.fault("alertmanager_lies")
def test_an_old_answer_of_alertmanager_fixes_nothing(world: World, fault: Injected) -> None:
    """Invariant 10: it repeats that nothing fires, and the metric is still bad."""
    asked = world.project.alertmanagers
    assert asked is not None
    asked.active_alerts()  # nothing fires yet: this is what it repeats
    world.broken()

    nothing = dict(world.alertmanager.kept)

    def inject() -> None:
        world.alertmanager.kept.update(nothing)
        world.alertmanager.mode = "stale"

    found = world.handled("run:ended", inject)
    counted(fault, world, found)
    assert found.incident.state is State.ESCALATED and world.alertmanager.injected > 0


@pytest.mark.fault("alertmanager_lies")
def test_what_was_taken_for_resolved_is_handled_when_told_again(
    world: World, fault: Injected
) -> None:
    """Invariant 1: it says before the run that nothing fires; the next message says it does."""
    asked = world.project.alertmanagers
    assert asked is not None
    asked.active_alerts()
    world.broken()
    world.alertmanager.mode = "stale"
    found = world.handled("before:carry_out", lambda: None)
    assert found.incident.state is State.RESOLVED and small.runs(world.root) == 0
    world.alertmanager.mode = "pass"
    project = small.project(world.root / "runner.yml")  # one that was stopped works no more
    with working(project):
        small.deliver(project, world.alert)  # the repeat of the same activation
        again = small.wait(project, 2, seconds=240)
    project.close()
    fault.failure()
    fault.alerts(told=1, found=1 if small.runs(world.root) else 0)
    fault.runs(small.runs(world.root))
    fault.ended(found.incident.state, again.incident.state)


@contextmanager
def working(project: Project) -> Iterator[None]:
    daemon = Daemon(project)
    daemon.start()
    try:
        yield
    finally:
        daemon.stop()


@pytest.mark.fault("alertmanager_restarted")
@pytest.mark.parametrize("moment", once("run:ended", "before:carry_out"))
def test_a_restarted_alertmanager_proves_nothing(
    tmp_path: Path, prometheus: RealPrometheus, moment: str, fault: Injected
) -> None:
    """Invariant 10: it keeps alerts in memory, so after a restart it has none."""
    first = RealAlertmanager(tmp_path / "am")
    port = int(first.url.rpartition(":")[2])
    world = World(tmp_path / "world", prometheus, first)
    world.broken()
    world.truth.expose("app_up 1\n")  # only the alert tells the truth
    restarted: list[RealAlertmanager] = []

    def restart() -> None:
        first.stop()
        restarted.append(RealAlertmanager(tmp_path / "again", port=port))

    found = world.handled(moment, restart)
    counted(fault, world, found)
    world.close()
    restarted[0].stop()
    assert found.incident.state is State.ESCALATED, found.incident.reason
