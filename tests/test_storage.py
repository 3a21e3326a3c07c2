"""The storage catalog on a real etcd, with a client that writes throughout."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.bundle import Bundle
from runner.daemon import Daemon
from runner.demo.cluster import Cluster
from runner.demo.writer import Writer
from runner.incident import State
from runner.project import Project
from tests import small_project as small
from tests import storage_lab
from tests.acceptance.test_crash import work

pytestmark = storage_lab.needs_etcd

SECONDS = 1200.0


class Lab:
    """A cluster with a writer and somebody who counts its voters."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.writer = Writer([node.client_url for node in cluster.nodes.values()])
        self.fewest = len(cluster.voters)
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self.cluster.start()
        self.writer.start()
        self._watcher.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.3):
            if members := self.cluster.members():
                voters = [name for name, role in members.items() if role == "voter"]
                self.fewest = min(self.fewest, len(voters))

    def stop(self) -> None:
        self._stop.set()
        self._watcher.join()
        self.writer.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    made: list[Lab] = []

    def begin(**options: Any) -> Lab:
        lab = Lab(Cluster(tmp_path / "cluster", **options))
        made.append(lab)
        lab.start()
        return lab

    yield begin
    for lab in made:
        lab.stop()
        lab.cluster.stop()


def replaced(project: Project, entry: str, host: str) -> Bundle:
    """The incident of a run that a person asks for, at its end."""
    incident = acts.request_run(project, entry=entry, hosts=[host], values={}, by="user:ann")
    return small.wait(project, incident, seconds=SECONDS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    started: list[tuple[Project, Daemon]] = []

    def begin(cluster: Cluster, **options: Any) -> Project:
        project = small.project(storage_lab.project(cluster, tmp_path, **options))
        daemon = Daemon(project)
        daemon.start()
        started.append((project, daemon))
        return project

    yield begin
    for project, daemon in started:
        daemon.stop()
        project.close()


def test_a_dead_node_is_replaced_and_nothing_that_was_acknowledged_is_lost(
    make: Callable[..., Lab], start: Callable[..., Project]
) -> None:
    """Invariant 11: added first, removed second, never fewer voters than before."""
    lab = make()
    project = start(lab.cluster)
    lab.cluster.kill("s1")
    found = replaced(project, "replace_storage_node", "s1")
    assert found.incident.state is State.FIXED, [t.reason for t in found.transitions]
    assert lab.cluster.members() == dict.fromkeys(("s2", "s3", "s4"), "voter")
    s1 = lab.cluster.nodes["s1"]
    assert not (s1.folder / "data").exists()
    assert list(s1.folder.glob("data.aside-*"))
    # First members without data must not begin a new cluster among themselves.
    assert "ETCD_INITIAL_CLUSTER_STATE=existing\n" in (s1.folder / "etcd.env").read_text()
    lab.cluster.control("start", "s1")
    small.until(lambda: "EXITED" in lab.cluster.control("status", "s1"), "s1 ends by itself")
    assert lab.cluster.members() == dict.fromkeys(("s2", "s3", "s4"), "voter")
    lab.stop()
    assert len(lab.writer.acknowledged) > 50 and lab.writer.lost() == []
    assert lab.fewest >= 3


def test_a_runner_that_is_killed_at_every_step_finishes_the_replacement(
    make: Callable[..., Lab], tmp_path: Path
) -> None:
    """Invariants 1 and 2: each kill is followed by a restart, on one replacement."""
    lab = make()
    config = storage_lab.project(lab.cluster, tmp_path)
    alert = small.alert("etcdMembersDown", host="s1", severity="critical")
    (tmp_path / "alert.json").write_text(json.dumps(alert))
    # Nobody can be asked whether the alert cleared, so the results must speak for the plan.
    path = tmp_path / "playbooks/replace_storage_node/entry.yml"
    path.write_text(path.read_text().replace("alert: cleared", "result: {member: false}"))
    lab.cluster.kill("s1")
    for point in storage_lab.KILLS:
        crashed = work(config, point, SECONDS)
        assert crashed.returncode == -signal.SIGKILL, (point, crashed.stdout, crashed.stderr)
    ended = json.loads(work(config, "never", SECONDS).stdout)
    trail = [(t["action"], t["reason"]) for t in ended["transitions"]]
    assert ended["incident"]["state"] == "fixed", trail
    assert len(trail) == len(set(trail)), trail
    lab.stop()
    assert lab.cluster.members() == dict.fromkeys(("s2", "s3", "s4"), "voter")
    # Between two runners nobody waits: each run of the catalog was started once and has ended.
    assert all(run["outcome"] for run in ended["runs"])
    assert lab.writer.lost() == [] and lab.fewest >= 3


def test_what_would_cost_the_quorum_is_refused(
    make: Callable[..., Lab], start: Callable[..., Project], tmp_path: Path
) -> None:
    """Invariant 11: three nodes, one down, a healthy one is not retired; then no spare is free."""
    lab = make(spares=("s4",))
    project = start(lab.cluster)
    lab.cluster.kill("s3")
    found = replaced(project, "retire_storage_node", "s1")
    assert found.incident.state is State.ESCALATED
    assert "s1 is not removed: 2 voters would be left, the minimum is 3" in str(found.transitions)
    (lab.cluster.nodes["s4"].folder / "data/member").mkdir(parents=True)
    found = replaced(project, "replace_storage_node", "s3")
    assert found.incident.state is State.ESCALATED
    assert "is not empty, so this is no spare" in str(found.transitions)
    assert lab.cluster.members() == dict.fromkeys(("s1", "s2", "s3"), "voter")


def test_the_quorum_is_held_below_the_minimum_too(
    make: Callable[..., Lab], start: Callable[..., Project]
) -> None:
    """Invariant 11: from two to one etcd would go; without the minimum the quorum still counts."""
    lab = make(voters=("s1", "s2"), spares=("s4",))
    project = start(lab.cluster)
    found = replaced(project, "retire_storage_node", "s1")
    assert found.incident.state is State.ESCALATED
    assert "1 voters would be left, the minimum is 3" in str(found.transitions)
    assert lab.cluster.members() == dict.fromkeys(("s1", "s2"), "voter")


def test_with_the_check_of_etcd_itself_a_dead_node_is_for_a_person(
    make: Callable[..., Lab], start: Callable[..., Project]
) -> None:
    """etcd 3.4 takes no new member while a voter is down; nothing is removed instead."""
    lab = make(spares=("s4",), strict=True)
    project = start(lab.cluster, etcd_member_settle_seconds=10)
    lab.cluster.kill("s3")
    found = replaced(project, "replace_storage_node", "s3")
    assert found.incident.state is State.ESCALATED
    assert "strict-reconfig-check" in str([run.reason for run in found.runs])
    assert lab.cluster.members() == dict.fromkeys(("s1", "s2", "s3"), "voter")
