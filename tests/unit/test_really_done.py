"""What a dry run may really do on a host, told from the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.catalog import load
from runner.catalog.dry_run import really_done
from runner.catalog.scan import scan
from tests import small_project as small

ROOT = Path(__file__).parents[2]
WRITE = {"name": "Write", "ansible.builtin.copy": {"dest": "/x", "content": "y"}}
READ = {"name": "Ask", "ansible.builtin.command": "true", "check_mode": False}


def found(root: Path, tasks: list[Any], *, play: dict[str, Any] | None = None, **entry: Any) -> str:
    """What may be done, joined; the role's tasks are `tasks`."""
    small.make(root, entry=entry)
    (root / "roles/mark/tasks/main.yml").write_text(yaml.safe_dump(tasks))
    whole = {
        "name": "Mark",
        "hosts": "all",
        "gather_facts": True,
        "roles": ["mark"],
        **(play or {}),
    }
    (root / "playbooks/mark/playbook.yml").write_text(json.dumps([whole]))
    catalog = load(root / "playbooks", (root / "roles",))
    mark = catalog.get("mark")
    return "; ".join(really_done(mark, scan(mark, catalog.roles)))


@pytest.mark.parametrize(
    "tasks",
    [
        [WRITE],
        [{"copy": {"dest": "/x", "content": "y"}}],
        [{"ansible.builtin.stat": {"path": "/x"}, "check_mode": False}],
        [{"ansible.builtin.slurp": {"src": "/x"}, "check_mode": False}, WRITE],
        [{"ansible.builtin.set_fact": {"a": 1}, "check_mode": False}],
        [{"ansible.builtin.command": "reboot"}],
        [{"runner.remediation.host_info": {}, "check_mode": False}],
        [{"community.general.ini_file": {"path": "/x"}}],
        [WRITE | {"check_mode": True}],
    ],
)
def test_check_mode_holds_for_what_comes_with_ansible(tmp_path: Path, tasks: list[Any]) -> None:
    assert found(tmp_path, tasks) == ""


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([READ], "'Ask' really runs in check mode, by ansible.builtin.command"),
        ([WRITE | {"check_mode": "{{ x }}"}], "'Write' really runs"),
        ([WRITE | {"check_mode": "no"}], "'Write' really runs"),
        ([{"block": [WRITE], "check_mode": False}], "a block switches check mode off"),
        ([{"block": [{"block": [WRITE], "check_mode": False}]}], "a block switches check mode off"),
        (
            [{"ansible.builtin.include_tasks": {"file": "m.yml", "apply": {"check_mode": False}}}],
            "switches check mode off for its tasks",
        ),
        ([{"ansible.builtin.import_tasks": "{{ x }}.yml"}], "cannot be read before the run"),
        ([{"own_module": {"a": 1}}], "of own_module, a module of the project"),
        ([{"{{ a.b }}": {}}], "a module of the project"),
        ([{"other.things.fetch_info": {}, "check_mode": False}], "by other.things.fetch_info"),
        (
            [{"name": "Load", "runner.remediation.reloaded_configuration": {"check": ["x"]}}],
            "'Load' runs its check in check mode, by runner.remediation.reloaded_configuration",
        ),
        ([{"runner.remediation.rebooted_host": {}}], "runs its check in check mode"),
        ([{"package_facts": {}, "check_mode": False}, {"own_info": {}}], "of own_info"),
    ],
)
def test_what_may_do_something_is_named(tmp_path: Path, tasks: list[Any], said: str) -> None:
    assert said in found(tmp_path, tasks)


def test_what_the_play_or_the_role_switches_off_counts(tmp_path: Path) -> None:
    assert "the play 'Mark' switches" in found(tmp_path, [WRITE], play={"check_mode": False})
    roles = [{"role": "mark", "check_mode": False}]
    assert "a role switches" in found(tmp_path, [WRITE], play={"roles": roles})


def test_a_task_that_the_entry_lists_as_a_read_is_fine(tmp_path: Path) -> None:
    assert found(tmp_path, [READ], dry_run={"reads": ["Ask"]}) == ""
    assert "'Write'" in found(
        tmp_path, [READ, WRITE | {"check_mode": False}], dry_run={"reads": ["Ask"]}
    )
    assert found(tmp_path, [READ], dry_run="none") == ""


def test_a_short_name_that_the_project_has_a_module_of_its_own_for_is_not_known(
    tmp_path: Path,
) -> None:
    assert found(tmp_path, [{"copy": {"dest": "/x"}}]) == ""
    library = tmp_path / "roles/mark/library"
    library.mkdir()
    (library / "copy.py").write_text("")
    assert "of copy, a module of the project" in found(tmp_path, [{"copy": {"dest": "/x"}}])
    assert found(tmp_path, [WRITE]) == ""


def test_shipped_entries_that_are_considered_have_harmless_dry_runs() -> None:
    catalog = load(ROOT / "playbooks", ())
    for entry in catalog.by_kind("remediation"):
        if entry.consider:
            assert really_done(entry, scan(entry, catalog.roles)) == (), entry.id
    restart = catalog.get("restart_service")
    assert really_done(restart, scan(restart, catalog.roles)) == ()
