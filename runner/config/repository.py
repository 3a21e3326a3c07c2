"""What an ansible.cfg says that the runner must know: a team's repository, and passwords.

With `project.ansible` it says where inventory, roles and passwords are; without, where passwords
are. What runner.yml says of the same wins; collections and plugins are found by Ansible itself.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count
from pathlib import Path

from runner.config.work import Execution, Project
from runner.errors import ConfigError

#: Settings of a team's ansible.cfg that runs do not follow: (sections, key) → what they do.
OVERRIDDEN: Mapping[tuple[str, str], str] = {
    ("defaults", "host_key_checking"): "execution.host_key_checking decides",
    ("defaults", "stdout_callback"): "the runner reads the output of its own",
    ("defaults", "callbacks_enabled"): "no further callback is told of a run",
    ("defaults", "strategy"): "linear, unless a play says otherwise",
    ("defaults", "fact_caching"): "facts are kept for one run",
    ("defaults", "retry_files_enabled"): "no file is written",
    ("defaults", "log_path"): "the runner keeps each run by itself",
}
#: Settings that ask at a terminal, where true: (section, key) → what to set instead.
ASKING: Mapping[tuple[str, str], str] = {
    ("defaults", "ask_pass"): "execution.connection_password_file",
    ("defaults", "ask_vault_pass"): "execution.vault_password_file",
    ("privilege_escalation", "become_ask_pass"): "execution.become_password_file",
}
_PROMPTS = frozenset({"prompt", "prompt_ask_vault_pass"})  #: in place of a vault id's file


def overridden(ansible_config: Path) -> dict[str, str]:
    """Setting → what is done instead, for those that this file has."""
    settings = _read(ansible_config)
    return {
        key: instead
        for (section, key), instead in OVERRIDDEN.items()
        if settings.has_option(section, key)
    }


def asking(ansible_config: Path) -> Iterator[str]:
    """What this file wants to ask for at a terminal, a sentence each: it is not asked."""
    settings = _read(ansible_config)
    for (section, key), instead in ASKING.items():
        if settings.get(section, key, fallback="").strip().lower() in ("1", "on", "true", "yes"):
            yield f"{key} is not followed: nobody is there to answer; set {instead}"
    if any(path in _PROMPTS for _, path in _identities(settings)):
        text = "the prompt in vault_identity_list is left out: nobody is there to answer"
        yield f"{text}; name a file in execution.vault_ids"


def private_key(ansible_config: Path) -> Path | None:
    """The SSH key that this file names for every host."""
    keys = _paths(_read(ansible_config), "private_key_file", "\n", ansible_config.parent)
    return keys[0] if keys else None


def use(
    project: Project, execution: Execution, said: Collection[str], beside: Path
) -> tuple[Project, Execution]:
    """Both sections with what the ansible.cfg says; `said` are keys that runner.yml has, as
    `project.roles`, and `beside` is the runner's own folder of roles.

    Raises ConfigError where that leaves no inventory of a repository, where only a prompt would
    give the password of a vault, or where an ansible.cfg cannot be read.
    """
    folder, file = project.ansible, project.ansible_config
    if folder is not None and "project.ansible_config" not in said:
        file = folder / "ansible.cfg"
    if folder is not None and not folder.is_dir() and "project.inventory" not in said:
        raise ConfigError(f"project.ansible: {folder} is not there")
    settings = _read(file)
    if folder is not None:
        usual = (folder / "roles",) if (folder / "roles").is_dir() else ()
        found = {
            "ansible_config": file,
            "roles": (beside, *(_paths(settings, "roles_path", ":", folder) or usual)),
            "inventory": _paths(settings, "inventory", ",", folder),
        }
        if not found["inventory"] and "project.inventory" not in said:
            raise ConfigError(f"project.ansible: {file} names no inventory; set project.inventory")
        changes = {key: value for key, value in found.items() if f"project.{key}" not in said}
        project = project.model_copy(update=changes)
    return project, execution if file is None else _with_passwords(execution, settings, file, said)


def _with_passwords(
    execution: Execution, settings: configparser.ConfigParser, file: Path, said: Collection[str]
) -> Execution:
    passwords: dict[str, object] = {}
    for key in ("vault_password_file", "become_password_file", "connection_password_file"):
        if one := _paths(settings, key, "\n", file.parent):
            passwords[key] = one[0]
    ids: dict[str, Path] = {}
    listed = _identities(settings)
    for label, path in listed:
        if path not in _PROMPTS:
            # Ansible takes several passwords of one label, the old beside the new one.
            names = (f"{label}.{number}" for number in count(2))
            name = next(name for name in chain([label], names) if name not in ids)
            ids[name] = _path(path, file.parent)
    if listed and not ids and "execution.vault_ids" not in said:
        raise ConfigError(
            f"{file}: vault_identity_list asks for a password, and nobody is there to answer; "
            "name a file with it in execution.vault_ids"
        )
    if ids:
        passwords["vault_ids"] = ids
    changed = {key: of for key, of in passwords.items() if f"execution.{key}" not in said}
    return execution.model_copy(update=changed)


def _identities(settings: configparser.ConfigParser) -> list[tuple[str, str]]:
    """(label, file or prompt) of each vault id."""
    listed = settings.get("defaults", "vault_identity_list", fallback="").split(",")
    parts = [item.strip().partition("@") for item in listed if item.strip()]
    return [(label, path) if at else ("default", label) for label, at, path in parts]


def _paths(
    settings: configparser.ConfigParser, key: str, between: str, folder: Path
) -> tuple[Path, ...]:
    text = settings.get("defaults", key, fallback="")
    return tuple(_path(part, folder) for part in text.split(between) if part.strip())


def _read(file: Path | None) -> configparser.ConfigParser:
    # With the comments that Ansible knows.
    settings = configparser.ConfigParser(
        interpolation=None, strict=False, inline_comment_prefixes=(";",)
    )
    try:
        settings.read(file or ())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())[:200]}") from None
    return settings


def _path(text: str, folder: Path) -> Path:
    """As Ansible takes it: seen from the folder of its ansible.cfg."""
    return folder / os.path.expanduser(os.path.expandvars(text.strip()))
