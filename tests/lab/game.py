"""A real `runner serve` on the lab, and faults that are followed to the end of their incident."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner import acts, config, incident_report
from runner.drill import led_to
from runner.incident import Incident, State
from runner.incident_report import Bundle
from runner.project import Project
from runner.store import incidents
from tests.lab import project as projects
from tests.lab import watch
from tests.lab.lab import Lab

#: A loaded machine is slow; a fault that is healed ends the waiting long before.
PATIENCE = 400.0
#: Longer than any test waits: the runner heals, never the end of the fault.
FAULT_SPAN = timedelta(minutes=10)
BY = f"user:{projects.PERSON}"


class Game:
    """The lab with a runner that works on it."""

    def __init__(
        self,
        lab: Lab,
        configuration: Path,
        project: Project,
        server: subprocess.Popen[bytes] | None,
    ) -> None:
        self.lab = lab
        self._server = server
        self.configuration = configuration
        self.project = project
        self.patience = PATIENCE

    def fault(self, drill: str, host: str) -> datetime:
        """Have a fault injected; when it was."""
        number = acts.request_drill(self.project, entry=drill, host=host, span=FAULT_SPAN, by=BY)
        found = self.end_of(number)
        assert found.incident.state is State.DRILLED, found.incident.reason
        return datetime.fromisoformat(found.runs[0].results["injected_at"])

    def outcome(self, host: str, since: datetime) -> Bundle:
        """The incident that a fault led to, at its end; questions are answered with yes."""
        return self.end_of(self._led_to(host, since))

    def question(self, host: str, since: datetime) -> Bundle:
        """The incident that a fault led to, once a person is asked or it has ended."""
        number = self._led_to(host, since)
        self.soon(lambda: self._is_asking(number), f"incident {number} asks a person")
        return self._bundle(number)

    def end_of(self, number: int) -> Bundle:
        """An incident at its end; questions are answered with yes."""
        self.soon(lambda: self._is_over(number), f"incident {number} ends")
        return self._bundle(number)

    def about(self, alert: str, host: str) -> Bundle | None:
        """The incident of an alert about a host that joined no other one; None before it is."""
        with self.project.database.read() as tx:
            mine = [
                one
                for one in incidents.find(tx)
                if one.alert.name == alert
                and one.alert.labels.get("instance", "").partition(":")[0] == host
                and one.state is not State.SUPPRESSED
            ]
            return incident_report.load(tx, min(one.id for one in mine)) if mine else None

    def came_of(self, alert: str, host: str) -> Bundle:
        """The incident of an alert about a host, at its end; one that joined another is none."""

        def ended() -> Bundle | None:
            mine = self.about(alert, host)
            if mine is None or not self._is_over(mine.incident.id):
                return None
            found = self._bundle(mine.incident.id)
            return None if found.incident.state is State.SUPPRESSED else found

        found: Bundle = self.soon(ended, f"an incident of {alert} on {host}")
        return found

    def _led_to(self, host: str, since: datetime) -> int:
        def found() -> Incident | None:
            with self.project.database.read() as tx:
                return led_to(incidents.find(tx, since=since, limit=200), host, since)

        one: Incident = self.soon(found, f"an incident on {host} since {since}")
        return one.id

    def _is_asking(self, number: int) -> bool:
        state = self._state(number)
        return state.ended or state is State.WAITING

    def _is_over(self, number: int) -> bool:
        state = self._state(number)
        if state is State.WAITING:
            self.approve(self._bundle(number))
        return state.ended

    def _state(self, number: int) -> State:
        """Only that: who asks often must not take the processor from what is measured."""
        with self.project.database.read() as tx:
            return incidents.get(tx, number).state

    def _bundle(self, number: int) -> Bundle:
        with self.project.database.read() as tx:
            return incident_report.load(tx, number)

    def approve(self, asked: Bundle) -> None:
        """A person says yes to what is still asked of an incident."""
        for question in asked.approvals:
            if question.answer is None:
                acts.answer(self.project, question.id, answer="approved", by=BY)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The runner does nothing for the time of the block, and goes on after it."""
        assert self._server is not None, "nobody works here"
        server = psutil.Process(self._server.pid)
        own = [server, *server.children()]  # the web process and the worker
        for process in own:
            process.suspend()
        try:
            yield
        finally:
            for process in own:
                process.resume()

    def ask(self, entry: str, host: str, values: Mapping[str, Any]) -> Bundle:
        """An entry by hand, at its end."""
        number = acts.request_run(
            self.project, entry=entry, hosts=[host], values=values, by="user:bob"
        )
        return self.end_of(number)

    def end_fault(self, host: str) -> None:
        """End the faults on a host now; each mends what is still broken."""
        self.lab.run(host, "systemctl", "stop", "runner-drill-*", check=False)
        self.lab.run(host, "systemctl", "reset-failed", check=False)

    def targets(self, host: str) -> list[float]:
        """Whether Prometheus reaches each target of a host: 1, or 0."""
        assert self.project.prometheus is not None
        found = self.project.prometheus.query(f'up{{instance=~"{host}(:.*)?"}}')
        return [sample.value for sample in found]

    def alerts(self, host: str) -> list[str]:
        """Names of the alerts about a host that Alertmanager has now."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{watch.ALERTMANAGER}/api/v2/alerts", timeout=10) as answer:
            labels = [alert["labels"] for alert in json.load(answer)]
        return [n["alertname"] for n in labels if n["instance"].partition(":")[0] == host]

    def heard(self, host: str, since: datetime, until: datetime | None = None) -> set[str]:
        """Names of the alerts about a host that the runner was told of between the two."""
        until = until or datetime.now(UTC)
        with self.project.database.read() as tx:
            found = incidents.find(tx, since=since, limit=200)
        return {
            one.alert.name for one in found if host in one.hosts and since <= one.created_at < until
        }

    def quiet(self, host: str) -> None:
        """Return when no alert about the host is left, and no incident on it is open."""
        self.soon(lambda: not self.alerts(host), f"no alert about {host}")
        self.soon(lambda: not self._open(host), f"no open incident on {host}")

    def _open(self, host: str) -> list[int]:
        with self.project.database.read() as tx:
            found = incidents.find(tx, ended=False, limit=200)
        return [one.id for one in found if host in one.hosts]

    def runner(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the runner, in the control namespace."""
        given = ("-c", str(self.configuration), *arguments)
        return subprocess.run(
            projects.command(self.lab.layout, *given),
            cwd=self.configuration.parent,
            env=projects.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def soon(self, question: Callable[[], Any], what: str) -> Any:
        """The first answer that is not nothing; fails with every incident after a long wait."""
        deadline = time.monotonic() + self.patience
        while not (answer := question()):
            if time.monotonic() > deadline:
                with self.project.database.read() as tx:
                    rows = [f"{i.id} {i.alert.name} {i.hosts} {i.state}: {i.reason}"
                            for i in incidents.find(tx)]  # fmt: skip
                pytest.fail(f"it did not come to this: {what}\n" + "\n".join(rows))
            time.sleep(0.2)
        return answer


@contextmanager
def playing(lab: Lab, folder: Path) -> Iterator[Game]:
    """A runner that works on the lab, for the time of the block."""
    configuration = projects.write(lab.layout, folder)
    with (
        projects.serving(lab.layout, configuration) as server,
        knowing(lab, configuration, server) as game,
    ):
        yield game


@contextmanager
def knowing(
    lab: Lab, configuration: Path, server: subprocess.Popen[bytes] | None = None
) -> Iterator[Game]:
    """The project as somebody beside its runner sees it, for the time of the block."""
    project = Project(config.load(configuration))
    try:
        yield Game(lab, configuration, project, server)
    finally:
        project.close()
