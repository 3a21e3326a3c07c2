"""The ways in which teams set Ansible up, over real sshds on loopback: see
docs/ansible-setups.md."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.inventory import parse
from runner.inventory.logins import AGENT, has_passphrase, problems
from runner.project import Project
from tests import small_project as small
from tests.command_line import PROGRAM, answered, call, environment
from tests.local_hosts import Lab, needs_ansible, number, sleepers
from tests.loopback_sshd import Agent, Sshd, key_pair

pytestmark = [
    *needs_ansible,
    pytest.mark.slow,
    # apprise's mail module imports a module that Python 3.13 drops.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]

VAULT = Path(sys.executable).with_name("ansible-vault")
PASSPHRASE, BECOME = "correct horse", "become-of-the-team"
SETTINGS = """\
[defaults]
inventory = inventory
roles_path = roles
inventory_plugins = plugins/inventory
vault_identity_list = dev@keys/dev, prod@keys/prod-client.sh
become_password_file = keys/become.sh
private_key_file = {key}
[inventory]
enable_plugins = constructed, ours, script, yaml
[privilege_escalation]
become_ask_pass = true
"""
#: Prints the password of one label, as a key ring's client does.
CLIENT = '#!/bin/sh\n[ "$1 $2" = "--vault-id prod" ] && echo prod-password\n'
#: Asks for a password as sudo does, and takes the right one only.
SUDO = f"""\
#!/bin/sh
while [ "$1" != -u ]; do [ "$1" = -p ] && printf %s "$2" >&2; shift; done
read -r given
[ "$given" = {BECOME} ] || {{ echo "Sorry, try again." >&2; exit 1; }}
shift 2
exec "$@"
"""
SCRIPT = """\
#!/bin/sh
case $1 in
--list) echo '{"shop": {"hosts": ["app1"]}}' ;;
--host) echo '{"of_script": "by-host"}' ;;
esac
"""
CONSTRUCTED = """\
plugin: constructed
groups:
  reached: inventory_hostname is match('web')
keyed_groups:
  - {key: stage, prefix: stage}
"""
PLUGIN = '''\
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = """
name: ours
options:
  plugin: {type: str}
"""

class InventoryModule(BaseInventoryPlugin):
    NAME = "ours"

    def verify_file(self, path):
        return path.endswith("ours.yml")

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        inventory.add_host("of_plugin")
'''
TASKS = """\
- name: Use what both vaults and the constructed group say
  ansible.builtin.copy:
    dest: "{root}/used"
    content: "{{{{ of_dev }}}} {{{{ of_prod }}}} {{{{ of_group }}}} {{{{ groups.stage_live }}}}"
    mode: "0600"
  become: true
- name: Show the password
  ansible.builtin.command: cat {root}/site/keys/become.sh
  changed_when: false
  check_mode: false
- name: Report
  ansible.builtin.set_stats:
    data: {{remediation: {{marked: true}}}}
    per_host: false
    aggregate: false
"""


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def encrypt(path: Path, text: str, label: str, password: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    command = [VAULT, "encrypt", "--vault-id", f"{label}@{password}", path]
    subprocess.run(command, check=True, capture_output=True)


class Hosts:
    """A host behind a jump host; a key with a passphrase, and an agent that holds it."""

    def __init__(self, folder: Path) -> None:
        self.key = key_pair(folder / "key", PASSPHRASE)
        self.jump, self.web1 = Sshd(folder / "jump", self.key), Sshd(folder / "web1", self.key)
        self.agent = Agent(folder / "agent", self.key, PASSPHRASE)
        known = folder / "known_hosts"
        known.write_text(self.jump.known + self.web1.known)
        self.config = folder / "ssh_config"
        self.config.write_text(
            f"UserKnownHostsFile {known}\nHost jump\n  HostName 127.0.0.1\n"
            f"  Port {self.jump.port}\n  User {self.jump.user}\n"
        )

    @property
    def variables(self) -> dict[str, Any]:
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.web1.port,
            "ansible_user": self.web1.user,
            "ansible_ssh_common_args": f"-F {self.config} -o ProxyJump=jump",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def close(self) -> None:
        for each in (self.agent, self.jump, self.web1):
            each.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    yield made
    made.close()


#: The repository's parts, named one by one instead of by `project.ansible`.
PARTS = {"ansible_config": "site/ansible.cfg", "inventory": ["site/inventory"]}


def team(root: Path, hosts: Hosts, parts: dict[str, Any] | None = None, **execution: Any) -> Path:
    """A runner beside a team's repository that has all of it; its runner.yml."""
    project = parts or {"ansible": "site"}
    settings = {"project": project, "execution": {"warm": False, **execution}}
    path = small.make(root, settings=settings, entry={"parameters": {}})
    (root / "roles/mark/meta/argument_specs.yml").unlink()
    (root / "roles/mark/tasks/main.yml").write_text(TASKS.format(root=root))
    site, inventory = root / "site", root / "site/inventory"
    for folder in ("keys", "inventory/group_vars", "plugins/inventory"):
        (site / folder).mkdir(parents=True)
    (site / "ansible.cfg").write_text(SETTINGS.format(key=hosts.key))
    (site / "plugins/inventory/ours.py").write_text(PLUGIN)
    (site / "keys/dev").write_text("dev-password\n")
    (site / "roles").mkdir()
    executable(site / "keys/prod-client.sh", CLIENT)
    executable(site / "keys/become.sh", f"#!/bin/sh\necho {BECOME}\n")
    executable(site / "sudo", SUDO)
    web1 = {**hosts.variables, "ansible_become_exe": str(site / "sudo"), "stage": "live"}
    static = {"all": {"hosts": {"web1": web1}}}
    (inventory / "1-static.yml").write_text(json.dumps(static))
    executable(inventory / "2-script", SCRIPT)
    (inventory / "3-ours.yml").write_text("plugin: ours\n")
    (inventory / "4-constructed.yml").write_text(CONSTRUCTED)
    (inventory / "group_vars/reached.yml").write_text("of_group: constructed\n")
    encrypt(inventory / "group_vars/all.yml", "of_dev: the-first-secret\n", "dev",
            site / "keys/dev")  # fmt: skip
    encrypt(inventory / "group_vars/stage_live.yml", "of_prod: the-second-secret\n", "prod",
            site / "keys/prod-client.sh")  # fmt: skip
    return path


def said(path: Path, *topics: str) -> list[str]:
    """What `check` warns of."""
    found = json.loads(call(path, "check", "--output", "json").stdout)
    return [
        each["text"] for each in found if each["topic"] in topics and each["level"] != "ok"
    ]  # fmt: skip


nightly = pytest.mark.nightly


@pytest.mark.parametrize(
    ("warm", "parts"),
    [
        (True, {}),
        pytest.param(False, {}, marks=nightly),
        pytest.param(True, PARTS, marks=nightly),
    ],
)
def test_a_repository_with_all_of_it_is_dry_run_and_run(
    warm: bool,
    parts: dict[str, Any],
    hosts: Hosts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vault ids by file and by client script, a become password by script, a key with a passphrase
    in an agent, ProxyJump, known host keys, `constructed`, a script, a plugin of its own."""
    if not warm:
        monkeypatch.setattr(Project, "warm", property(lambda project: None))
    # A connection that another run left open would say nothing of this one.
    own = {"SSH_AUTH_SOCK": str(hosts.agent.socket), "ANSIBLE_SSH_ARGS": "-o ControlPath=none"}
    path, before = team(tmp_path, hosts, parts, environment=own), hosts.jump.logins
    [text] = said(path, "vault", "inventory", "logins", "ansible")
    assert "become_ask_pass is not followed" in text
    result = call(path, "run", "mark", "--host", "web1", "--yes")
    assert result.exit_code == 0, result.output
    assert hosts.jump.logins > before
    used = (tmp_path / "used").read_text()
    assert used == "the-first-secret the-second-secret constructed ['web1']"
    shown = json.dumps(answered(path, "incident", "show", "1"))
    kept = "".join(file.read_text(errors="replace") for file in (tmp_path / "var").rglob("*.json*"))
    assert "cat" in kept
    for secret in (BECOME, "the-first-secret", "the-second-secret"):
        assert secret not in shown + kept
    project = Project.load(path)
    inventory = project.inventory()
    assert set(inventory.hosts) == {"web1", "app1", "of_plugin"}
    assert inventory.hosts["app1"].variables["of_script"] == "by-host"
    project.close()


def test_without_its_agent_a_key_with_a_passphrase_fails_in_a_sentence(
    hosts: Hosts, tmp_path: Path
) -> None:
    """Nothing waits for a passphrase: the host is unreachable, and `check` says why."""
    path = team(tmp_path, hosts, environment={"ANSIBLE_SSH_ARGS": "-o ControlPath=none"})
    [text] = said(path, "logins")
    assert text.startswith(f"{hosts.key}, the SSH key of web1") and "has a passphrase" in text
    result = call(path, "run", "mark", "--host", "web1", "--check", "--yes")
    assert result.exit_code == 1, result.output
    [run] = answered(path, "incident", "show", "1")["runs"]
    assert run["outcome"] == "unreachable" and "Permission denied" in run["reason"]


def test_check_says_what_an_agent_lacks(hosts: Hosts, tmp_path: Path) -> None:
    gone = {"SSH_AUTH_SOCK": str(tmp_path / "gone")}
    inventory = parse(json.dumps({"_meta": {"hostvars": {"web1": hosts.variables}}, "all": {}}))
    [text] = problems(inventory, gone, hosts.key)
    assert text == f"SSH_AUTH_SOCK in execution.environment: no ssh-agent answers at {gone[AGENT]}"
    other = key_pair(tmp_path / "other", PASSPHRASE)
    there = {AGENT: str(hosts.agent.socket)}
    [text] = problems(inventory, there, other)
    assert text.endswith(f"the agent of {AGENT} does not hold it; ssh-add it")
    assert list(problems(inventory, there, hosts.key)) == []
    [text] = problems(inventory, {}, tmp_path / "none")
    assert "cannot be read (No such file" in text
    assert list(problems(inventory, {}, Path("keys/relative"))) == []


@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "rsa", "-m", "PEM"],
                                  ["-t", "ecdsa", "-m", "PKCS8"]])  # fmt: skip
def test_a_key_with_a_passphrase_is_known_by_its_file(kind: list[str], tmp_path: Path) -> None:
    for passphrase in ("", PASSPHRASE):
        path = tmp_path / f"key{len(passphrase)}"
        command = ["ssh-keygen", "-q", *kind, "-N", passphrase, "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True)
        assert has_passphrase(path.read_bytes()) is bool(passphrase)


@given(st.binary(max_size=200))
def test_no_key_file_breaks_the_look_at_it(content: bytes) -> None:
    begin = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    for text in (content, begin + content, begin + base64.b64encode(content)):
        assert has_passphrase(text) in (True, False)


ASKS = "#!/bin/sh\nprintf 'Password: ' >/dev/tty\nread -r it </dev/tty && echo $it\n"


def test_a_password_program_that_asks_fails_at_once_even_at_a_terminal(tmp_path: Path) -> None:
    """Nobody is there to answer under `serve`, so `check` at a terminal must not be told either.

    The other passwords count all the same; one of them is printed by a program.
    """
    passwords = {"vault_password_file": "own.sh", "vault_ids": {"ask": "ask.sh"}}
    path = small.make(tmp_path, settings={"execution": {**passwords, "warm": False}})
    executable(tmp_path / "own.sh", "#!/bin/sh\necho own-password\n")
    executable(tmp_path / "ask.sh", ASKS)
    encrypt(tmp_path / "inventory/group_vars/all.yml", "of_own: own-secret\n", "default",
            tmp_path / "own.sh")  # fmt: skip
    words = [*PROGRAM[1:], "--config", str(path), "check"]
    shown, code = pexpect.run(
        shlex.join([PROGRAM[0], *words]), timeout=90, withexitstatus=True, env=environment(),
        encoding="utf-8",
    )  # fmt: skip
    told = " ".join(shown.split())
    assert code == 3, shown
    assert "Password: " not in told
    assert f"{tmp_path}/ask.sh: Vault password script" in told
    assert "it gives no password, and can ask nobody for one" in told
    assert "no password opens it" not in told


def test_what_cannot_be_reached_or_is_not_used_is_said(tmp_path: Path) -> None:
    inventory = {"all": {"hosts": {
        "web1": {"ansible_connection": "local"},
        "win1": {"ansible_connection": "winrm"},
        "sw1": {"ansible_connection": "ansible.netcommon.network_cli"},
    }}}  # fmt: skip
    settings = {"project": {"ansible": "site", "inventory": ["inventory"]}}
    path = small.make(tmp_path, settings=settings, inventory=inventory)
    (tmp_path / "site/roles").mkdir(parents=True)
    (tmp_path / "site/ansible-navigator.yml").write_text("ansible-navigator: {}\n")
    windows, network = sorted(said(path, "logins"), reverse=True)
    assert windows.startswith("win1: connection winrm is for Windows, which the runner does not")
    assert network.startswith("sw1: connection ansible.netcommon.network_cli is for network")
    [image] = said(path, "ansible")
    assert "ansible-navigator.yml: execution environments are not used" in image
    call(path, "run", "mark", "--host", "win1", "-p", "mark_text=x", "--yes")
    shown = answered(path, "incident", "show", "1")
    assert shown["incident"]["state"] == "observed" and not shown["runs"]


def test_a_password_program_that_hangs_in_a_run_is_ended_with_it(tmp_path: Path) -> None:
    """Invariant 14: it worked when the inventory was read, and does not answer any more."""
    lab, seconds = Lab(tmp_path), number()
    executable(tmp_path / "hangs.sh", f"#!/bin/sh\nsleep {seconds}\n")
    result = lab.run(
        "- ansible.builtin.ping:",
        vault_password_file=tmp_path / "hangs.sh",
        timeout=timedelta(seconds=4),
    )
    assert str(result.outcome) == "timeout"
    assert "before its first play" in result.reason and "prints a password" in result.reason
    assert not sleepers(seconds)


def test_a_jump_host_whose_key_is_not_known_is_refused_and_not_asked_about(
    hosts: Hosts, tmp_path: Path
) -> None:
    """`ssh` itself connects to it: whatever Ansible is told of host keys, nobody is asked."""
    lab = Lab(tmp_path)
    (tmp_path / "known_hosts").write_text(hosts.web1.known)
    config = hosts.config.read_text().splitlines()
    config[0] = f"UserKnownHostsFile {tmp_path / 'known_hosts'}"
    (tmp_path / "ssh_config").write_text("\n".join(config))
    common = f"-F {tmp_path}/ssh_config -o ControlPath=none -o ProxyJump=jump"
    web1 = {**hosts.variables, "ansible_ssh_common_args": common,
            "ansible_ssh_private_key_file": str(hosts.key)}  # fmt: skip
    lab.write("hosts.yml", json.dumps({"all": {"hosts": {"web1": web1}}}))
    agent = {AGENT: str(hosts.agent.socket)}
    result = lab.run("- ansible.builtin.ping:", environment=agent, host_key_checking=False)
    assert str(result.outcome) == "unreachable"
    assert "Host key verification failed" in result.reason


def test_settings_in_the_home_are_not_followed_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.ansible.cfg").write_text("[defaults]\nforks = 2\n")
    monkeypatch.setattr("runner.cli.check.home", lambda: str(tmp_path / "home"))
    [text] = said(small.make(tmp_path), "ansible")
    assert text.endswith(
        ".ansible.cfg: runs do not follow it, unless project.ansible_config names it"
    )
