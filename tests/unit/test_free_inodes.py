"""Aged files go until enough inodes are free: not more, not elsewhere, and shown by number."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called
from tests.role_code import module_of


class Counted:
    """A file system with a hundred inodes, of which ten are free."""

    f_files, f_favail = 100, 10


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty aged files in two directories, and a young one."""
    monkeypatch.setattr(os, "fstatvfs", lambda fd: Counted)
    folder = tmp_path / "spool"
    for number in range(30):
        path = folder / ("a" if number % 3 else "b") / f"{number}.msg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (number, number))
    (folder / "young.msg").touch()
    return folder


def clean(capsys: pytest.CaptureFixture[str], spool: Path, **given: Any) -> dict[str, Any]:
    place = {"name": "spool", "path": str(spool), "patterns": ["*.msg"], "min_age": "1h"}
    arguments = {
        "places": [place | {"recurse": True}], "roots": [str(spool)], "never": ["/no-such-folder"],
        "max_files": 1000, "free_inodes": 25, "counted": True, "state": "absent",
    }  # fmt: skip
    return called(capsys, "aged_files", **arguments | given)


def left(spool: Path) -> list[int]:
    return sorted(int(path.stem) for path in spool.rglob("[0-9]*.msg"))


def test_the_oldest_go_until_enough_inodes_are_free(
    spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = clean(capsys, spool, _ansible_check_mode=True)
    assert (shown["changed"], shown["files"], left(spool)) == (True, 15, list(range(30)))
    found = clean(capsys, spool)
    assert (found["changed"], found["files"], left(spool)) == (True, 15, list(range(15, 30)))
    assert found["diff"] == shown["diff"]
    assert found["diff"]["before"].splitlines() == [
        f"{spool}/a: about 10 files", f"{spool}/b: about 5 files",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "gone"),
    [({"max_files": 4}, 4), ({"free_inodes": 10}, 0), ({"free_inodes": 100}, 30)],
    ids=["not more than allowed", "enough are free", "more than there are"],
)
def test_not_more_is_deleted_than_is_needed_and_allowed(
    spool: Path, capsys: pytest.CaptureFixture[str], given: dict[str, int], gone: int
) -> None:
    found = clean(capsys, spool, **given)
    assert (found["changed"], found["files"]) == (gone > 0, gone)
    assert left(spool) == list(range(gone, 30)) and (spool / "young.msg").exists()


def test_a_file_system_that_counts_no_inodes_is_refused(
    spool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "f_files", 0)
    found = clean(capsys, spool)
    assert f"the file system of {spool} does not count its inodes; nothing was" in found["msg"]
    assert left(spool) == list(range(30))


def test_a_directory_with_more_names_than_are_looked_at_is_cleaned_all_the_same(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_of("modules/aged_files.py")
    monkeypatch.setattr(module, "MOST_NAMES", 5)
    with module.walk(str(spool / "a")) as folder:
        assert len(folder.names(5)) == 5 and len(folder.names()) == 20
        search = module.Search({"never": []}, None)
        place = {"recurse": True, "patterns": ["*.msg"]}
        found = list(search.below(place, int(time.time()) - 10**6, folder, folder, ()))
    assert len(found) == 5
    assert search.left_out == [f"{spool}/a: more than 5 names were looked at"]
