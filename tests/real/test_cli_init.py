from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from runner import shipped
from runner.cli.init import COPIED
from runner.errors import RunnerError
from runner_demo import folder as demo
from tests.command_line import answered, call
from tests.local_hosts import needs_ansible

ROOT = Path(__file__).parents[2]
NONE = Path("none.yml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert call(NONE, "init", tmp_path / "new").exit_code == 0
    return tmp_path / "new"


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_it_makes_a_project_of_few_files(folder: Path) -> None:
    made = files(folder)
    assert {"runner.yml", "README.md", ".gitignore", "ansible.cfg"} <= set(made)
    assert any(path.startswith("inventories/example/") for path in made)
    assert len(made) <= 12


def test_its_configuration_is_the_example_with_the_shipped_entries(folder: Path) -> None:
    example = (ROOT / shipped.EXAMPLE).read_text().splitlines()
    written = (folder / "runner.yml").read_text().splitlines()
    changed = [new for old, new in zip(example, written, strict=True) if old != new]
    assert changed == ["  shipped: [all]"]


@pytest.mark.real
@needs_ansible[1]
def test_what_it_makes_is_sound(folder: Path) -> None:
    result = call(folder / "runner.yml", "check")
    assert result.exit_code == 0, result.output
    assert f"{len(shipped.entry_ids())} entries: add_storage_node" in result.output
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
    before = files(folder)
    (folder / "runner.yml").write_text("level: auto\n")
    assert answered(NONE, "init", folder, "--force")["kept"] == []
    assert files(folder) == before


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


def test_the_wheel_holds_what_is_used_and_copied() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = content["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    used = {"playbooks", "prompts", "collections", shipped.EXAMPLE}
    assert included == {name: f"runner/_project/{name}" for name in {*COPIED, *used, *demo.COPIED}}


def test_a_package_without_the_files_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.__file__", "/nowhere/runner/__init__.py")
    with pytest.raises(RunnerError, match="install the package again"):
        shipped.folder()


def test_the_path_of_the_collection_is_told() -> None:
    place = Path(call(NONE, "catalog", "path").stdout.strip())
    assert (place / "ansible_collections/runner/remediation/galaxy.yml").is_file()


def test_a_shipped_entry_becomes_the_projects_own(folder: Path) -> None:
    config = folder / "runner.yml"
    (folder / "playbooks/restart_service/cases").mkdir(parents=True)
    (folder / "playbooks/restart_service/cases/mine.yml").write_text("mine")
    made = answered(config, "catalog", "new", "restart_service")
    place = folder / "playbooks/restart_service"
    assert made == [str(place / name) for name in ("README.md", "entry.yml", "playbook.yml")]
    assert (folder / "playbooks/restart_service/cases/mine.yml").read_text() == "mine"
    entry = folder / "playbooks/restart_service/entry.yml"
    entry.write_text(entry.read_text().replace("level: auto", "level: approve"))
    found = answered(config, "catalog", "show", "restart_service")
    assert found["level"] == "approve"
    assert call(config, "catalog", "new", "restart_service").exit_code != 0


def test_an_entry_that_does_not_come_with_the_runner_is_named(folder: Path) -> None:
    config = folder / "runner.yml"
    config.write_text("project: {shipped: [restart_servce]}\n")
    result = call(config, "catalog", "list")
    assert result.exit_code == 3
    assert "project.shipped: no entry 'restart_servce'" in result.stderr
    assert "did you mean restart_service?" in result.stderr


def test_only_the_named_entries_are_used(folder: Path) -> None:
    config = folder / "runner.yml"
    config.write_text("project: {shipped: [collect_diagnostics]}\n")
    assert [each["id"] for each in answered(config, "catalog", "list")] == ["collect_diagnostics"]
