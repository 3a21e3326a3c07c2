from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from runner.cli.init import EXAMPLE, SHIPPED, shipped
from runner.errors import RunnerError
from runner_demo.folder import COPIED
from tests.cli_lab import answered, call
from tests.execute_lab import needs_ansible

ROOT = Path(__file__).parents[1]
NONE = Path("none.yml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert call(NONE, "init", tmp_path / "new").exit_code == 0
    return tmp_path / "new"


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_it_makes_a_project(folder: Path) -> None:
    made = files(folder)
    assert {"runner.yml", "README.md", ".gitignore", "ansible.cfg"} <= set(made)
    assert made["runner.yml"] == (ROOT / EXAMPLE).read_bytes()
    for name in ("playbooks", "roles", "inventories/example"):
        assert any(path.startswith(f"{name}/") for path in made)
    assert not [path for path in made if "__pycache__" in path]


@pytest.mark.real
@needs_ansible[1]
def test_what_it_makes_is_sound(folder: Path) -> None:
    result = call(folder / "runner.yml", "check")
    assert result.exit_code == 0, result.output
    assert call(folder / "runner.yml", "catalog", "lint").exit_code == 0


def test_it_keeps_what_is_there(folder: Path) -> None:
    (folder / "runner.yml").write_text("level: auto\n")
    found = answered(NONE, "init", folder)
    assert found["written"] == []
    assert (folder / "runner.yml").read_text() == "level: auto\n"


def test_it_adds_what_is_missing(folder: Path) -> None:
    (folder / "ansible.cfg").unlink()
    assert answered(NONE, "init", folder)["written"] == ["ansible.cfg"]


def test_force_replaces(folder: Path) -> None:
    (folder / "runner.yml").write_text("level: auto\n")
    assert answered(NONE, "init", folder, "--force")["kept"] == []
    assert (folder / "runner.yml").read_bytes() == (ROOT / EXAMPLE).read_bytes()


def test_force_does_not_write_through_a_link(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (folder / "runner.yml").unlink()
    (folder / "runner.yml").symlink_to(other)
    assert call(NONE, "init", folder, "--force").exit_code == 0
    assert other.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = call(NONE, "init", tmp_path / "file" / "new")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_the_wheel_holds_what_is_copied() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = content["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    copied = {*SHIPPED, EXAMPLE, *COPIED}
    assert included == {name: f"runner/_project/{name}" for name in copied}


def test_a_package_without_the_files_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.__file__", "/nowhere/runner/__init__.py")
    with pytest.raises(RunnerError, match="install the package again"):
        shipped()
