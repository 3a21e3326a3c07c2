"""What Ansible Vault encrypts is secret wherever it goes, and the inventory still works."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import cli
from runner.daemon import Daemon
from runner.errors import InventoryError
from runner.evidence.mask import Mask
from runner.inventory import Inventory
from runner.inventory.reader import InventoryReader
from runner.project import Project
from runner.vault import MASKED, Known, Secrets, Vault, covering, inline
from tests import small_project

real = pytest.mark.real
PASSWORD = "s3cret"
#: What the encrypted files below say: a long value and a short one.
LONG, SHORT = "correct-horse-battery", "q7Zx"
CASE = Path(__file__).parents[1] / "inputs/V1-vaulted-inventory"
VAULT = Path(sys.executable).with_name("ansible-vault")


def encrypt(path: Path, password: Path) -> None:
    """Encrypt the file as its owner would."""
    command = [VAULT, "encrypt", "--vault-password-file", password, path]
    subprocess.run(command, check=True, capture_output=True)


def encrypted_text(text: str, password: Path) -> str:
    command = [VAULT, "encrypt_string", "--vault-password-file", password, text]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def password_in(folder: Path, text: str = PASSWORD) -> Path:
    path = folder / "vault_password"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def vaulted(tmp_path: Path) -> tuple[Path, Path]:
    """(inventory, password file) of a group whose variables are encrypted."""
    inventory = tmp_path / "inventory"
    shutil.copytree(CASE, inventory, ignore=shutil.ignore_patterns("README"))
    password = password_in(tmp_path)
    encrypt(inventory / "group_vars/app/vault.yml", password)
    return inventory, password


def env(password: Path) -> dict[str, str]:
    return {"ANSIBLE_VAULT_PASSWORD_FILE": str(password)}


@real
def test_a_vaulted_file_of_the_inventory_is_opened_and_its_variables_are_withheld(
    vaulted: tuple[Path, Path],
) -> None:
    inventory, password = vaulted
    found = Inventory.load((inventory / "hosts.yml",), environment=env(password))
    assert found.hosts["app1.example.com"].variables == {}
    assert found.hosts["app1.example.com"].groups == ("app",)


@real
@pytest.mark.parametrize("password", [None, "another"])
def test_without_the_right_password_the_sentence_names_the_key_and_the_file(
    vaulted: tuple[Path, Path], password: str | None
) -> None:
    inventory, file = vaulted
    environment = env(password_in(file.parent, password)) if password else {}
    with pytest.raises(InventoryError, match=r"execution\.vault_password_file") as caught:
        Inventory.load((inventory,), environment=environment)
    assert "group_vars/app/vault.yml" in str(caught.value)


@real
def test_what_the_runner_must_know_is_still_known_when_it_is_encrypted(
    vaulted: tuple[Path, Path],
) -> None:
    """A level that is dropped because somebody encrypts everything would raise autonomy."""
    inventory, password = vaulted
    path = inventory / "group_vars/app/all.yml"
    path.write_text("runner_level: observe\nansible_host: 192.0.2.7\nansible_user: deploy\n")
    encrypt(path, password)
    found = Inventory.load((inventory,), environment=env(password))
    variables = found.hosts["app1.example.com"].variables
    assert variables == {"runner_level": "observe", "ansible_host": "192.0.2.7"}


@real
def test_every_kind_of_encrypted_value_is_known_and_only_those(
    vaulted: tuple[Path, Path],
) -> None:
    inventory, password = vaulted
    roles = inventory.parent / "roles/shop/vars"
    roles.mkdir(parents=True)
    key = "-----BEGIN THING-----\nMIIEowIBAAKCAQEA75\n-----END THING-----"
    (roles / "main.yml").write_text(f"of_role: {encrypted_text('hidden-in-a-role', password)}\n")
    (roles / "key.pem").write_text(key)
    encrypt(roles / "key.pem", password)
    (inventory / "group_vars/app/plain.yml").write_text(
        f"inline: {encrypted_text('hidden-inline', password)}\nopen_value: is-no-secret\n"
    )
    deep = {
        "deep": {"list": ["hidden-in-a-list", {"pin": SHORT}], "number": 4711471147, "on": True}
    }
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/app1.example.com.yml").write_text(json.dumps(deep))
    encrypt(inventory / "host_vars/app1.example.com.yml", password)
    vault = Vault((inventory,), (inventory.parent / "roles",), env(password), (password,))
    found = vault.secrets()
    assert found.values == {
        "plain-before-you-encrypt-it", "hidden-in-a-role", "hidden-inline", "hidden-in-a-list",
        "4711471147", key, *key.splitlines(),
    }  # fmt: skip
    assert found.pairs == {("pin", SHORT)}
    assert found.names == {"db_password", "deep"}
    assert vault("open_value: is-no-secret, pin 4711") == "open_value: is-no-secret, pin 4711"
    assert vault(f'{{"pin": "{SHORT}"}} +  pin={SHORT}') == '{"pin": "[masked]"} +  pin=[masked]'
    assert vault.hides("pin", SHORT) and vault.hides("x", 4711471147) and not vault.hides("x", 4)


@real
def test_a_vault_id_opens_what_is_encrypted_for_it(vaulted: tuple[Path, Path]) -> None:
    inventory, password = vaulted
    environment = {"ANSIBLE_VAULT_IDENTITY_LIST": f"prod@{password}"}
    assert Inventory.load((inventory,), environment=environment).hosts


@real
def test_a_password_that_changes_in_a_file_is_seen(vaulted: tuple[Path, Path]) -> None:
    inventory, password = vaulted
    vault = Vault((inventory,), (), env(password), (password,))
    reader = InventoryReader((inventory,), env(password), vault)
    reader.read(timedelta(hours=1))
    path = inventory / "group_vars/app/vault.yml"
    path.write_text("db_password: replaced-by-another\n")
    encrypt(path, password)
    vault._looked = float("-inf")  # as if its second were over
    assert vault("plain-before-you-encrypt-it replaced-by-another").endswith(MASKED)


@real
def test_what_cannot_be_opened_is_named_and_what_cannot_be_read_masks_everything(
    vaulted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13: without knowing what is secret, nothing is shown."""
    inventory, password = vaulted
    locked = Vault((), (inventory,), {}).secrets().locked
    assert locked == (str(inventory / "group_vars/app/vault.yml"),)
    broken = Vault((inventory,), (), env(password))
    monkeypatch.setattr("runner.vault.sys.executable", "/bin/false")
    assert "harmless" not in broken("harmless")
    with pytest.raises(InventoryError, match="cannot be read"):
        broken.secrets()


TASKS = """\
- name: "Use {{{{ db_password }}}}"
  ansible.builtin.debug:
    msg: "the password is {{{{ db_password }}}}, db_pin={{{{ db_pin }}}}"
- name: Write a configuration
  ansible.builtin.copy:
    dest: "{root}/app.conf"
    content: "password {{{{ db_password }}}}\\ndb_pin = {{{{ db_pin }}}}\\n{{{{ mark_text }}}}\\n"
    mode: "0600"
- name: Report
  ansible.builtin.set_stats:
    data:
      remediation:
        marked: true
        db_pin: "{{{{ db_pin }}}}"
        said: "{{{{ db_password }}}}"
"""


@pytest.fixture
def told(tmp_path: Path) -> Project:
    """A project whose play prints, writes and reports what came from an encrypted file."""
    password = password_in(tmp_path)
    settings = {"execution": {"vault_password_file": str(password)}}
    path = small_project.make(tmp_path, settings=settings)
    (tmp_path / "roles/mark/tasks/main.yml").write_text(TASKS.format(root=tmp_path))
    secret = tmp_path / "inventory/group_vars/all/vault.yml"
    secret.parent.mkdir(parents=True)
    secret.write_text(f"db_password: {LONG}\ndb_pin: {SHORT}\nrunner_owner: owner-of-{LONG}\n")
    encrypt(secret, password)
    return small_project.project(path)


@real
def test_nothing_of_a_vaulted_file_is_stored_or_shown(told: Project, tmp_path: Path) -> None:
    """Invariant 13: evidence, store, diff, artifacts, notifications and exports."""
    daemon = Daemon(told)
    daemon.start()
    try:
        small_project.deliver(told, small_project.alert())
        seen = small_project.wait(told)
    finally:
        daemon.stop()
    assert "changed" in {str(run.outcome) for run in seen.runs}, seen.transitions
    told.close()
    file = tmp_path / "export.json"
    runner = CliRunner()
    shown = [
        runner.invoke(cli, ["--config", str(tmp_path / "runner.yml"), *words]).output
        for words in (
            ["incident", "show", "1", "--evidence"],
            ["-o", "json", "incident", "show", "1"],
            ["audit", "export", str(file)],
        )
    ]
    written = [path for path in (tmp_path / "var").rglob("*") if path.is_file()]
    assert any(path.name == "events.jsonl" for path in written)
    for text in [*shown, *(path.read_text(errors="replace") for path in [*written, file])]:
        assert LONG not in text
        assert SHORT not in text
    assert (tmp_path / "app.conf").read_text().startswith(f"password {LONG}\ndb_pin = {SHORT}")


def test_a_secret_is_masked_however_it_is_written() -> None:
    secret = 'pa"ss/wo rd\\é1'
    cover = covering(Secrets(values=frozenset({secret})))
    for shape in (secret, json.dumps(secret), json.dumps({"a": [secret]})):
        assert "wo rd" not in cover(f"x {shape} y")
    assert (
        cover("curl http://me:pa%22ss%2Fwo%20rd%5C%C3%A91@web1/")
        == f"curl http://me:{MASKED}@web1/"
    )


def test_names_of_hosts_are_no_secret_though_an_encrypted_file_says_them() -> None:
    cover = covering(
        Secrets(values=frozenset({"web1.example.com"})), frozenset({"web1.example.com"})
    )
    assert cover("web1.example.com") == "web1.example.com"


@given(st.sets(st.text(min_size=8), max_size=6), st.text(), st.text())
def test_no_value_is_left_in_any_text(values: set[str], before: str, after: str) -> None:
    cover = covering(Secrets(values=frozenset(values)))
    for value in values:
        assert value not in cover(before + value + after) or value in MASKED


def test_the_mask_takes_known_secrets_before_it_cuts() -> None:
    vault = Known(secrets=Secrets(values=frozenset({"s" * 40})))
    text = "x" * (64 * 1024 - 20) + "s" * 40
    assert Mask(vault=vault)(text).endswith("x" + MASKED)


def test_an_inline_value_is_found_with_its_key() -> None:
    content = b"a: 1\nkey: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6162\n    6364\nb: 2\n"
    assert list(inline(content)) == [("key", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n6364")]
