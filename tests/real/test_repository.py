"""`project.ansible`: a team's repository is used where it lies, by what its ansible.cfg says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner import inventory
from runner.config import Config
from runner.config.reading import build
from runner.config.repository import asking
from runner.errors import ConfigError
from runner.execute.environment import closed
from tests import small_project
from tests.command_line import answered
from tests.local_hosts import Lab, needs_ansible
from tests.small_project import make

real, with_ansible = needs_ansible

SETTINGS = """\
[defaults]
inventory = inventories/production, inventories/shared.yml
roles_path = roles:/opt/roles
vault_identity_list = prod@keys/prod, own@prompt
host_key_checking = false
log_path = ansible.log
strategy = free
callbacks_enabled = profile_tasks
fact_caching = jsonfile
"""


def built(root: Path, settings: str = SETTINGS, **content: Any) -> Config:
    (root / "site").mkdir(exist_ok=True)
    (root / "site/ansible.cfg").write_text(settings)
    content.setdefault("project", {})
    content["project"] = {"ansible": "site"} | content["project"]
    return build(content, root=root)


def test_what_its_ansible_cfg_says_is_used(tmp_path: Path) -> None:
    found, site = built(tmp_path), tmp_path / "site"
    assert found.project.ansible_config == site / "ansible.cfg"
    assert found.project.inventory == (site / "inventories/production",
                                       site / "inventories/shared.yml")  # fmt: skip
    assert found.project.roles == (tmp_path / "roles", site / "roles", Path("/opt/roles"))
    assert found.execution.vault_ids == {"prod": site / "keys/prod"}


def test_passwords_are_found_by_any_ansible_cfg(tmp_path: Path) -> None:
    """As Ansible reads it: with its comments, seen from its folder, a label twice."""
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/ansible.cfg").write_text(
        "[defaults]\nvault_password_file = one ; the old one\n"
        "vault_identity_list = prod@old, prod@new, plain, ask@prompt\n"
        "become_password_file = keys/become\nconnection_password_file = keys/ssh\n"
    )
    found = build({"project": {"ansible_config": "settings/ansible.cfg"}}, root=tmp_path)
    at = tmp_path / "settings"
    assert found.execution.password_files == {
        "vault_password_file": at / "one",
        "vault_ids.prod": at / "old", "vault_ids.prod.2": at / "new",
        "vault_ids.default": at / "plain",
        "become_password_file": at / "keys/become",
        "connection_password_file": at / "keys/ssh",
    }  # fmt: skip
    told = found.execution.of_passwords()
    assert told["ANSIBLE_BECOME_PASSWORD_FILE"] == str(at / "keys/become")
    assert "prompt" not in told["ANSIBLE_VAULT_IDENTITY_LIST"]


def test_what_an_ansible_cfg_would_ask_is_said(tmp_path: Path) -> None:
    file = tmp_path / "ansible.cfg"
    file.write_text(
        "[defaults]\nask_pass = no\nask_vault_pass = True\nvault_identity_list = a@x, b@prompt\n"
        "[privilege_escalation]\nbecome_ask_pass = yes\n"
    )
    assert [text.partition(" is ")[0] for text in asking(file)] == [
        "ask_vault_pass", "become_ask_pass", "the prompt in vault_identity_list"
    ]  # fmt: skip


def test_what_runner_yml_says_wins(tmp_path: Path) -> None:
    found = built(
        tmp_path,
        project={"inventory": ["own"], "roles": ["mine"]},
        execution={"vault_ids": {"prod": "other"}},
    )
    assert found.project.inventory == (tmp_path / "own",)
    assert found.project.roles == (tmp_path / "mine",)
    assert found.execution.vault_ids == {"prod": tmp_path / "other"}


@pytest.mark.parametrize(
    ("settings", "folder", "said"),
    [
        ("[defaults]\n", "site", "names no inventory; set project.inventory"),
        ("x\n", "site", "no section headers"),
        (
            "[defaults]\ninventory = i\nvault_identity_list = own@prompt\n",
            "site",
            "nobody is there",
        ),
        ("", "gone", "gone is not there"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, settings: str, folder: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built(tmp_path, settings, project={"ansible": folder})


def test_a_run_does_not_follow_what_would_outlive_it(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text(SETTINGS.replace("vault_identity_list", "; vault"))
    lab = Lab(tmp_path)
    request = lab.request(lab.play("- debug:"), ansible_config=tmp_path / "ansible.cfg")
    found = closed(request, tmp_path)
    assert found["ANSIBLE_STRATEGY"] == "linear" and found["ANSIBLE_LOG_PATH"] == "/dev/null"
    assert found["ANSIBLE_CACHE_PLUGIN"] == "memory"
    assert found["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert lab.run("- ansible.builtin.ping:", ansible_config=request.ansible_config).stats
    assert not (tmp_path / "ansible.log").exists()


def test_the_inventory_is_read_with_what_a_run_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that finds its programs when the inventory is read finds them in the run, too."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", "/nowhere")
    lab = Lab(tmp_path)
    run = closed(lab.request(lab.play("- debug:")), tmp_path)
    project = small_project.project(make(tmp_path / "project"))
    listed = inventory.closed(project.ansible_environment)
    assert [run[name] for name in ("PATH", "HOME")] == [listed[name] for name in ("PATH", "HOME")]


@real
@with_ansible
def test_check_names_what_is_not_followed(tmp_path: Path) -> None:
    settings = {"project": {"ansible": "site", "inventory": ["inventory"]}}
    path = make(tmp_path, settings=settings)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/ansible.cfg").write_text("[defaults]\nlog_path = x\nstrategy = free\n")
    said = [each["text"] for each in answered(path, "check") if each["topic"] == "ansible"]
    assert [text.partition(": ")[2].partition(" ")[0] for text in said[1:]] == [
        "strategy", "log_path"
    ]  # fmt: skip
