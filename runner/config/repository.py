"""`project.ansible`: a team's Ansible repository, used where it lies.

Its ansible.cfg says where its inventory, roles and vault passwords are. What runner.yml says of
the same wins; collections and plugins are found by Ansible itself.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Collection, Mapping
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


def overridden(ansible_config: Path) -> dict[str, str]:
    """Setting → what is done instead, for those that this file has."""
    settings = _read(ansible_config)
    return {
        key: instead
        for (section, key), instead in OVERRIDDEN.items()
        if settings.has_option(section, key)
    }


def use(
    project: Project, execution: Execution, said: Collection[str], beside: Path
) -> tuple[Project, Execution]:
    """Both sections with what the repository says; `said` are keys that runner.yml has, as
    `project.roles`, and `beside` is the runner's own folder of roles.

    Raises ConfigError where that leaves no inventory, or an ansible.cfg cannot be read.
    """
    folder = project.ansible
    if folder is None:
        return project, execution
    if not folder.is_dir() and "project.inventory" not in said:
        raise ConfigError(f"project.ansible: {folder} is not there")
    file = project.ansible_config if "project.ansible_config" in said else folder / "ansible.cfg"
    settings = _read(file)

    def paths(key: str, between: str) -> tuple[Path, ...]:
        text = settings.get("defaults", key, fallback="")
        return tuple(_path(part, folder) for part in text.split(between) if part.strip())

    usual = (folder / "roles",) if (folder / "roles").is_dir() else ()
    found = {
        "ansible_config": file,
        "roles": (beside, *(paths("roles_path", ":") or usual)),
        "inventory": paths("inventory", ","),
    }
    if not found["inventory"] and "project.inventory" not in said:
        raise ConfigError(f"project.ansible: {file} names no inventory; set project.inventory")
    changes = {key: value for key, value in found.items() if f"project.{key}" not in said}
    vault: dict[str, object] = {}
    if (one := paths("vault_password_file", "\n")) and "execution.vault_password_file" not in said:
        vault["vault_password_file"] = one[0]
    listed = settings.get("defaults", "vault_identity_list", fallback="").split(",")
    ids = {
        label.strip(): _path(path, folder)
        for label, at, path in (item.partition("@") for item in listed)
        if at and path.strip() != "prompt"
    }
    if not ids and any(item.strip().endswith("prompt") for item in listed):
        if "execution.vault_ids" not in said:
            raise ConfigError(
                f"{file}: vault_identity_list asks for a password, and nobody is there to answer; "
                "name a file with it in execution.vault_ids"
            )
    if ids and "execution.vault_ids" not in said:
        vault["vault_ids"] = ids
    return project.model_copy(update=changes), execution.model_copy(update=vault)


def _read(file: Path | None) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read(file or ())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())[:200]}") from None
    return settings


def _path(text: str, folder: Path) -> Path:
    """As Ansible takes it: seen from the folder of its ansible.cfg."""
    return folder / os.path.expanduser(os.path.expandvars(text.strip()))
