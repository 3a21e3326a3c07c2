"""Opens encrypted files with Ansible's own vault, in a process of its own with a closed
environment: the passwords are those that Ansible is told of there.

Reads from standard input which files, and answers on standard output what is secret in them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":  # isolated, so nothing but the installed packages is importable
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from runner.text.plain_yaml import Parser, is_deep, untagged
from runner.vault import BY_VALUE, inline

_HEADER = b"$ANSIBLE_VAULT;"
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\s*=\s*(\"[^\"]*\"|'[^']*'|\S+)")
_PLAIN = re.compile(r"true|false|yes|no|null|none", re.IGNORECASE)


class _AnyTag(Parser):  # type: ignore[misc]
    """Takes `!unsafe`, `!vault` and every other tag for the plain value."""


_AnyTag.add_multi_constructor("!", untagged)


def _loaded(text: str) -> Any:
    """The content. Raises YAMLError and ValueError."""
    if is_deep(text):
        raise ValueError("is nested too deeply")
    return yaml.load(text, Loader=_AnyTag)


class Found:
    """What was found to be secret so far."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.values: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()
        self.locked: set[str] = set()
        self.failed: set[str] = set()

    def leaf(self, key: str, value: object) -> None:
        """One value and the key that it stands below."""
        if value is None or isinstance(value, bool):
            return
        text = str(value)
        stripped = text.strip()
        if len(stripped) >= BY_VALUE:
            # A text of several lines is shown line by line, in diffs for one.
            lines = [line.strip() for line in stripped.splitlines()]
            self.values |= {stripped, *(line for line in lines if len(line) >= BY_VALUE)}
        elif key and stripped and not _PLAIN.fullmatch(stripped):
            self.pairs.add((key, stripped))

    def document(self, text: str) -> None:
        """Every value of a decrypted file, whatever it is written in."""
        try:
            content = _loaded(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            content = None
        if isinstance(content, dict | list):
            for key, value in leaves(content):
                self.leaf(key, value)
            return
        for key, value in _ASSIGNED.findall(text):
            self.leaf(key, value.strip("\"'"))
        self.leaf("", text)


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(nearest key, value) of everything that is neither a mapping nor a list."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from leaves(value, str(name))
    elif isinstance(content, list):
        for value in content:
            yield from leaves(value, key)
    else:
        yield key, content


def variables(path: Path, text: str) -> set[str]:
    """The variables that a decrypted file of an inventory may set."""
    try:
        content = _loaded(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return {key for key, _ in _ASSIGNED.findall(text)}
    if {"group_vars", "host_vars"} & set(path.parts):
        return {str(key) for key in content}
    return set(_keys(content))


def _keys(content: Any) -> Iterator[str]:
    for value in content.values() if isinstance(content, dict) else content:
        if isinstance(value, dict | list):
            yield from _keys(value)
    if isinstance(content, dict):
        yield from map(str, content)


def opener(failed: set[str]) -> Callable[[bytes], str | None]:
    """Decrypts with the passwords that Ansible is told of; None where none of them fits.

    A file that gives no password is `failed`, with why; the others count all the same.
    """
    from ansible import constants
    from ansible.cli import CLI
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import VaultLib, get_file_vault_secret

    loader, passwords = DataLoader(), []
    ids, file = constants.DEFAULT_VAULT_IDENTITY_LIST or (), constants.DEFAULT_VAULT_PASSWORD_FILE
    for named in CLI.build_vault_ids(list(ids), [file] if file else [], auto_prompt=False):
        label, path = CLI.split_vault_id(named)
        try:
            secret = get_file_vault_secret(filename=path, vault_id=label, loader=loader)
            secret.load()
        except AnsibleError as error:
            failed.add(f"{path}: {_sentence(error)}")
            continue
        passwords.append((label or constants.DEFAULT_VAULT_IDENTITY, secret))
        loader.set_vault_secrets(passwords)  # one may be encrypted with an earlier one
    vault = VaultLib(passwords)

    def decrypted(text: bytes) -> str | None:
        try:
            return str(vault.decrypt(text).decode(errors="replace"))
        except AnsibleError:
            return None

    return decrypted


def password_in(name: str, failed: set[str]) -> str:
    """The password of users on hosts in this file, or that it prints; empty where it fails."""
    from ansible.cli import CLI
    from ansible.errors import AnsibleError

    try:
        return str(CLI.get_password_from_file(name))
    except AnsibleError as error:
        failed.add(f"{name}: {_sentence(error)}")
        return ""


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def look_into(name: str, decrypted: Callable[[bytes], str | None], found: Found) -> set[str]:
    """Find what is secret in one file; the variables that the file as a whole keeps secret."""
    path, names = Path(name), set()
    content = path.read_bytes()
    if content.startswith(_HEADER):
        text = decrypted(content)
        if text is None:
            found.locked.add(name)
            return set()
        found.document(text)
        names, content = variables(path, text), text.encode()
    for key, encrypted in inline(content):
        if (text := decrypted(encrypted)) is None:
            found.locked.add(name)
        else:
            found.leaf(key, text)
    return names


def main() -> None:
    """Answer one question."""
    asked, found = json.load(sys.stdin), Found()
    decrypted = opener(found.failed)
    for name in asked["inventory"]:
        found.names |= look_into(name, decrypted, found)
    for name in asked["others"]:
        look_into(name, decrypted, found)
    for key, encrypted in asked["listed"]:
        if (text := decrypted(encrypted.encode())) is not None:
            found.leaf(key, text)
    for name in asked["logins"]:
        found.leaf("ansible_become_password", password_in(name, found.failed))
    kinds = ("names", "values", "pairs", "locked", "failed")
    json.dump({kind: sorted(getattr(found, kind)) for kind in kinds}, sys.stdout)


if __name__ == "__main__":
    main()
