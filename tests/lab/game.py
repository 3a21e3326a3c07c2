"""A real `runner serve` on the lab, and faults that are followed to the end of their incident."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts, bundle, config
from runner.bundle import Bundle
from runner.drill import led_to
from runner.incident import State
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

    def __init__(self, lab: Lab, configuration: Path, project: Project) -> None:
        self.lab = lab
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

        def ended() -> Bundle | None:
            with self.project.database.read() as tx:
                one = led_to(incidents.find(tx, since=since, limit=200), host, since)
            return self._ended(one.id) if one else None

        return self.soon(ended, f"an incident on {host} since {since}")

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
            return bundle.load(tx, min(one.id for one in mine)) if mine else None

    def came_of(self, alert: str, host: str) -> Bundle:
        """The incident of an alert about a host, at its end; one that joined another is none."""

        def ended() -> Bundle | None:
            mine = self.about(alert, host)
            found = self._ended(mine.incident.id) if mine else None
            return found if found and found.incident.state is not State.SUPPRESSED else None

        return self.soon(ended, f"an incident of {alert} on {host}")

    def end_of(self, number: int) -> Bundle:
        """An incident at its end."""
        return self.soon(lambda: self._ended(number), f"incident {number} ends")

    def _ended(self, number: int) -> Bundle | None:
        with self.project.database.read() as tx:
            found = bundle.load(tx, number)
        for question in found.approvals if found.incident.state is State.WAITING else ():
            acts.answer(self.project, question.id, answer="approved", by=BY)
        return found if found.incident.state.ended else None

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

    def alerts(self, host: str) -> list[str]:
        """Names of the alerts about a host that Alertmanager has now."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{watch.ALERTMANAGER}/api/v2/alerts", timeout=10) as answer:
            labels = [alert["labels"] for alert in json.load(answer)]
        return [n["alertname"] for n in labels if n["instance"].partition(":")[0] == host]

    def quiet(self, host: str) -> None:
        """Return when no alert about the host is left."""
        self.soon(lambda: not self.alerts(host), f"no alert about {host}")

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
            time.sleep(0.1)
        return answer


@contextmanager
def playing(lab: Lab, folder: Path) -> Iterator[Game]:
    """A runner that works on the lab, for the time of the block."""
    configuration = projects.write(lab.layout, folder)
    with projects.serving(lab.layout, configuration), knowing(lab, configuration) as game:
        yield game


@contextmanager
def knowing(lab: Lab, configuration: Path) -> Iterator[Game]:
    """The project as somebody beside its runner sees it, for the time of the block."""
    project = Project(config.load(configuration))
    try:
        yield Game(lab, configuration, project)
    finally:
        project.close()
