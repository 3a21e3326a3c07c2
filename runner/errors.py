"""Every error that the runner raises on purpose.

RunnerError                 exit code 1
├── UsageError              exit code 2   what the person typed
├── ConfigError             exit code 3   runner.yml and the files it names
├── CatalogError            exit code 3   playbooks/, roles/
├── InventoryError          exit code 3   the Ansible inventory
├── StoreError              exit code 4   the database cannot be used now
├── NotFound                exit code 5   no such incident, approval, entry …
├── Refused                 exit code 6   policy, pre-flight or a lock says no
├── RemoteError             exit code 7   Prometheus, Alertmanager, a receiver
│   └── RemoteData          …             it answered, but not with what it promised
└── BadDelivery             HTTP 400      a webhook body that is not version 4

Messages are one sentence for a person: what is wrong, where, and what to do.
"""

from __future__ import annotations


class RunnerError(Exception):
    """Something the runner can explain went wrong."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class UsageError(RunnerError):
    """The command was called in a way it does not know."""

    exit_code = 2


class ConfigError(RunnerError):
    """The configuration cannot be used."""

    exit_code = 3


class CatalogError(RunnerError):
    """The catalog cannot be used."""

    exit_code = 3


class InventoryError(RunnerError):
    """The Ansible inventory cannot be read."""

    exit_code = 3


class StoreError(RunnerError):
    """The store cannot be used right now."""

    exit_code = 4


class NotFound(RunnerError):
    """There is no such thing."""

    exit_code = 5


class Refused(RunnerError):
    """The runner will not do that now."""

    exit_code = 6


class RemoteError(RunnerError):
    """Another system did not answer as it should.

    `permanent` says that asking again will not help; it is the only retry
    policy that a caller needs.
    """

    exit_code = 7

    def __init__(self, message: str = "", *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class RemoteData(RemoteError):
    """Another system answered with something that is not what it promised."""


class BadDelivery(RunnerError):
    """The body is not an Alertmanager webhook message of version 4."""

    exit_code = 2
