"""What is kept of a file's content is as good as the file, and as bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from runner.catalog import digest
from runner.catalog.digest import facts_of, of_collection


def test_a_file_that_changed_is_read_again_though_size_and_time_are_the_same(
    tmp_path: Path,
) -> None:
    """Only the kernel sets the time of change."""
    path = tmp_path / "main.yml"
    path.write_text("one\n")
    os.utime(path, (1, 1))
    before = facts_of(path)
    path.write_text("two\n")
    os.utime(path, (1, 1))
    assert facts_of(path).digest != before.digest
    assert facts_of(path).words == {"two"}


def test_facts_are_kept_once_the_file_has_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "main.yml"
    path.write_text("one ns.coll.module\n")
    assert facts_of(path).pairs == {"ns.coll", "coll.module"}
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    first = facts_of(path)
    assert facts_of(path) is first


def test_a_large_file_is_hashed_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: and what it may read is taken to be everything."""
    monkeypatch.setattr(digest, "_LARGE", 10)
    path = tmp_path / "large"
    path.write_text("a text that is long\n")
    facts = facts_of(path)
    assert (facts.words, facts.indirect) == (frozenset(), True)
    path.write_bytes(b"\0" * 100)
    assert not facts_of(path).indirect


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("plugins/modules/act.py", True),
        ("meta/runtime.yml", True),
        ("roles/helper/tests/main.yml", True),
        ("tests/unit/act.py", False),
        ("plugins/modules/__pycache__/act.cpython-311.pyc", False),
    ],
)
def test_a_collections_digest_is_of_all_that_a_run_may_read(
    tmp_path: Path, name: str, counts: bool
) -> None:
    (tmp_path / "MANIFEST.json").write_text("{}")
    before = of_collection(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("x")
    assert (of_collection(tmp_path) != before) is counts


def test_a_collections_linked_folder_is_followed_once(tmp_path: Path) -> None:
    elsewhere, collection = tmp_path / "elsewhere", tmp_path / "coll"
    elsewhere.mkdir()
    collection.mkdir()
    (elsewhere / "act.py").write_text("x")
    (collection / "plugins").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(collection)
    before = of_collection(collection)
    (elsewhere / "act.py").write_text("y")
    assert of_collection(collection) != before
