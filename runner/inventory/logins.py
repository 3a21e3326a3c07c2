"""Whether Ansible can log in where nobody types a passphrase: SSH keys, and the agent with them."""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner import child
from runner.catalog import connections
from runner.inventory import Inventory

AGENT = "SSH_AUTH_SOCK"
_VARIABLES = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_SSH = frozenset({"ssh", "smart", "ansible.builtin.ssh"})
_SECONDS = 10.0


def problems(
    inventory: Inventory, environment: Mapping[str, str], default: Path | None
) -> Iterator[str]:
    """Which hosts runs cannot reach, and what is wrong with the SSH keys that the inventory names,
    a sentence each.

    `environment` is that of runs, and `default` the key of ansible.cfg. A path that is a template
    or relative is only known in a run, and is left out.
    """
    refused: dict[str, list[str]] = {}
    for name, host in inventory.hosts.items():
        if why := connections.of_host(host.variables):
            refused.setdefault(why, []).append(name)
    for why, hosts in sorted(refused.items()):
        more = f" and {len(hosts) - 5} more" if len(hosts) > 5 else ""
        yield f"{', '.join(hosts[:5])}{more}: {why}; their alerts end at observe, without a probe"
    yield from _keys(inventory, environment, default)


def _keys(
    inventory: Inventory, environment: Mapping[str, str], default: Path | None
) -> Iterator[str]:
    agent = environment.get(AGENT)
    held, why = _held(agent) if agent else (frozenset(), "")
    if why:
        yield f"{AGENT} in execution.environment: {why}"
    keys: dict[Path, list[str]] = {}
    for name, host in inventory.hosts.items():
        if host.variables.get("ansible_connection", "ssh") not in _SSH:
            continue
        given = next((host.variables[key] for key in _VARIABLES if key in host.variables), default)
        path = Path(os.path.expanduser(str(given or "")))
        if path.is_absolute() and "{{" not in str(path):
            keys.setdefault(path, []).append(name)
    for path, hosts in sorted(keys.items()):
        others = " and others" if len(hosts) > 1 else ""
        of = f"{path}, the SSH key of {hosts[0]}{others}"
        try:
            locked = has_passphrase(path.read_bytes())
        except OSError as error:
            yield f"{of}, cannot be read ({error.strerror})"
            continue
        if locked and not agent:
            yield (
                f"{of}, has a passphrase, and nobody is there to type it: add it to an ssh-agent, "
                f"and set {AGENT} in execution.environment"
            )
        elif locked and not why and _fingerprint(path) not in held:
            yield f"{of}, has a passphrase, and the agent of {AGENT} does not hold it; ssh-add it"


def has_passphrase(content: bytes) -> bool:
    """Whether this private key is encrypted."""
    before, begin, rest = content.partition(_BEGIN)
    if not begin:
        return b"ENCRYPTED" in before
    try:
        body = base64.b64decode(b"".join(rest.partition(b"-----")[0].split()), validate=True)
    except binascii.Error:
        return False  # ssh says what is wrong with it
    if not body.startswith(_MAGIC):
        return False
    at = len(_MAGIC)
    cipher = body[at + 4 : at + 4 + int.from_bytes(body[at : at + 4], "big")]
    return cipher not in (b"", b"none")


def _held(agent: str) -> tuple[frozenset[str], str]:
    """(fingerprints of the keys that the agent holds, why it is of no use)."""
    code, said = _asked(["ssh-add", "-l"], {AGENT: agent})
    if code == 1:
        return frozenset(), f"the agent at {agent} holds no key; ssh-add one"
    if code:
        return frozenset(), f"no ssh-agent answers at {agent}"
    return frozenset(line.split()[1] for line in said.splitlines() if " " in line), ""


def _fingerprint(path: Path) -> str:
    """Of a private key file, without its passphrase; empty where it cannot be told."""
    code, said = _asked(["ssh-keygen", "-l", "-f", str(path)], {})
    return said.split()[1] if not code and " " in said else ""


def _asked(command: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    try:
        done = child.answer(command, {"PATH": os.defpath, **environment}, seconds=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 2, ""
    return done.returncode, done.stdout.decode(errors="replace")
