"""From a killed service to a verified fix: Prometheus, Alertmanager, `runner serve`, Ansible."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.incident import Purpose, Result, State
from runner.store import incidents
from tests import small_project as small
from tests.acceptance.service_lab import REPOSITORY, SERVE, Lab, lab, nothing_ran
from tests.real_alertmanager import RealAlertmanager

pytest_plugins = ["tests.real_alertmanager"]
pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_a_killed_service_is_healed_and_the_alert_clears(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab(tmp_path, measure_bare=2) as it:
        bare = statistics.median(it.bare)
        it.entry(hold="1s")
        it.settings()
        project = it.serve()
        it.service.kill()
        killed = datetime.now(UTC)
        found = small.wait(project)
        trail = [(t.action, t.reason) for t in found.transitions]
        assert found.incident.state is State.FIXED, trail
        assert it.service.up and it.alertmanager.alerts() == []
        assert found.incident.hosts == ("web1",)
        real = [run for run in found.runs if run.purpose is Purpose.REMEDIATION]
        assert len(real) == 1 and real[0].results["healthy"] is True
        assert real[0].ended_at is not None
        figures = {
            "bare_playbook_seconds": bare,
            "alert_to_restart_multiple": seconds(found, real[0].ended_at) / bare,
            "alert_to_fixed_multiple": seconds(found, found.transitions[-1].at) / bare,
            "kill_to_alert_seconds": (found.incident.created_at - killed).total_seconds(),
        }
        # What record_property does, without its warning about the report's newer form.
        request.node.user_properties += [(name, round(v, 2)) for name, v in figures.items()]
        with capsys.disabled():
            print(" ".join(f"{name}={value:.2f}" for name, value in figures.items()))


def seconds(found: Any, moment: datetime) -> float:
    """From the alert's arrival to `moment`."""
    return float((moment - found.incident.created_at).total_seconds())


def asked(it: Lab) -> Any:
    """A project that waits for a person, after the service was killed."""
    it.settings(level="approve")
    project = it.serve()
    it.service.kill()
    found = small.wait(project, until=lambda one: small.waiting(one) or one.state.ended)
    assert small.waiting(found.incident), found.incident.reason
    return project, found.approvals[0]


def test_a_silence_while_a_person_thinks_cancels_the_run(tmp_path: Path) -> None:
    with lab(tmp_path) as it:
        project, question = asked(it)
        it.alertmanager.silence(alertname="ServiceDown")
        acts.answer(project, question.id, answer="approved", by="user:ann")
        found = small.wait(project)
        assert found.incident.state is State.CANCELLED
        assert "silenced" in found.incident.reason
        assert nothing_ran(found) and not it.service.up


def test_without_an_alertmanager_to_ask_nothing_runs(tmp_path: Path) -> None:
    """Invariant 10: whether it still fires is unknown, so a person is called."""
    with lab(tmp_path) as it:
        project, question = asked(it)
        it.alertmanager.stop()
        acts.answer(project, question.id, answer="approved", by="user:ann")
        found = small.wait(project)
        assert found.incident.state is State.ESCALATED
        assert "nothing ran" in found.incident.reason
        assert nothing_ran(found) and not it.service.up


def test_verification_waits_until_the_past_has_left_the_window(tmp_path: Path) -> None:
    """Invariant 9: the rule looks 8 s back, so it still fires long after the fix."""
    with lab(tmp_path, expr='min_over_time(up{job="app"}[8s]) == 0') as it:
        it.entry(within="1s", hold="1s")
        it.settings()
        project = it.serve()
        it.service.kill()
        found = small.wait(project)
        assert found.incident.state is State.FIXED, found.incident.reason
        assert len([run for run in found.runs if run.purpose is Purpose.REMEDIATION]) == 1


def test_an_alert_missed_while_the_runner_was_down_is_found(
    tmp_path: Path, alertmanager: RealAlertmanager, store_url: str
) -> None:
    alertmanager.fire(alertname="Down", instance="web1:9100", service="shop")
    settings = {"alertmanagers": [{"url": alertmanager.url}], "intake": {"reconcile": "1s"}}
    project = small.project(small.make(tmp_path, settings=settings), store_url)
    daemon = Daemon(project)
    daemon.start()
    try:
        found = small.wait(project)
        daemon.reconcile()
        with project.database.read() as tx:
            assert len(incidents.find(tx)) == 1
    finally:
        daemon.stop()
        project.close()
    assert (found.incident.state, found.incident.alert.source) == (State.FIXED, "pull")
    assert next(iter(found.verifications.values())).result is Result.FIXED
    assert small.runs(tmp_path) == 1


def test_alert_pull_handles_what_fires_without_a_server(
    tmp_path: Path, alertmanager: RealAlertmanager
) -> None:
    alertmanager.fire(alertname="Down", instance="web1:9100", service="shop")
    settings = {"alertmanagers": [{"url": alertmanager.url}], "store": {"url": "sqlite:///s.db"}}
    path = small.make(tmp_path, settings=settings)
    for _ in range(2):  # the second finds nothing new
        done = subprocess.run(
            [sys.executable, "-c", SERVE, "-c", str(path), "alert", "pull"],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert small.runs(tmp_path) == 1
