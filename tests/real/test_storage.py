"""What the storage catalog refuses on a real etcd; what it does is proven in demos and the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.daemon import Daemon
from runner.incident import State
from runner.incident_report import Bundle
from runner.project import Project
from runner_demo.cluster import Cluster
from tests import real_etcd
from tests import small_project as small

pytestmark = real_etcd.needs_etcd

SECONDS = 1200.0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def begin(**options: Any) -> Cluster:
        cluster = Cluster(tmp_path / "cluster", **options)
        made.append(cluster)
        cluster.start()
        return cluster

    yield begin
    for cluster in made:
        cluster.stop()


def replaced(project: Project, entry: str, host: str) -> Bundle:
    """The incident of a run that a person asks for, at its end."""
    incident = acts.request_run(project, entry=entry, hosts=[host], values={}, by="user:ann")
    return small.wait(project, incident, seconds=SECONDS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    started: list[tuple[Project, Daemon]] = []

    def begin(cluster: Cluster, **options: Any) -> Project:
        project = small.project(real_etcd.project(cluster, tmp_path, **options))
        daemon = Daemon(project)
        daemon.start()
        started.append((project, daemon))
        return project

    yield begin
    for project, daemon in started:
        daemon.stop()
        project.close()


def test_what_would_cost_the_quorum_is_refused(
    make: Callable[..., Cluster], start: Callable[..., Project], tmp_path: Path
) -> None:
    """Invariant 11: three nodes, one down, a healthy one is not retired; then no spare is free."""
    cluster = make(spares=("s4",))
    project = start(cluster)
    cluster.kill("s3")
    found = replaced(project, "retire_storage_node", "s1")
    assert found.incident.state is State.ESCALATED
    assert "s1 is not removed: 2 voters would be left, the minimum is 3" in str(found.transitions)
    (cluster.nodes["s4"].folder / "data/member").mkdir(parents=True)
    found = replaced(project, "replace_storage_node", "s3")
    assert found.incident.state is State.ESCALATED
    assert "is not empty, so this is no spare" in str(found.transitions)
    assert cluster.members() == dict.fromkeys(("s1", "s2", "s3"), "voter")


def test_the_quorum_is_held_below_the_minimum_too(
    make: Callable[..., Cluster], start: Callable[..., Project]
) -> None:
    """Invariant 11: from two to one etcd would go; without the minimum the quorum still counts."""
    cluster = make(voters=("s1", "s2"), spares=("s4",))
    project = start(cluster)
    found = replaced(project, "retire_storage_node", "s1")
    assert found.incident.state is State.ESCALATED
    assert "1 voters would be left, the minimum is 3" in str(found.transitions)
    assert cluster.members() == dict.fromkeys(("s1", "s2"), "voter")


def test_with_the_check_of_etcd_itself_a_dead_node_is_for_a_person(
    make: Callable[..., Cluster], start: Callable[..., Project]
) -> None:
    """etcd 3.4 takes no new member while a voter is down; nothing is removed instead."""
    cluster = make(spares=("s4",), strict=True)
    project = start(cluster, etcd_member_settle_seconds=10)
    cluster.kill("s3")
    found = replaced(project, "replace_storage_node", "s3")
    assert found.incident.state is State.ESCALATED
    assert "strict-reconfig-check" in str([run.reason for run in found.runs])
    assert cluster.members() == dict.fromkeys(("s1", "s2", "s3"), "voter")
