"""The watch over what Ansible opens: what it reports, and what it leaves alone."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.execute.watched import Watch


class Told:
    """A watch over a folder, and what it reported."""

    def __init__(self, root: Path, **spec: Any) -> None:
        self.root = root
        self.report = root / "report"
        given = {"roots": [root / "roles"], "trusted": [], "ignored": [], "listed": None}
        self.watch = Watch({"strict": True, **given, **spec, "report": str(self.report)})

    def file(self, name: str, text: str = "x") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def opens(self, path: object, flags: int = os.O_RDONLY) -> list[str]:
        """The names of all that was reported once this was opened."""
        self.watch("open", (path, "r", flags))
        lines = self.report.read_text().splitlines()
        return [str(Path(json.loads(line)["loaded"]).relative_to(self.root)) for line in lines]


def test_a_file_below_a_watched_folder_is_told_once_with_its_digest(tmp_path: Path) -> None:
    told = Told(tmp_path)
    path = told.file("roles/web/tasks/main.yml")
    assert told.opens(str(path)) == told.opens(os.fsencode(path)) == ["roles/web/tasks/main.yml"]
    line = json.loads(told.report.read_text())
    assert line["digest"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_links_are_followed_to_the_file_itself(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.file("roles/web/tasks/main.yml")
    (tmp_path / "link").symlink_to(tmp_path / "roles/web")
    assert told.opens(str(tmp_path / "link/tasks/main.yml")) == ["roles/web/tasks/main.yml"]


def test_a_compiled_file_stands_for_its_source(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.file("roles/web/library/act.py")
    compiled = told.file("roles/web/library/__pycache__/act.cpython-311.pyc")
    assert told.opens(str(compiled)) == ["roles/web/library/act.py"]


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC])
def test_writing_is_not_loading(tmp_path: Path, flags: int) -> None:
    told = Told(tmp_path)
    assert told.opens(str(told.file("roles/web/x")), flags) == []


def test_files_elsewhere_count_only_when_ansibles_reader_reads_them(tmp_path: Path) -> None:
    told = Told(tmp_path)
    path = told.file("elsewhere/vars.yml")
    assert told.opens(str(path)) == []
    told.watch.reads(str(path))
    assert told.opens(7) == ["elsewhere/vars.yml"]


def test_an_inventory_counts_by_its_values_but_hides_nothing_below_it(tmp_path: Path) -> None:
    told = Told(tmp_path, ignored=[tmp_path])
    told.watch.reads(str(told.file("group_vars/all.yml")))
    assert told.opens(str(told.file("hosts.yml"))) == []
    assert told.opens(str(told.file("roles/web/x"))) == ["roles/web/x"]


def test_collections_among_the_python_packages_are_watched(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages/ansible_collections"
    told = Told(tmp_path, roots=[installed])
    told.watch._plain = (f"{tmp_path}/",)
    told.watch._in_library = (f"{installed}/",)
    assert told.opens(str(told.file("site-packages/jinja2/x.py"))) == []
    module = "site-packages/ansible_collections/ns/coll/plugins/modules/x.py"
    assert told.opens(str(told.file(module))) == [module]
    assert told.opens(sys.executable) == [module]


def test_a_list_that_no_dry_run_completed_binds_in_the_watched_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 16: what a plan without a dry run cannot know does not end its run halfway."""
    stopped: list[str] = []
    monkeypatch.setattr(Watch, "_stop", lambda self, path, why: stopped.append(Path(path).name))
    for strict, expected in ((True, ["b.yml", "a.txt"]), (False, ["b.yml"])):
        stopped.clear()
        told = Told(tmp_path, listed={}, strict=strict)
        for path in (told.file("roles/web/tasks/b.yml"), told.file("beside/a.txt")):
            monkeypatch.setattr(told.watch, "_began", math.inf)  # nothing was made since
            told.watch.reads(str(path))
        assert stopped == expected
