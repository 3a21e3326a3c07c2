"""What the runner writes belongs to its owner alone, whatever the umask and whoever made `var`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner import private
from runner.cli import cli
from runner.daemon import Daemon
from runner.drill.figures import write as write_report
from runner.errors import RunnerError
from runner.predict.told import publish
from tests import small_project as small

OTHERS = 0o077


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The least careful umask that there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def readable(top: Path) -> dict[str, str]:
    """Path → mode of everything at or below `top` that others may look into."""
    every = [top, *top.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in every if not path.is_symlink()}
    return {str(path): f"{mode:04o}" for path, mode in modes.items() if mode & OTHERS}


@pytest.mark.real
def test_nothing_that_is_written_can_be_read_by_others(
    tmp_path: Path, open_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13: store with its journals, lock, artifacts, greylist, pages, exports, reports."""
    config = small.make(tmp_path, settings={"level": "approve"})
    # As an administrator would have made it by hand, with a store that was copied there.
    (tmp_path / "var").chmod(0o777)
    (tmp_path / "var/runner.db").chmod(0o666)
    project = small.project(config)
    daemon = Daemon(project)
    daemon.start()
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    try:
        small.deliver(project, small.alert())
        small.wait(project, until=small.waiting)
        for words in (
            ["approval", "show", "1", "--html", str(out / "approval.html")],
            ["audit", "export", str(out / "trail.jsonl")],
            ["autonomy", "export", str(out / "autonomy.yml")],
        ):
            done = CliRunner().invoke(cli, ["--config", str(config), *words])
            assert done.exit_code == 0, done.output
        publish(project)
        write_report([], tmp_path / "out/new/report")
        written = {path.name for path in (tmp_path / "var").rglob("*")}
        assert {"runner.db", "runner.db-wal", "runner.db-shm", "runner.lock", "events.jsonl",
                "intent.json", "supervisor.log", "greylist.json"} <= written  # fmt: skip
        assert {path.name for path in out.rglob("*.*")} >= {
            "approval.html", "trail.jsonl", "autonomy.yml", "report.json",
        }  # fmt: skip
        assert readable(tmp_path / "var") == {}
        assert readable(out) == {}
    finally:
        daemon.stop()
        project.close()


def test_a_file_that_is_replaced_is_as_private_as_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("old")
    path.chmod(0o644)
    with private.writing(path) as file:
        file.write("new")
    assert path.read_text() == "new"
    assert not private.too_open(path)


def test_a_file_that_fails_midway_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), private.writing(path) as file:
        file.write("new")
        raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["page"]
    assert path.read_text() == "old"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with private.writing(pipe) as file:
        file.write("text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="nowhere/page: cannot be written"):
        with private.writing(tmp_path / "nowhere/page"):
            pass


def test_what_everybody_can_read_and_is_not_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runner.db"
    path.touch()

    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    os.chmod(path, 0o640)
    private.tighten(path)  # a group that its owner chose
    os.chmod(path, 0o644)
    with pytest.raises(RunnerError, match="everybody on this machine can read it"):
        private.tighten(path)


def test_a_place_that_somebody_else_made_is_not_ours_alone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert private.ours_alone(made) and private.ours_alone(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(made)
    (tmp_path / "file").touch()
    made.chmod(0o750)
    assert not any(private.ours_alone(tmp_path / name) for name in ("made", "link", "file"))
    assert not private.ours_alone(tmp_path / "missing" / "below")
