"""Where things lie, and how a run is approved, executed and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from runner.config.access import secret
from runner.config.section import Section, Text
from runner.text.duration import Duration, parse

#: As after `--vault-id`; Ansible splits at the other characters.
VaultId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class Retention(Section):
    """How long what grows is kept."""

    incidents: Duration = parse("90d")
    deliveries: Duration = parse("7d")
    artifacts: Duration = parse("30d")
    prompts: Duration = parse("30d")  #: texts of model calls; their figures stay with the incident
    audit: Duration = parse("400d")
    predictions: Duration = parse("90d")


class Store(Section):
    """The database: one SQLite file, or PostgreSQL."""

    url: str = Field(default="sqlite:///var/runner.db", repr=False)
    url_file: Path | None = None
    retention: Retention = Retention()

    def resolved(self) -> str:
        """The SQLAlchemy URL, with the password if there is one: never log it."""
        return secret(self.url_file) or self.url


class Project(Section):
    """Where the Ansible side of the project lies, relative to runner.yml."""

    playbooks: Path = Path("playbooks")
    shipped: tuple[Text, ...] = ()  #: ids of entries that come with the runner, or `[all]`
    roles: tuple[Path, ...] = (Path("roles"),)
    inventory: tuple[Path, ...] = (Path("inventories/example"),)
    domains: tuple[Text, ...] = ()  #: web1.DOMAIN in an alert is the inventory's web1
    ansible: Path | None = None  #: a team's Ansible repository, used where it lies
    ansible_config: Path | None = Path("ansible.cfg")
    prompts: Path = Path("prompts")
    state: Path = Path("var")  #: artifacts, lock file


class Turns(Section):
    """How many incidents one process works on at once; the others wait for their turn."""

    incidents: Annotated[int, Field(ge=4, le=256)] = 64  #: a quarter is kept for critical ones
    per_host: Annotated[int, Field(ge=1, le=256)] = 16


class Approval(Section):
    """Who may answer, and how long the question stands."""

    expires: Duration = parse("30m")
    approvers: tuple[str, ...] = ()  #: names; empty: any user whose role is approver or admin
    four_eyes: bool = True


class Execution(Section):
    """How ansible-runner is started."""

    #: Those that use the processor; see `FairSlots` for those that only wait.
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    forks: Annotated[int, Field(ge=1, le=500)] = 5
    timeout: Duration = parse("10m")  #: of entries that name none
    grace: Duration = parse("1s")  #: between TERM and KILL
    memory_mb: Annotated[int, Field(ge=256, le=1_048_576)] = 1024  #: MiB of each Ansible process
    host_key_checking: bool = True
    warm: bool = True  #: `serve` and `work` keep a process with Ansible imported, which forks
    environment: dict[str, Text] = Field(default_factory=dict)  #: added to the closed environment
    vault_password_file: Path | None = None
    vault_ids: dict[VaultId, Path] = Field(default_factory=dict)  #: label → file with its password
    become_password_file: Path | None = None
    connection_password_file: Path | None = None

    @property
    def login_files(self) -> dict[str, Path]:
        """Key → file that holds or prints a password of users on hosts."""
        found = {
            "become_password_file": self.become_password_file,
            "connection_password_file": self.connection_password_file,
        }
        return {key: path for key, path in found.items() if path is not None}

    @property
    def password_files(self) -> dict[str, Path]:
        """Key → file that holds or prints a password, of vaults and of users on hosts."""
        found = {f"vault_ids.{label}": path for label, path in self.vault_ids.items()}
        if self.vault_password_file is not None:
            found["vault_password_file"] = self.vault_password_file
        return found | self.login_files

    def of_passwords(self) -> dict[str, str]:
        """How Ansible is told where its passwords are."""
        told = {f"ANSIBLE_{key.upper()}": str(path) for key, path in self.login_files.items()}
        if self.vault_password_file is not None:
            told["ANSIBLE_VAULT_PASSWORD_FILE"] = str(self.vault_password_file)
        if self.vault_ids:
            ids = [f"{label}@{path}" for label, path in self.vault_ids.items()]
            told["ANSIBLE_VAULT_IDENTITY_LIST"] = ",".join(ids)
        return told


class Verification(Section):
    """Defaults of the entries' `verify`."""

    within: Duration = parse("5m")
    hold: Duration = parse("30s")
    poll: Duration = parse("5s")


class Retry(Section):
    """What happens when a run did not fix it."""

    attempts: Annotated[int, Field(ge=1, le=5)] = 1  #: runs of one entry in one incident
    wait: Duration = parse("1m")
