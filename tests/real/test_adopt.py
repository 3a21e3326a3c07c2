"""Ten ordinary playbooks, adopted unchanged and dry-run on a real host over SSH."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import small_project as small
from tests.command_line import answered, call
from tests.local_hosts import needs_ansible
from tests.reliability.ssh_host import SshHost

real, with_ansible = needs_ansible
SITE = Path(__file__).parents[1] / "adopt" / "site"
HOSTS = {
    "web": {"hosts": {"web1": {}}},
    "lb": {"hosts": {"lb1": {}}},
}
#: Playbook → further options, and what the end of its output must say.
ORDINARY: dict[str, tuple[list[str], str]] = {
    "reload_proxy.yml": ([], "a dry run cannot show what these tasks change"),
    "trim_logs.yml": ([], "level approve, and later auto"),
    "roll_back.yml": (["-p", "release=4.2"], "a dry run cannot show what these tasks change"),
    "rolling_restart.yml": ([], "'Restart' (shell)"),
    "rotate_password.yml": ([], "level approve, and later auto"),
    "drain_and_restart.yml": ([], "level approve, and later auto"),
    "shop.yml": (["--tag", "settings"], "level approve, and later auto"),
    "behind_balancer.yml": ([], "level approve, and later auto"),
    "acme.ops.clear_spool": ([], "level approve, and later auto"),
}


def project(root: Path, hosts: dict[str, Any]) -> Path:
    """A project of the runner beside the team's own Ansible repository."""
    shutil.copytree(SITE, root / "site")
    inventory = {"all": {"children": HOSTS, "vars": hosts}}
    settings = {
        "project": {
            "inventory": ["inventory"],
            "ansible_config": "site/ansible.cfg",
            "roles": ["roles", "site/roles"],
        },
        "execution": {
            "warm": False,
            "host_key_checking": False,
            "vault_password_file": "site/vault_password",
        },
        "policy": {"min_fidelity": 0.5},
    }
    return small.make(root, settings=settings, inventory=inventory)


def digest(folder: Path) -> str:
    """Of every file of the team's repository."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}".encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    made = SshHost(tmp_path_factory.mktemp("host"))
    yield made
    made.close()


@real
@pytest.mark.slow
@with_ansible
@pytest.mark.parametrize("playbook", ORDINARY)
def test_an_ordinary_playbook_is_adopted_unchanged_and_dry_run(
    playbook: str, host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine of ten; the tenth is for Windows."""
    monkeypatch.setenv("REGISTRY_TOKEN", "a-token-nobody-may-see")
    path = project(tmp_path, host.variables())
    before = digest(tmp_path / "site")
    options, said = ORDINARY[playbook]
    named = playbook if "/" in playbook or not playbook.endswith("yml") else f"site/{playbook}"
    monkeypatch.chdir(tmp_path)
    result = call(path, "catalog", "adopt", named, "--host", "web1", "--yes", *options)
    assert result.exit_code == 0, result.output
    id = playbook.removesuffix(".yml").rpartition(".")[2]
    assert f"runner run {id} --host=web1 --check" in result.stderr
    assert f"{id} may go to dry-run today" in result.stdout
    assert said in " ".join(result.stdout.split())
    assert digest(tmp_path / "site") == before
    assert "a-token-nobody-may-see" not in result.output
    entry = (tmp_path / "playbooks" / id / "entry.yml").read_text()
    assert "\nlevel: dry-run\n" in entry and "\nmatch:" not in entry
    run = answered(path, "incident", "show", "1")["runs"][0]
    assert run["outcome"] in ("changed", "no_change")
    assert "hunter2" not in json.dumps(answered(path, "incident", "show", "1"))


def test_the_one_for_windows_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = project(tmp_path, {"ansible_connection": "local"})
    result = call(path, "catalog", "adopt", tmp_path / "site/windows_service.yml")
    assert result.exit_code == 6
    assert "is for Windows (ansible.windows.win_service)" in result.stderr
    assert not (tmp_path / "playbooks/windows_service").exists()


def test_all_lists_a_repository_and_writes_nothing(tmp_path: Path) -> None:
    path = project(tmp_path, {"ansible_connection": "local"})
    found = answered(path, "catalog", "adopt", "--all", tmp_path / "site")
    names = {each["id"]: each["refused"] for each in found}
    ids = {name.removesuffix(".yml").rpartition(".")[2] for name in ORDINARY}
    assert set(names) == ids | {"windows_service"}
    assert "acme.ops.clear_spool" in [each["playbook"] for each in found]
    assert [id for id, why in names.items() if why] == ["windows_service"]
    assert [each.name for each in (tmp_path / "playbooks").iterdir()] == ["mark"]


def test_all_says_which_collection_ansible_does_not_find(tmp_path: Path) -> None:
    path = project(tmp_path, {"ansible_connection": "local"})
    shutil.copytree(tmp_path / "site/collections", tmp_path / "elsewhere/collections")
    acme = tmp_path / "elsewhere/collections/ansible_collections/acme"
    (acme / "ops").rename(acme / "other")
    (found,) = answered(path, "catalog", "adopt", "--all", tmp_path / "elsewhere")
    assert found["playbook"] == "acme.other.clear_spool"
    assert "Ansible finds no collection acme.other" in found["refused"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "name one playbook"),
        (["gone.yml"], 2, "cannot be read"),
        (["requirements.yml"], 2, "is no playbook"),
        (
            ["acme.ops.clear_spol"],
            2,
            "no such playbook of a collection: acme.ops.clear_spol; acme.ops has "
            "acme.ops.clear_spool",
        ),
        (["acme.gone.clear"], 2, "Ansible finds no collection acme.gone"),
        (["trim_logs.yml", "--id", "mark"], 2, "the catalog has an entry mark already"),
        (
            ["trim_logs.yml", "--id", "mark", "--host", "web1"],
            2,
            "dry-run it with `runner run mark --host=web1 --check`",
        ),
        (
            ["shop.yml", "--tag", "cash"],
            6,
            "no task has the tag cash; tags of the playbook: cache, settings",
        ),
        (["shop.yml", "--skip-tag", "cash"], 6, "no task has the tag cash"),
        (["roll_back.yml", "--host", "web1"], 2, "roll_back needs -p release=VALUE"),
        (["roll_back.yml", "--host", "web1", "-p", "release=$(id)"], 2, "must match"),
        (["roll_back.yml", "--host", "web1", "-p", "release"], 2, "is not NAME=VALUE"),
        (["trim_logs.yml", "--host", "web1", "-p", "gone=1"], 2, "has no parameter 'gone'"),
        (["trim_logs.yml", "--id", "Trim"], 2, "cannot be an id"),
        (["trim_logs.yml", "--host", "web9"], 6, "web9 is not a host of the inventory"),
        (["trim_logs.yml", "--host", "lb1"], 6, "'Trim the logs of a service' is for web"),
    ],
)
def test_what_cannot_be_adopted_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    path = project(tmp_path, {"ansible_connection": "local"})
    monkeypatch.chdir(tmp_path / "site")
    result = call(path, "catalog", "adopt", *words, "--yes")
    assert result.exit_code == code, result.output
    assert said in " ".join(result.stderr.split())
    assert [each.name for each in (tmp_path / "playbooks").iterdir()] == ["mark"]


def test_hosts_of_other_plays_are_found_by_their_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says no at the terminal keeps the entry and the command of its dry run."""
    path = project(tmp_path, {"ansible_connection": "local"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runner.cli.session.can_ask", lambda session: True)
    words = ["site/drain_and_restart.yml", "--host", "web1"]
    words += ["--alert", "ShopDown", "--check", "up == 1"]
    result = call(path, "catalog", "adopt", *words, input="n\n")
    assert result.exit_code == 130
    assert "runner run drain_and_restart --host=web1 --check" in result.stderr
    entry = (tmp_path / "playbooks/drain_and_restart/entry.yml").read_text()
    assert "also:\n    group: lb" in entry
    assert "# match: ['alertname=\"ShopDown\"']" in entry and "promql: up == 1" in entry
    assert "No incidents found" in call(path, "incident", "list").output


HIDING = """\
- name: Change a file that nobody may see
  hosts: web
  gather_facts: false
  tasks:
    - name: Write the password
      ansible.builtin.copy: {dest: "{{ playbook_dir }}/secret", content: new, mode: "0600"}
      no_log: true
"""


@real
@with_ansible
def test_what_the_dry_run_showed_is_a_limit_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are `level` in runner.yml, and a check that nobody answers."""
    path = project(tmp_path, {"ansible_connection": "local"})
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"level": "approve"}))
    (tmp_path / "site/hiding.yml").write_text(HIDING)
    monkeypatch.chdir(tmp_path)
    result = call(path, "catalog", "adopt", "site/hiding.yml", "--host", "web1", "--yes")
    assert result.exit_code == 0, result.output
    said = result.stdout[result.stdout.index("What would raise it") :]
    assert [line for line in said.splitlines() if line][2:] == [
        "- level approve, and later auto, in the same file",
        "- level in runner.yml, which limits every entry to approve",
        "What keeps it from auto",
        "- The dry run showed 0% of the changes (1 unshown); policy.min_fidelity is 50%.",
        "- `alert: cleared` is the only check, and runner.yml has no `alertmanagers`: nobody can "
        "say whether a run helped, and each ends with a person",
    ], said
    shown = call(path, "incident", "show", "1").stdout
    assert "(would change; no_log hides its diff)" in shown


@pytest.mark.parametrize(
    ("settings", "check", "said"),
    [
        ({}, "", "nobody can say whether a run helped"),
        ({"prometheus": {"url": "http://127.0.0.1:1"}}, "", "only alerts whose rule Prometheus"),
        ({"alertmanagers": [{"url": "http://127.0.0.1:1"}]}, "", ""),
        ({}, "up == 1", ""),
    ],
)
def test_a_check_that_nobody_answers_is_explained(
    tmp_path: Path, settings: dict[str, Any], check: str, said: str
) -> None:
    path = project(tmp_path, {"ansible_connection": "local"})
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    words = ["catalog", "adopt", tmp_path / "site/trim_logs.yml", "--check", check]
    text = " ".join(answered(path, *words)["holds_back"])
    assert said in text and ("`alert: cleared` is the only check" in text) is bool(said)


def test_piped_answers_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can be asked before the dry run, so nothing is written."""
    path = project(tmp_path, {"ansible_connection": "local"})
    monkeypatch.chdir(tmp_path)
    words = ["site/drain_and_restart.yml", "--host", "web1"]
    result = call(path, "catalog", "adopt", *words, input="ShopDown\nup == 1\ny\n")
    assert result.exit_code == 2 and "add --yes to confirm" in result.stderr
    assert [each.name for each in (tmp_path / "playbooks").iterdir()] == ["mark"]


@pytest.mark.parametrize("alert", ["", "ShopDown"])
def test_without_a_host_it_says_what_was_not_done_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alert: str
) -> None:
    """The line that is named becomes `match` by what is said of it."""
    path = project(tmp_path, {"ansible_connection": "local"})
    monkeypatch.chdir(tmp_path)
    result = call(path, "catalog", "adopt", "site/trim_logs.yml", "--alert", alert, "--yes")
    assert result.exit_code == 0, result.output
    assert "There was no dry run, because --host was not given." in result.stderr
    said = " ".join(result.stdout.split())
    assert ("put the alert's name there, and" in said) is not bool(alert)
    assert "remove `# ` from the last line of" in said
    entry = tmp_path / "playbooks/trim_logs/entry.yml"
    *lines, last = entry.read_text().splitlines()
    entry.write_text("\n".join([*lines, last.removeprefix("# ")]))
    labels = {"alertname": alert or "NAME OF THE ALERT", "instance": "web1"}
    assert [one.id for one in small.project(path).catalog.eligible(labels)] == ["trim_logs"]
