"""What runs left behind goes when it is old, unless it may still be needed to find out an end."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.daemon import Daemon
from runner.execute import artifacts
from runner.store import retention, runs
from tests import small_project as small

NOW = datetime.now(UTC)


def folder(top: Path, name: str, days: float) -> Path:
    made = top / name
    made.mkdir(parents=True)
    (made / "ending.json").write_text("{}")
    at = (NOW - timedelta(days=days)).timestamp()
    for path in (made / "ending.json", made):
        os.utime(path, (at, at))
    return made


def test_only_old_folders_of_runs_that_ended_go(tmp_path: Path) -> None:
    old, kept = folder(tmp_path, "a" * 32, 40), folder(tmp_path, "b" * 32, 40)
    young, strange = folder(tmp_path, "c" * 32, 1), folder(tmp_path, "notes", 40)
    linked = tmp_path / ("d" * 32)
    linked.symlink_to(strange)
    gone = artifacts.forget(tmp_path, NOW - timedelta(days=30), {kept.name})
    assert gone == 1 and not old.exists()
    assert all(path.exists() for path in (kept, young, strange, linked))


def test_a_folder_that_was_written_to_lately_is_not_old(tmp_path: Path) -> None:
    made = folder(tmp_path, "a" * 32, 40)
    (made / "events.jsonl").touch()
    assert artifacts.forget(tmp_path, NOW - timedelta(days=30), ()) == 0


def test_without_a_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert artifacts.forget(tmp_path / "none", NOW, ()) == 0


@pytest.mark.real
def test_the_process_removes_them_by_its_retention(tmp_path: Path) -> None:
    """Invariant 14: what grows has a bound."""
    settings = {"store": {"retention": {"artifacts": "0s"}}}
    project = small.project(small.make(tmp_path, settings=settings))
    daemon = Daemon(project)
    daemon.start()
    try:
        small.deliver(project, small.alert())
        found = small.wait(project)
        assert found.runs
        left = project.state / "artifacts"
        assert {run.id for run in found.runs} <= {path.name for path in left.iterdir()}
        daemon._forget()
        assert list(left.iterdir()) == []
        with project.database.read() as tx:
            assert retention.unsettled(tx) == frozenset()
            assert runs.get(tx, found.runs[0].id).outcome is not None
    finally:
        daemon.stop()
        project.close()
