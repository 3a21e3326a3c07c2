"""The Ansible inventory as data, and from labels to exact host names in it."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner import child
from runner.config import Locate
from runner.errors import InventoryError
from runner.inventory.excerpt import LARGE, Whole
from runner.inventory.names import Names, written_plainly
from runner.inventory.services import Services
from runner.text import brief
from runner.vault import Secrets, Vault, encrypted

TIMEOUT = timedelta(seconds=60)
#: Variables that say how a host is called. They may be templates over other variables.
NAMING = ("ansible_host", "ansible_ssh_host", "runner_aliases")
#: Started as a program of its own, because it imports Ansible.
_RESOLVER = Path(__file__).with_name("resolve_names.py")
_LISTER = Path(__file__).with_name("list_exactly.py")  #: the same
_TEMPLATE = re.compile(r"\{\{|\{%")
_SECRET = re.compile(r"ansible_.*(pass|password|secret|token)", re.IGNORECASE)
#: Has Ansible fail where one of its sources cannot be read.
_EVERY = "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"
_VAULT = object()  #: stands for an encrypted value until it is dropped
#: (command, environment, standard input, seconds) → what it says as the fork of a process that
#: has Ansible imported; None where there is none, and the command has to be started.
Warm = Callable[
    [Sequence[str], Mapping[str, str], bytes, float], subprocess.CompletedProcess[bytes] | None
]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host. Variables are merged as Ansible does, unevaluated, without secrets."""

    name: str
    groups: tuple[str, ...] = ()  #: every group it is in, parents included, `all` left out
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All hosts and groups, as they were read once."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]  #: hosts of the group and of its children
    domains: frozenset[str] = frozenset()  #: that may be cut off a name, from the configuration
    #: variables with further names and addresses of a host, from the configuration
    variables: tuple[str, ...] = Locate().variables
    #: host → why its names cannot be known before a run, a sentence
    unresolved: Mapping[str, str] = field(default_factory=dict)
    templated: bool = False  #: a host's name was, and a template may ask anybody
    #: source that could not be read → why; the hosts that only it names are not here
    unread: Mapping[str, str] = field(default_factory=dict)
    #: as it was when all sources were last read, where one of them is not now
    before: Inventory | None = field(default=None, repr=False, compare=False)
    #: of which runs get excerpts; None: they read what Ansible finds, as it is not large, or may
    #: say another thing each time
    whole: Whole | None = field(default=None, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        paths: tuple[Path, ...],
        *,
        environment: Mapping[str, str],
        vault: Vault | None = None,
        domains: Iterable[str] = (),
        variables: Iterable[str] = Locate().variables,
        warm: Warm | None = None,
        large: bool = False,
        partly: bool = False,
    ) -> Inventory:
        """Ask `ansible-inventory`, with this environment and nothing else of ours.

        What `vault` knows to come out of an encrypted file is left out. Names of hosts that are
        templates are resolved by Ansible, too. `large` says that it probably is, which saves
        asking twice, and `partly` the same of sources that cannot be read: the others count.
        Raises InventoryError with a sentence.
        """
        if not paths:
            raise InventoryError("no inventory is named; set project.inventory in runner.yml")
        for path in paths:
            if not path.exists() or "," in str(path):
                why = "holds a comma, which Ansible splits" if path.exists() else "is not there"
                raise InventoryError(f"{path}: the inventory {why}; see project.inventory")
        text, whole = _listed_exactly(paths, environment) if large else ("", None)
        if not text:
            text = _listed_or_partly(paths, environment, warm, partly=partly)
        found = parse(text)
        if not large and not found.unread and len(found.hosts) > LARGE:
            exact, whole = _listed_exactly(paths, environment)
            text, found = (exact, parse(exact)) if exact else (text, found)
        if len(found.hosts) <= LARGE:
            whole = None
        vault = vault or Vault(read_from(paths), (), closed(environment))
        vault.told({*found.hosts, *found.groups, "localhost"}, _still_encrypted(text))
        secrets = vault.secrets()
        shown = parse(text, secrets) if secrets.names else found
        known = replace(shown, domains=frozenset(domains), variables=tuple(variables), whole=whole)
        return _resolved(known, paths, environment, warm)

    @cached_property
    def names(self) -> Names:
        """Every way in which a host may be called."""
        variables = {name: host.variables for name, host in self._ever.items()}
        return Names.of(variables, self.domains, self.variables)

    @cached_property
    def services(self) -> Services:
        """What `runner_services` says, and what is wrong with it."""
        variables = {name: host.variables for name, host in self._ever.items()}
        groups = dict(self.groups)
        for name, members in (self.before.groups if self.before else {}).items():
            groups[name] = tuple(dict.fromkeys([*groups.get(name, ()), *members]))
        return Services.of(variables, groups)

    @cached_property
    def _ever(self) -> Mapping[str, Host]:
        """All hosts, with those that only a source names which cannot be read now: a name that
        may be theirs is nobody else's."""
        return {**(self.before.hosts if self.before else {}), **self.hosts}

    @property
    def unknown(self) -> tuple[str, ...]:
        """Hosts that were known until a source could not be read any more, sorted."""
        return tuple(sorted(self._ever.keys() - self.hosts.keys()))

    @property
    def lacks(self) -> str:
        """What could not be read, a clause; empty when nothing is missing."""
        more = f" and {len(self.unread) - 1} more" if len(self.unread) > 1 else ""
        first = next(iter(self.unread), "")
        return f"the inventory source {first}{more} cannot be read" if first else ""

    def doubt(self, host: str) -> str:
        """Why more may hold for this host than is known, a sentence; empty when nothing does."""
        if not self.unread:
            return ""
        known, before = self.hosts.get(host), self.before
        if before is None:
            why = f"what it says of {host} is not known"
        elif known is None or known != before.hosts.get(host):
            why = f"{host} is not what it was before"
        elif any(set(self.groups[of]) != set(before.groups.get(of, ())) for of in known.groups):
            why = f"who else is in the groups of {host} is not known"
        else:
            return ""
        lacks = self.lacks
        return f"{lacks[0].upper()}{lacks[1:]}, and {why}."

    def exact(self, name: str) -> bool:
        """Whether the name is a host's, and Ansible can take it for nothing else."""
        return name in self.hosts and name not in self.groups and written_plainly(name)


def read_from(paths: Sequence[Path]) -> list[Path]:
    """The files and folders that Ansible reads for these inventories."""
    # It reads the variables beside an inventory file too.
    beside = (
        path.parent / name
        for path in paths
        if not path.is_dir()
        for name in ("group_vars", "host_vars")
    )
    return [*paths, *beside]


def _listed_or_partly(
    paths: tuple[Path, ...],
    environment: Mapping[str, str],
    warm: Warm | None,
    *,
    partly: bool,
) -> str:
    """What is listed of these sources: of all, or else of those that can be read.

    `partly` says that some could not be a moment ago, so that all are not tried in vain.
    """
    failed: InventoryError | None = None
    if not partly:
        try:
            return _listed(paths, environment, warm)
        except InventoryError as error:
            failed = error
    try:
        return _output(_lister(paths), paths, environment, every_source=False)
    except InventoryError as error:
        raise failed or error from None


def _listed(paths: tuple[Path, ...], environment: Mapping[str, str], warm: Warm | None) -> str:
    """What `ansible-inventory --list` prints."""
    beside = Path(sys.executable).with_name("ansible-inventory")
    program = str(beside) if beside.is_file() else shutil.which("ansible-inventory")
    if not program:
        raise InventoryError("ansible-inventory is not installed; pip install ansible-core")
    command = [program, "--list"]
    for path in paths:
        command += ["--inventory", str(path.absolute())]
    return _output(command, paths, environment, warm=warm)


def _listed_exactly(
    paths: tuple[Path, ...], environment: Mapping[str, str]
) -> tuple[str, Whole | None]:
    """What `list_exactly` prints; nothing where it cannot say more than `ansible-inventory`."""
    try:
        text = _output(_lister(paths), paths, environment)
        return text, Whole.of(text)
    except (InventoryError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.info("no excerpt of the inventory can be made: %s", error)
        return "", None


def _lister(paths: tuple[Path, ...]) -> list[str]:
    command = [sys.executable, "-I", str(_LISTER), "--list"]
    for path in paths:
        command += ["--inventory", str(path.absolute())]
    return command


def _resolved(
    inventory: Inventory,
    paths: tuple[Path, ...],
    environment: Mapping[str, str],
    warm: Warm | None = None,
) -> Inventory:
    """The inventory with every name that is a template resolved; nothing is asked if none is."""
    wanted: dict[str, list[str]] = {}
    for name, host in inventory.hosts.items():
        for key in (*NAMING, *inventory.variables):
            given = host.variables.get(key)
            texts = given if isinstance(given, list) else [given]
            if any(isinstance(text, str) and _TEMPLATE.search(text) for text in texts):
                wanted.setdefault(name, []).append(key)
    if not wanted:
        return inventory
    command = [sys.executable, "-I", str(_RESOLVER), *(str(p.absolute()) for p in paths)]
    asked = json.dumps({"hosts": wanted, "unread": list(inventory.unread)})
    said = _output(command, paths, environment, asked, warm)
    try:
        answers = json.loads(said)
    except ValueError:
        raise InventoryError(
            f"{paths[0]}: names of hosts that are templates cannot be resolved: Ansible said "
            f"{brief(said)!r}"
        ) from None
    hosts, unresolved = dict(inventory.hosts), {}
    for name, answer in answers.items():
        failed = {key: of["unresolved"] for key, of in answer.items() if isinstance(of, dict)}
        for key, why in failed.items():
            unresolved[name] = (
                f"{key} is a template that Ansible cannot resolve before a run: {why}"
            )
        known = {key: value for key, value in answer.items() if key not in failed}
        merged = MappingProxyType({**hosts[name].variables, **known})
        hosts[name] = replace(hosts[name], variables=merged)
    return replace(inventory, hosts=MappingProxyType(hosts), unresolved=unresolved, templated=True)


def _output(
    command: Sequence[str],
    paths: tuple[Path, ...],
    environment: Mapping[str, str],
    given: str = "",
    warm: Warm | None = None,
    *,
    every_source: bool = True,
) -> str:
    """What one of Ansible's programs prints about the inventory at `paths`."""
    variables, most = closed(environment), TIMEOUT.total_seconds()
    if not every_source and _EVERY not in environment:
        del variables[_EVERY]  # then an ansible.cfg may still ask for it
        variables.setdefault("ANSIBLE_INVENTORY_UNPARSED_FAILED", "1")
    try:
        done = warm(command, variables, given.encode(), most) if warm is not None else None
        done = done or child.answer(command, variables, given.encode(), seconds=most)
    except subprocess.TimeoutExpired:
        raise InventoryError(
            f"{paths[0]}: ansible-inventory did not answer within {TIMEOUT.seconds} s"
        ) from None
    except OSError as error:
        raise InventoryError(f"ansible-inventory cannot be started ({error.strerror})") from None
    if done.returncode:
        why = _why(done.stderr.decode(errors="replace"), paths)
        raise InventoryError(f"{paths[0]}: the inventory cannot be read: {why}")
    return done.stdout.decode(errors="replace")


def closed(environment: Mapping[str, str]) -> dict[str, str]:
    """The child's whole environment. A source that cannot be read fails instead of being empty."""
    own = {
        "PATH": child.PATH,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        # What an ansible.cfg asks for at a terminal: there is none.
        "ANSIBLE_ASK_PASS": "False",
        "ANSIBLE_ASK_VAULT_PASS": "False",
        "ANSIBLE_BECOME_ASK_PASS": "False",
        _EVERY: "1",
    }
    return own | dict(environment)


def _why(errors: str, paths: tuple[Path, ...]) -> str:
    """Why Ansible cannot read these inventories, and what to do where it is about its vault."""
    files = [str(path) for path, _ in encrypted(read_from(paths))]
    which = f"{files[0]} is" if len(files) == 1 else f"{', '.join(files[:3]) or 'a file'} are"
    if "no vault secrets found" in errors:
        return f"{which} encrypted with Ansible Vault; set execution.vault_password_file"
    if "Decryption failed" in errors:
        return (
            f"{which} encrypted with Ansible Vault, and no password of "
            "execution.vault_password_file or execution.vault_ids opens it"
        )
    if match := re.search(r"The vault password file (\S+) was not found", errors):
        return f"{match[1]} is not there; see execution.vault_password_file"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    picked = []
    for mark in ("[ERROR]", "[WARNING]", "Origin:"):  # the first of each says what, and why
        picked += [line for line in lines if line.startswith(mark)][:1]
    texts = [re.sub(r"^\[\w+\]:?\s*", "", line) for line in picked or lines[:1]]
    return "; ".join(texts)[:600] or "it gave no reason"


def parse(text: str, secrets: Secrets = Secrets()) -> Inventory:
    """The inventory that `ansible-inventory --list` printed. Raises InventoryError.

    Variables are those that may be seen: unsafe ones as plain text, secrets not at all.
    """
    try:
        content = json.loads(text)
        meta = content.pop("_meta")
        hostvars, unread = meta["hostvars"], dict(meta.get("unread", {}))
        groups = _groups(content)
        memberships: dict[str, list[str]] = {name: [] for name in [*groups["all"], *hostvars]}
        for group in sorted(groups.keys() - {"all"}):
            for name in groups[group]:
                memberships.setdefault(name, []).append(group)
        hosts = {}
        for name, of in memberships.items():
            variables = {
                key: _plain(value)
                for key, value in hostvars.get(name, {}).items()
                if not _SECRET.match(key) and not secrets.withholds(key)
            }
            shown = {key: value for key, value in variables.items() if value is not _VAULT}
            hosts[name] = Host(name=name, groups=tuple(of), variables=MappingProxyType(shown))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InventoryError(
            f"ansible-inventory printed what is not an inventory ({type(error).__name__}); "
            "run it by hand with --list"
        ) from None
    return Inventory(hosts=MappingProxyType(hosts), groups=MappingProxyType(groups), unread=unread)


def _groups(content: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Group → the hosts of it and of everything below it, each once."""
    known = {name for group in content.values() for name in group.get("children", ())}
    groups = {}
    for group in sorted({*content, *known}):
        hosts: dict[str, None] = {}
        seen: set[str] = set()
        waiting = [group]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                hosts |= dict.fromkeys(content.get(name, {}).get("hosts", ()))
                waiting += content.get(name, {}).get("children", ())
        groups[group] = tuple(hosts)
    return groups


def _still_encrypted(text: str) -> Iterator[tuple[str, str]]:
    """(nearest key, encrypted text) of each value that the listing leaves encrypted."""
    waiting: list[tuple[str, Any]] = [("", json.loads(text))]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(key, item) for item in value]
        elif isinstance(value, dict) and "__ansible_vault" in value:
            yield key, str(value["__ansible_vault"])
        elif isinstance(value, dict):
            waiting += value.items()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [item for item in map(_plain, value) if item is not _VAULT]
    if not isinstance(value, dict):
        return value
    if "__ansible_vault" in value:
        return _VAULT
    if "__ansible_unsafe" in value:
        return _plain(value["__ansible_unsafe"])
    items = {name: _plain(item) for name, item in value.items()}
    return {name: item for name, item in items.items() if item is not _VAULT}
