"""`runner demo storage`, as a person calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.errors import RunnerError
from runner.incident import Level
from runner.nodes import simulate
from runner.nodes.exporter import simulated_signals
from runner_demo import degrading, storage
from runner_demo.cluster import Cluster, etcd_program
from runner_demo.fleet import free_ports
from tests.real_alertmanager import require
from tests.real_demos import Demo, needs_programs
from tests.real_etcd import needs_etcd


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    yield Demo(tmp_path)


def test_a_missing_etcd_is_one_sentence_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match="apt install etcd-server etcd-client"):
        etcd_program("etcd")


@needs_etcd[-1]
def test_its_project_is_sound_and_names_every_voter(tmp_path: Path) -> None:
    from runner import catalog, config

    cluster = Cluster(tmp_path / "cluster")
    wish = storage.Wish(level=Level.AUTO, folder=tmp_path, port=20000)
    path = storage.furnish(tmp_path, cluster, "http://127.0.0.1:1", wish, "http://127.0.0.1:2")
    cluster.stop()
    loaded = config.load(path)
    assert loaded.nodes.group == "storage"
    assert {signal.name for signal in loaded.nodes.signals} == set(degrading.SIGNALS)
    found = catalog.load(loaded.project.playbooks, loaded.project.roles)
    assert set(found.entries) == set(storage.ENTRIES)
    assert [watch.labels["instance"] for watch in loaded.watches] == list(cluster.voters)
    for alert, entry in (
        (storage.ALERT, "replace_storage_node"),
        (storage.WARNING, "add_storage_node"),
        (storage.CRITICAL, "replace_storage_node"),
    ):
        labels = {"alertname": alert, "severity": "critical"}
        assert [each.id for each in found.eligible(labels)] == [entry]


def test_time_stands_still_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(degrading, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pace = degrading.Pace(10)
    now[0] += 4
    assert pace() == 4
    now[0] += 100
    assert pace() == 10, "it waits"
    pace.go_on(15)
    assert pace() == 10, "it goes on from where it stood"
    now[0] += 3
    assert pace() == 13


def test_one_node_is_in_the_tiers_where_time_stands_still_and_its_peers_are_well() -> None:
    decline = degrading.Decline(("s1", "s2", "s3"), port=free_ports(1)[0])
    decline.stop()
    for full, tier in ((degrading.WARNED, "warning"), (degrading.FAILING, "critical")):
        text = decline.metrics(full)
        levels = {
            (node, name): float(value)
            for node, name, value in re.findall(r'node="(\w+)",signal="(\w+)"} (\S+)', text)
        }
        assert len(levels) == 3 * len(simulate.SIGNALS), (
            "nothing is missing for as long as it waits"
        )
        past = {
            (node, signal.name)
            for node in ("s1", "s2", "s3")
            for signal in simulated_signals()
            if signal.name in degrading.SIGNALS
            and levels[node, signal.name] >= getattr(signal, tier)
        }
        assert past == {("s1", "fill")}


def test_a_missing_prometheus_is_one_sentence_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(RunnerError, match="apt install prometheus"),
        degrading.prometheus(tmp_path / "p", 1, ("s1",)),
    ):
        pass


@pytest.mark.parametrize(
    "words", [("fleet", "--fault", "degrading"), ("storage", "--fault", "hang")]
)
def test_a_fault_of_the_other_demo_is_refused(demo: Demo, words: tuple[str, ...]) -> None:
    assert demo.run(*words) == 2
    assert "which has" in demo.output
    assert not demo.place.exists()


@pytest.mark.real
@pytest.mark.slow
@needs_programs[-1]
@needs_etcd[-1]
def test_a_dead_node_is_replaced_and_nothing_is_left_behind(demo: Demo) -> None:
    demo.patience = 1000.0
    code = demo.run("storage")
    assert code == 0, demo.output
    written = re.search(r"(\d+) writes were acknowledged, 0 of them are lost", demo.output)
    assert written and int(written[1]) > 50, demo.output
    assert "s2 voter, s3 voter, s4 voter" in demo.output
    assert demo.left_behind() == []
    (node,) = demo.place.glob("**/s1")
    assert not (node / "data").exists() and list(node.glob("data.aside-*"))
    assert "ETCD_INITIAL_CLUSTER_STATE=existing\n" in (node / "etcd.env").read_text()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.nightly  # tests/lab/test_storage.py shows it on real hosts
@needs_programs[-1]
@needs_etcd[-1]
def test_a_degrading_node_is_relieved_then_replaced_and_nothing_is_left_behind(demo: Demo) -> None:
    require("prometheus")
    demo.patience = 1500.0
    code = demo.run("storage", "--fault", "degrading")
    assert code == 0, demo.output
    assert "s1 voter, s2 voter, s3 voter, s4 voter\n" in demo.output, "the node stays"
    assert "s2 voter, s3 voter, s4 voter, s5 voter\n" in demo.output
    assert "0 of them are lost" in demo.output
    assert demo.left_behind() == []
