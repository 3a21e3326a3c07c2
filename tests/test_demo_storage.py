"""`runner demo storage`, as a person calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.demo import storage
from runner.demo.cluster import Cluster, etcd_program
from runner.errors import RunnerError
from runner.incident import Level
from tests.demo_lab import Demo, needs_programs
from tests.storage_lab import needs_etcd


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
    path = storage.furnish(tmp_path, cluster, "http://127.0.0.1:1", wish)
    cluster.stop()
    loaded = config.load(path)
    found = catalog.load(loaded.project.playbooks, loaded.project.roles)
    assert set(found.entries) == set(storage.ENTRIES)
    assert [watch.labels["instance"] for watch in loaded.watches] == list(cluster.voters)
    labels = {"alertname": storage.ALERT, "severity": "critical"}
    assert [entry.id for entry in found.eligible(labels)] == ["replace_storage_node"]


@pytest.mark.real
@pytest.mark.slow
@needs_programs[-1]
@needs_etcd[-1]
def test_a_dead_node_is_replaced_and_nothing_is_left_behind(demo: Demo) -> None:
    demo.patience = 1000.0
    code = demo.run("storage")
    assert code == 0, demo.output
    assert "0 of them are lost" in demo.output
    assert "s2 voter, s3 voter, s4 voter" in demo.output
    assert demo.left_behind() == []
