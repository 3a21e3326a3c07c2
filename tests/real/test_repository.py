"""`project.ansible`: a team's repository is used where it lies, by what its ansible.cfg says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config import Config
from runner.config.reading import build
from runner.errors import ConfigError
from runner.execute.environment import closed
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
