from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner.project import Project
from tests import web_site
from tests.command_line import answered, call
from tests.small_project import make, project


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    web_site.fixed(made)
    yield made
    made.close()


def test_an_untouched_trail_is_whole(path: Path, opened: Project) -> None:
    result = call(path, "audit", "verify")
    assert result.exit_code == 0
    assert "Audit log intact" in result.stdout


def test_an_edited_trail_is_1(path: Path, opened: Project) -> None:
    """Invariant 12: an edit is found."""
    with opened.database.write() as tx:
        tx.execute(sa.text("update transitions set reason = 'nothing' where sequence = 2"))
    result = call(path, "audit", "verify")
    assert result.exit_code == 1
    assert "transition 2 was changed" in result.stdout


def test_a_head_that_was_kept_must_be_in_the_chain(path: Path, opened: Project) -> None:
    """Invariant 12: a trail that was rewritten as a whole is found too."""
    head = answered(path, "audit", "verify")["head"]
    call(path, "pause", "--reason", "later")
    assert call(path, "audit", "verify", "--head", head).exit_code == 0
    result = call(path, "audit", "verify", "--head", "f" * 64)
    assert result.exit_code == 1
    assert "ffffffffffff, the head that you keep, is not in the chain" in result.stdout


def test_an_export_proves_itself(path: Path, opened: Project, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    head = answered(path, "audit", "verify")["head"]
    assert "Exported" in call(path, "audit", "export", file).stderr
    assert call(path, "audit", "verify", file, "--head", head).exit_code == 0
    file.write_text(file.read_text().replace("anna", "otto"))
    assert call(path, "audit", "verify", file).exit_code == 1


def test_an_export_goes_to_standard_output(path: Path, opened: Project) -> None:
    result = call(path, "audit", "export", "--incident", 1)
    assert result.stdout.startswith("{")
    assert result.stdout.count("\n") > 5


def test_pause_and_resume_are_in_the_trail(path: Path, opened: Project) -> None:
    said = call(path, "pause", "--reason", "moving racks", "--as", "ann").stdout
    assert "paused by user:ann" in said
    assert answered(path, "resume", "--as", "ann") == {"paused": None}
    assert call(path, "resume").exit_code == 6
    assert "moving racks" in call(path, "audit", "export").stdout
