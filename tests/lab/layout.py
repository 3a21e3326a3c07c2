"""Where everything of a lab lies, what its hosts are called, and how they are reached."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
#: The control namespace's own address, and the mask of the bridge.
GATEWAY, PREFIX = "10.77.0.1", 24
#: Every host that may be booted, with its address. A storage host runs etcd, a web host the app.
ADDRESSES = {
    "web1": "10.77.0.11",
    "web2": "10.77.0.12",
    "web3": "10.77.0.13",
    "store1": "10.77.0.21",
    "store2": "10.77.0.22",
    "store3": "10.77.0.23",
    "store4": "10.77.0.24",
    "store5": "10.77.0.25",
}
#: What is booted when nobody says otherwise. store4 and store5 are spares.
DEFAULT = ("web1", "web2", "store1", "store2", "store3")
#: Members of the etcd cluster at the start.
MEMBERS = ("store1", "store2", "store3")
#: Machines with an etcd that is in no cluster: what replaces another.
SPARES = ("store4", "store5")


def is_storage(host: str) -> bool:
    """Whether the host runs etcd rather than the application."""
    return host.startswith("store")


def interface(host: str) -> str:
    """The control namespace's end of the host's cable: what is in the bridge."""
    return f"lab-{host}"


@dataclass(frozen=True)
class Layout:
    """The paths and names of one lab. Two labs with different folders do not meet."""

    state: Path  #: everything of the running lab; removed with it

    @cached_property
    def id(self) -> str:
        """What sets the namespaces and control groups of this lab apart from another's."""
        return "lab" + hashlib.sha256(str(self.state).encode()).hexdigest()[:6]

    @property
    def namespace(self) -> Path:
        """The control namespace: the runner, Ansible and the monitoring live in it."""
        return Path("/run/netns") / self.id

    @property
    def key(self) -> Path:
        """The throwaway SSH key of root on every host."""
        return self.state / "key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' own keys, so that they are checked as anywhere else."""
        return self.state / "known_hosts"

    @property
    def ca(self) -> Path:
        """The folder of the lab's certificate authority: ca.pem and ca.key."""
        return self.state / "ca"

    @property
    def containers(self) -> Path:
        """What LXC calls its path: one folder with a configuration per host."""
        return self.state / "lxc"

    @property
    def disks(self) -> Path:
        """Where nspawn's hosts have their disks: one folder per host."""
        return self.state / "nspawn"

    @property
    def monitoring(self) -> Path:
        """Configuration, data and logs of Prometheus and the others."""
        return self.state / "monitoring"

    @property
    def lxcfs(self) -> Path:
        """Where lxcfs shows each host its own processors and memory."""
        return self.state / "lxcfs"

    def container(self, host: str) -> str:
        """The name of a host on this machine, where other labs may live too."""
        return f"{self.id}-{host}"

    def upper(self, host: str) -> Path:
        """What the host has changed or added over the shared root file system."""
        return self.state / "hosts" / host / "upper"


def default() -> Layout:
    """The lab of this checkout; `RUNNER_LAB_STATE` names another folder."""
    chosen = os.environ.get("RUNNER_LAB_STATE")
    return Layout((Path(chosen) if chosen else REPOSITORY / "var" / "lab").absolute())


def beside(name: str) -> Layout:
    """A lab of tests, beside the default one."""
    state = default().state
    return Layout(state.with_name(f"{state.name}-{name}"))


def known() -> list[Layout]:
    """The default lab, and those of tests beside it; each that ever was has a lock file."""
    state = default().state
    locks = sorted(state.parent.glob(f"{state.name}-*.lock"))
    return [default(), *(Layout(lock.with_suffix("")) for lock in locks)]


def cache() -> Path:
    """Where built root file systems are kept; `RUNNER_LAB_CACHE` names another folder."""
    if chosen := os.environ.get("RUNNER_LAB_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "remediation-runner" / "lab"
