"""Copies of what comes with the runner in an old project: named, and removed where unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from runner import shipped
from runner.catalog import Installed, copies, load
from runner.catalog.content import read
from runner.catalog.loaded import loaded
from tests.command_line import answered, call
from tests.local_hosts import needs_ansible

NONE = Path("none.yml")
ENTRY = "title: Restart\ndescription: d\nkind: remediation\nrole: service_restart\n"
FILES = {
    "playbooks/restart_service/entry.yml": ENTRY,
    "playbooks/restart_service/playbook.yml": "- hosts: all\n  roles: [{role: service_restart}]\n",
    "playbooks/restart_service/README.md": "# Restart\n",
    "playbooks/clean_disk/entry.yml": ENTRY.replace("service_restart", "disk_space"),
    "prompts/system.j2": "old words\n",
    "roles/disk_space/library/aged_files.py": "# code\n",
    "roles/disk_space/meta/main.yml": "dependencies: [{role: trusted_paths}]\n",
    "roles/disk_space/molecule/default/molecule.yml": "---\n",
    "roles/disk_space/tasks/main.yml": "- aged_files:\n",
    "roles/service_restart/meta/main.yml": "dependencies: []\n",
    "roles/service_restart/tasks/main.yml": "- name: Restart\n",
    "roles/trusted_paths/meta/main.yml": "dependencies: []\n",
    "roles/trusted_paths/module_utils/trusted_paths.py": "# shared\n",
}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `runner init` of a release once made it."""
    root = tmp_path / "old"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "runner.yml").write_text("project: {shipped: [all]}\n")
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    releases = tmp_path / "releases"
    releases.mkdir()
    (releases / "v0.1.0.json").write_text(json.dumps(digests))
    monkeypatch.setattr(copies, "_RELEASES", releases)
    return root


def upgraded(root: Path) -> dict[str, str]:
    """Title → empty where it was removed, else why it stays."""
    return {each["name"]: each["reason"] for each in answered(NONE, "init", root, "--upgrade")}


def left(root: Path) -> set[str]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in paths} - {"runner.yml"}


def test_what_nobody_changed_is_removed(old: Path) -> None:
    (old / "roles/disk_space/molecule/default/molecule.yml").unlink()  # no run reads it
    (old / "roles/disk_space/library/__pycache__").mkdir()
    (old / "roles/disk_space/library/__pycache__/aged_files.pyc").touch()
    assert set(upgraded(old).values()) == {""}
    assert left(old) == set()
    assert not (old / "roles/disk_space").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "roles/service_restart/tasks/main.yml").write_text("- name: Mine\n"),
        lambda root: (root / "roles/service_restart/tasks/more.yml").touch(),
        lambda root: (root / "roles/service_restart/tasks/main.yml").unlink(),
        lambda root: (root / "roles/service_restart/files").symlink_to("/etc"),
    ],
    ids=["edited", "added", "removed", "link"],
)
def test_a_changed_copy_stays_and_so_does_the_entry_that_runs_it(old: Path, change: object) -> None:
    before = left(old)
    assert callable(change)
    change(old)
    kept = {name: why for name, why in upgraded(old).items() if why}
    assert kept == {
        "roles/service_restart": "1 changed",
        "playbooks/restart_service": "its role service_restart stays",
    }
    gone = before - left(old)
    assert gone and not any("restart" in name for name in gone - {change_of(before, old)})


def change_of(before: set[str], root: Path) -> str:
    """The one file that the change itself removed, if it did."""
    name = "roles/service_restart/tasks/main.yml"
    return name if name in before and not (root / name).exists() else ""


def test_a_changed_copy_is_shown_against_what_comes_with_the_runner(old: Path) -> None:
    (old / "roles/disk_space/library/aged_files.py").write_text("# my code\n")
    shown = call(NONE, "init", old, "--upgrade").stdout
    assert "kept     roles/disk_space  a copy of v0.1.0's: 1 changed" in shown
    assert "+# my code" in shown
    assert "-#!/usr/bin/python" in shown  # of the collection's module, which took its place


def test_a_role_stays_that_one_which_stays_may_need(old: Path) -> None:
    (old / "roles/mine/meta").mkdir(parents=True)
    (old / "roles/mine/meta/main.yml").write_text("dependencies:\n  - role: trusted_paths\n")
    kept = {name: why for name, why in upgraded(old).items() if why}
    assert kept == {"roles/trusted_paths": "mine names it"}
    assert (old / "roles/trusted_paths/module_utils/trusted_paths.py").is_file()


def test_a_role_stays_that_one_in_another_folder_may_need(old: Path) -> None:
    (old / "more/mine/tasks").mkdir(parents=True)
    (old / "more/mine/tasks/main.yml").write_text("- import_role: {name: disk_space}\n")
    (old / "runner.yml").write_text("project: {shipped: [all], roles: [roles, more]}\n")
    kept = {name: why for name, why in upgraded(old).items() if why}
    assert kept == {
        "roles/disk_space": "mine names it",
        "roles/trusted_paths": "disk_space names it",
        "playbooks/clean_disk": "its role disk_space stays",
    }


def test_no_entry_is_lost_that_the_configuration_does_not_name(old: Path) -> None:
    (old / "runner.yml").write_text("project: {shipped: [clean_disk]}\n")
    result = call(NONE, "init", old, "--upgrade")
    assert (old / "playbooks/restart_service/entry.yml").is_file()
    assert not (old / "playbooks/clean_disk").exists()
    assert "project: {shipped: [restart_service]}" in result.stderr


def test_upgrade_replaces_nothing(old: Path) -> None:
    result = call(NONE, "init", old, "--upgrade", "--force")
    assert result.exit_code == 2
    assert left(old) == set(FILES)


def test_check_names_each_copy_with_its_release(old: Path) -> None:
    (old / "roles/service_restart/tasks/main.yml").write_text("- name: Mine\n")
    said = call(old / "runner.yml", "check").stdout
    assert (
        "roles/service_restart is a copy of v0.1.0's with 1 changed file and is used instead of "
        "runner.remediation.service_restart"
    ) in said
    assert "roles/trusted_paths is an unchanged copy of v0.1.0's; `runner init" in said
    assert "playbooks/clean_disk is an unchanged copy of v0.1.0's and is used instead of" in said


def test_a_short_name_means_the_projects_role_else_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "roles/service_restart"
    roles = load(tmp_path, (tmp_path / "roles",)).roles
    assert roles.find("service_restart") == shipped.roles() / "service_restart"
    (own / "tasks").mkdir(parents=True)
    assert roles.find("service_restart") == own
    assert roles.find("runner.remediation.service_restart") == shipped.roles() / "service_restart"


def test_the_first_release_is_known_file_by_file() -> None:
    """Nobody's project of it may be told that a file of it is their own."""
    known = json.loads((Path(copies.__file__).parents[1] / "releases/v0.1.0.json").read_bytes())
    assert {name.split("/")[0] for name in known} == {"playbooks", "prompts", "roles"}
    entries = {name.split("/")[1] for name in known if name.endswith("/entry.yml")}
    assert entries <= set(shipped.entry_ids()) and len(known) == 402
    assert all(len(digest) == 64 for digest in known.values())


@pytest.mark.real
@needs_ansible[1]
def test_a_plan_covers_the_collection_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a role of the collection shares with others is approved with it."""
    source, place = shipped.folder(), tmp_path / "shipped"
    for name in ("collections", "playbooks"):
        shutil.copytree(source / name, place / name)
    monkeypatch.setattr(shipped, "folder", lambda: place)
    catalog = load(tmp_path / "none", (), Installed(), shipped_ids=["all"])
    entry = catalog.get("restart_service")

    def names() -> dict[str, str]:
        return dict(loaded(catalog, entry, read(catalog, entry)).names)

    before = names()
    (name,) = (name for name in before if name.startswith("collection "))
    assert name == "collection runner.remediation 0.1.0"
    shared = shipped.collection() / "plugins/module_utils/units.py"
    shared.write_text(shared.read_text() + "# changed\n")
    assert {key for key, digest in names().items() if before[key] != digest} == {name}
