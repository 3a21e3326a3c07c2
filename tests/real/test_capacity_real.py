"""Capacity with health from a real Prometheus: three nodes, two needed, one goes down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.incident import Level, State
from runner.incident_report.approval_request import radius_words
from runner.project import Project
from runner.steps import progress
from tests import small_project as small
from tests.real_alertmanager import Process, Target, eventually, free_port, require

pytestmark = [pytest.mark.real, pytest.mark.store]

NODES = ("etcd1", "etcd2", "etcd3")
INVENTORY: dict[str, Any] = {
    "all": {
        "vars": small.INVENTORY["all"]["vars"],
        "children": {
            "etcd": {
                "hosts": {node: {"runner_failure_domain": f"r{node[-1]}"} for node in NODES},
                "vars": {"runner_min_available": 2},
            }
        },
    }
}


class Cluster(Process):
    """A Prometheus that scrapes one exporter for each node, under the node's name."""

    def __init__(self, folder: Path) -> None:
        self.nodes = {node: Target("x 1\n") for node in NODES}
        scraped = [
            {"targets": [target.address], "labels": {"instance": node}}
            for node, target in self.nodes.items()
        ]
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
            "scrape_configs": [{"job_name": "node", "static_configs": scraped}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        port = free_port()
        super().__init__(
            [
                require("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            f"http://127.0.0.1:{port}",
            folder / "log",
        )

    def lose(self, node: str) -> None:
        """The node goes down."""
        self.nodes.pop(node).stop()

    def stop(self) -> None:
        super().stop()
        for target in self.nodes.values():
            target.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    made = Cluster(folder)
    yield made
    made.stop()


@pytest.fixture
def project(tmp_path: Path, store_url: str, cluster: Cluster) -> Iterator[Project]:
    settings = {"level": "approve", "prometheus": {"url": cluster.url}}
    made = small.project(small.make(tmp_path, settings=settings, inventory=INVENTORY), store_url)
    daemon = Daemon(made)
    daemon.start()
    yield made
    daemon.stop()
    made.close()


def up(project: Project, healthy: int) -> None:
    """Wait until the server says that so many of the three are up."""
    assert project.prometheus is not None
    asked = project.prometheus
    eventually(
        lambda: [s.value for s in asked.query("sum(up) and on() count(up) == 3")] == [healthy],
        f"sum(up) = {healthy}",
    )


def test_one_node_down_holds_back_what_would_take_another(
    project: Project, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariants 11 and 22: at the verdict, and again right before the run that was approved
    before; it says what it waits for, and does not wait for ever."""
    monkeypatch.setattr(progress, "PATIENCE", 5.0)
    monkeypatch.setattr(progress, "_SLOW_POLL", 1.0)
    up(project, 3)
    small.deliver(project, small.alert(host="etcd1"))
    asked = small.wait(project, until=small.waiting)
    words = "1 of 3 in etcd, failure domain r1, leaves 2, needs 2"
    assert radius_words(asked.radius) == words
    assert words in asked.incident.reason

    cluster.lose("etcd3")
    up(project, 2)
    acts.answer(project, asked.approvals[0].id, answer="approved", by="user:ann")
    late = small.wait(project)
    assert late.incident.state is State.ESCALATED
    short = (
        "waits: Group etcd would keep 1 of 3 hosts, needs 2: 1 in this run, "
        "0 in other runs, 1 unhealthy or of unknown health, 0 greylisted."
    )
    assert late.incident.reason == f"nothing ran: gave up after 5s: {short}"
    assert ("waits", short) in [(t.action, t.reason) for t in late.transitions]

    small.deliver(project, small.alert(host="etcd2"))
    refused = small.wait(project, 2)
    assert refused.incident.state is State.ESCALATED
    assert refused.verdict is not None and refused.verdict.level is Level.DRY_RUN
    assert [reason.rule for reason in refused.verdict.limiting] == ["capacity"]
    assert radius_words(refused.radius) == ("1 of 3 in etcd, failure domain r2, leaves 1, needs 2")
    assert not any(small.runs(tmp_path, node) for node in NODES)


def test_the_broken_node_itself_may_be_healed(
    project: Project, cluster: Cluster, tmp_path: Path
) -> None:
    """What is broken already cannot be taken away, and the words say so."""
    cluster.lose("etcd3")
    up(project, 2)
    small.deliver(project, small.alert(host="etcd3"))
    asked = small.wait(project, until=small.waiting)
    assert radius_words(asked.radius) == (
        "1 of 3 in etcd, failure domain r3, leaves 2, needs 2, already out of service"
    )
    acts.answer(project, asked.approvals[0].id, answer="approved", by="user:ann")
    assert small.wait(project).incident.state is State.FIXED
    assert small.runs(tmp_path, "etcd3") == 1
