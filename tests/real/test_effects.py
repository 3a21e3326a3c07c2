"""An entry may show a state where a module shows nothing; the run must then come to that state."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import load
from runner.catalog.dry_run import checked
from runner.catalog.lint import lint
from runner.catalog.scan import scan
from runner.errors import CatalogError
from runner.incident import Outcome, Purpose, Result, Shown, State
from runner.incident_report import Bundle
from tests import small_project as small
from tests.command_line import process
from tests.local_hosts import needs_ansible

ROOT = Path(__file__).parents[2]
real, with_ansible = needs_ansible

#: A systemd with one unit, which is what it was told last.
SYSTEMCTL = """\
#!/bin/sh
state={root}/state
for word; do
  case "$word" in
    show) echo LoadState=loaded
          cat $state
          case "$*" in *--property*MainPID*) echo MainPID=42;; esac;;
    start|restart) printf '{after}' > $state;;
  esac
done
"""
FINE = "ActiveState=active\\nSubState=running\\n"
BROKEN = "ActiveState=failed\\nSubState=failed\\n"
RESTART = "service_restart : Remediate | Restart the unit unless it is healthy"


def shipped(root: Path, *, after: str = FINE, **settings: Any) -> Path:
    """The shipped catalog on one local host whose systemd is ours; its runner.yml."""
    program = root / "bin" / "systemctl"
    program.parent.mkdir(parents=True)
    program.write_text(SYSTEMCTL.format(root=root, after=after))
    program.chmod(0o755)
    (root / "state").write_text("ActiveState=failed\nSubState=failed\n")
    programs = Path(sys.executable).parent
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "service_restart_settle_seconds": 1,
    }
    path = small.make(
        root,
        inventory={"all": {"hosts": {"web1": host}}},
        settings={
            "project": {
                "playbooks": str(ROOT / "playbooks"), "roles": [],
                "inventory": ["inventory"], "ansible_config": None,
            },
            "execution": {"environment": {"PATH": f"{program.parent}:{programs}:/usr/bin:/bin"}},
            "policy": {},
            **settings,
        },
    )  # fmt: skip
    return path


def restart(path: Path, *words: str) -> tuple[int, Bundle]:
    ended = process(path, "run", "restart_service", "--host", "web1",
                    "-p", "service_restart_unit=shop.service", *words)  # fmt: skip
    project = small.project(path)
    try:
        return ended.returncode, small.look(project)
    finally:
        project.close()


@real
@with_ansible
def test_restart_service_shows_the_state_that_it_read_and_reaches_auto(tmp_path: Path) -> None:
    """Invariant 19: the module reads the state in the dry run, and shows what a restart brings."""
    code, found = restart(shipped(tmp_path), "--yes")
    dry = found.runs[0]
    assert {task.task: task.kind for task in dry.fidelity.changes} == {RESTART: Shown.SHOWN}
    assert dry.fidelity.share == 1
    assert dry.diff.splitlines() == [
        f"# web1 · {RESTART}",
        "--- before",
        "+++ after",
        "@@ -1 +1 @@",
        "-shop.service: loaded/failed/failed",
        "+shop.service: active, a new process",
    ]
    assert code == 0 and found.incident.state is State.FIXED
    assert [run.purpose for run in found.runs] == [Purpose.DRY_RUN, Purpose.REMEDIATION]


@real
@with_ansible
def test_an_old_entry_finds_the_shipped_role_by_its_short_name(tmp_path: Path) -> None:
    """Dry run and run: Ansible itself has to find what the catalog found, in the private copy."""
    path = shipped(tmp_path)
    own = tmp_path / "playbooks"
    shutil.rmtree(own)
    for name in ("restart_service", "collect_diagnostics"):
        shutil.copytree(ROOT / "playbooks" / name, own / name)
        for file in (own / name / "entry.yml", own / name / "playbook.yml"):
            file.write_text(file.read_text().replace("runner.remediation.", ""))
    settings = json.loads(path.read_text())
    settings["project"] |= {"playbooks": "playbooks", "roles": ["roles"]}
    path.write_text(json.dumps(settings))
    code, found = restart(path, "--yes")
    assert code == 0 and found.incident.state is State.FIXED
    assert found.plan is not None
    names = [name for name in found.plan.loaded if name.startswith("collection ")]
    assert names == ["collection runner.remediation 0.1.0"]


ENTRY: dict[str, Any] = {
    "title": "Restart",
    "description": "Restarts.",
    "role": "mark",
    "level": "auto",
    "risk": "low",
    "parameters": {"mark_text": {"from": "label service"}},
    "limits": {"cooldown": "0s", "timeout": "60s"},
    "verify": {"within": "5s", "hold": "0s", "checks": [{"result": {"seen": True}}]},
    "dry_run": {
        "effects": [{"task": "Restart", "before": "Look", "after": {"state": "active"}}],
        "reads": ["Look", "Look again"],
    },
}
TASKS = """\
- name: Look
  ansible.builtin.command: systemctl show {{ mark_text }}
  check_mode: false
  changed_when: false
  register: mark_seen
- name: Restart
  ansible.builtin.systemd_service: {name: "{{ mark_text }}", state: restarted}
- name: Look again
  ansible.builtin.command: systemctl show {{ mark_text }}
  changed_when: false
  register: mark_after
  when: not ansible_check_mode
- name: Report
  ansible.builtin.set_stats:
    data:
      remediation:
        seen: true
        state: "{{ (mark_after.stdout_lines | default(['', '=']))[1].partition('=')[2] }}"
    per_host: false
    aggregate: false
"""


def own(root: Path, *, tasks: str = TASKS, **entry: Any) -> Path:
    """A project whose one entry restarts a unit, without any other check of its own."""
    path = shipped(root, after=BROKEN)
    settings = json.loads(path.read_text())
    settings["project"] = {"inventory": ["inventory"], "ansible_config": None}
    path.write_text(json.dumps(settings))
    (root / "playbooks/mark/entry.yml").write_text(json.dumps(ENTRY | entry))
    (root / "roles/mark/tasks/main.yml").write_text(tasks)
    return path


@real
@with_ansible
def test_a_run_that_does_not_come_to_the_state_it_promised_is_not_fixed(tmp_path: Path) -> None:
    """Invariant 19: what was shown by the entry's word is compared with what really came of it."""
    path = own(tmp_path)
    ended = process(path, "run", "mark", "--host", "web1", "-p", "mark_text=shop", "--yes")
    project = small.project(path)
    found = small.look(project)
    project.close()
    assert found.runs[0].fidelity.share == 1
    assert found.runs[1].outcome is Outcome.CHANGED
    checks = found.verifications[found.runs[1].id].checks
    assert [(check.target, check.result) for check in checks] == [
        ("seen", Result.FIXED), ("state", Result.NOT_FIXED),
    ]  # fmt: skip
    assert found.incident.state is State.ESCALATED and ended.returncode == 1


def problems(path: Path) -> list[str]:
    catalog = load(path.parent / "playbooks", (path.parent / "roles",))
    found = [str(problem) for problem in lint(catalog)]
    return [text.partition("entry.yml: ")[2] for text in found if "dry_run" in text]


def effect(**changes: Any) -> dict[str, Any]:
    return {"effects": [ENTRY["dry_run"]["effects"][0] | changes]}


def test_sound_effects_and_reads_are_no_problem(tmp_path: Path) -> None:
    assert problems(own(tmp_path)) == []


@pytest.mark.parametrize(
    ("dry_run", "old", "new", "said"),
    [
        (effect(task="Restrat"), "", "", "there is no task called 'Restrat'"),
        (effect(task="Look"), "", "", "'Look' is of ansible.builtin.command, which is none of"),
        (effect(before="Lok"), "", "", "before: there is no task called 'Lok'"),
        (effect(before="Look again"), "", "", "a dry run does not really run 'Look again'"),
        ({"reads": ["Restart"]}, "", "", "'Restart' has no check_mode: false"),
        ({"reads": ["Lok"]}, "", "", "dry_run.reads: there is no task called 'Lok'"),
        (effect(), "state: restarted", "state: restarted, enabled: true", "also asks for enabled"),
        (effect(), "systemd_service:", "apt:", "is of ansible.builtin.apt, which is none of"),
        (effect(), "- name: Look again", "- name: Look", "there are 2 tasks called 'Look'"),
    ],
)
def test_an_effect_that_does_not_hold_up_is_a_problem_and_shows_nothing(
    tmp_path: Path, dry_run: dict[str, Any], old: str, new: str, said: str
) -> None:
    """Invariant 19: lint and the dry run itself have one check."""
    path = own(tmp_path, tasks=TASKS.replace(old, new, 1), dry_run=dry_run)
    found = problems(path)
    assert len(found) == 1 and said in found[0]
    catalog = load(tmp_path / "playbooks", (tmp_path / "roles",))
    entry = catalog.get("mark")
    if dry_run.get("effects"):
        assert checked(entry, scan(entry, catalog.roles).tasks).effects == ()


@pytest.mark.parametrize(
    ("keys", "required"),
    [
        ({}, True),
        ({"rehearsal": "none"}, False),
        ({"rehearsal": "required"}, True),
        ({"dry_run": "none"}, False),
        ({"dry_run": "required"}, True),
        ({"dry_run": effect()}, True),
    ],
)
def test_dry_run_and_its_older_name_are_both_taken(
    tmp_path: Path, keys: dict[str, Any], required: bool
) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "dry_run"} | keys
    path = own(tmp_path)
    (tmp_path / "playbooks/mark/entry.yml").write_text(json.dumps(entry))
    found = load(path.parent / "playbooks", (tmp_path / "roles",)).get("mark")
    assert found.dry_run.required is required
    assert found.dry_run.word == ("required" if required else "none")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rehearsal": "none", "dry_run": "none"}, "keep only dry_run"),
        ({"rehearsal": "perhaps"}, "rehearsal is required or none, not 'perhaps'"),
        ({"dry_run": "perhaps"}, "dry_run is required, none, or a mapping"),
        ({"dry_run": {"effect": []}}, "unknown key dry_run.effect; did you mean effects?"),
        ({"dry_run": effect(after={})}, "after"),
    ],
)
def test_a_dry_run_that_is_none_of_these_is_refused(
    tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "dry_run"} | keys
    path = own(tmp_path)
    (tmp_path / "playbooks/mark/entry.yml").write_text(json.dumps(entry))
    with pytest.raises(CatalogError, match=r"mark/entry\.yml") as caught:
        load(path.parent / "playbooks", (tmp_path / "roles",))
    assert said in str(caught.value)


def test_the_effects_of_the_shipped_entries_hold_up() -> None:
    catalog = load(ROOT / "playbooks", ())
    having = [entry for entry in catalog.entries.values() if entry.dry_run.effects]
    for entry in having:
        assert checked(entry, scan(entry, catalog.roles).tasks).problems == ()
