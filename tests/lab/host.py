"""One host: a container with a systemd of its own over the shared root file system."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from tests.lab import containers, layout
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call, inside

_FILES = layout.HERE / "files"  #: copied over what Debian installs
_BOOT_SECONDS = 240.0  #: a loaded machine is slow to boot

#: Without etcd's own check, because 3.4 takes no new member while a voter is down: the role's
#: preflight holds instead, and a dead member is replaced by adding first (docs/storage.md).
_ETCD = """\
ETCD_NAME={host}
ETCD_DATA_DIR=/var/lib/etcd/lab
ETCD_LISTEN_PEER_URLS=http://{address}:2380
ETCD_LISTEN_CLIENT_URLS=http://{address}:2379,http://127.0.0.1:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{address}:2380
ETCD_ADVERTISE_CLIENT_URLS=http://{address}:2379
ETCD_INITIAL_CLUSTER={cluster}
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_INITIAL_CLUSTER_TOKEN=lab
ETCD_STRICT_RECONFIG_CHECK=false
"""


def boot(lab: Layout, image: Path, host: str) -> None:
    """Start the host; it may still be booting when this returns. Raises LabError."""
    _personal(lab, host)
    containers.chosen().configure(lab, image, host)
    start(lab, host)


def start(lab: Layout, host: str) -> None:
    """Switch on a host that was booted before and is off. Raises LabError."""
    containers.chosen().start(lab, host)


def stop(lab: Layout, host: str) -> None:
    """Cut the host's power: nothing on it is told."""
    containers.chosen().stop(lab, host)


def wait(lab: Layout, host: str) -> None:
    """Return when a first SSH connection works. Raises LabError when none does for long."""
    deadline = time.monotonic() + _BOOT_SECONDS
    with inside(lab.namespace):
        while not _answers(layout.ADDRESSES[host]):
            if time.monotonic() > deadline:
                raise LabError(f"the host {host} did not answer in {_BOOT_SECONDS:.0f} s")
            time.sleep(0.05)


def settle(lab: Layout, host: str) -> None:
    """Return when every unit of the host has started, or failed. Raises LabError."""
    with inside(lab.namespace):  # the name of LXC's socket is known there only
        said = run(lab, host, "systemctl", "is-system-running", "--wait", check=False).strip()
    if said not in ("running", "degraded"):
        raise LabError(f"the host {host} did not start: {said or 'nobody answers'}")


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4).startswith(b"SSH")
    except OSError:
        return False


def run(lab: Layout, host: str, *command: str, check: bool = True, text: str = "") -> str:
    """What a command on the host prints, without the network in between."""
    return call(*containers.chosen().entry(lab, host), *command, check=check, text=text)


def _personal(lab: Layout, host: str) -> None:
    """What is ours on the host: our files, its name, its keys, and the units that start."""
    root = lab.upper(host)
    shutil.copytree(_FILES, root, dirs_exist_ok=True)
    (root / "srv/app/current").symlink_to("releases/v1.1.0")
    for folder in ("srv/app/log", "etc/ssh", "etc/ssl/lab", "root/.ssh", "etc/systemd/system"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/hostname").write_text(f"{host}\n")
    (root / "etc/hosts").write_text(_hosts())
    (root / "root/.ssh").chmod(0o700)
    shutil.copy(lab.key.with_suffix(".pub"), root / "root/.ssh/authorized_keys")
    _host_key(lab, host, root / "etc/ssh/ssh_host_ed25519_key")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    for unit in _units(host):
        found = "/etc" if unit in ("app", "log-size") else "/lib"
        (wants / f"{unit}.service").symlink_to(f"{found}/systemd/system/{unit}.service")
    if host in layout.MEMBERS:
        (root / "etc/default/etcd").write_text(etcd(host))


def etcd(host: str) -> str:
    """/etc/default/etcd of a first member."""
    cluster = ",".join(f"{name}=http://{layout.ADDRESSES[name]}:2380" for name in layout.MEMBERS)
    return _ETCD.format(host=host, address=layout.ADDRESSES[host], cluster=cluster)


def _units(host: str) -> tuple[str, ...]:
    if not layout.is_storage(host):
        return ("app", "nginx", "log-size")
    return ("etcd",) if host in layout.MEMBERS else ()


def _hosts() -> str:
    return "127.0.0.1 localhost\n" + "".join(
        f"{address} {host}\n" for host, address in layout.ADDRESSES.items()
    )


def _host_key(lab: Layout, host: str, target: Path) -> None:
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host, "-f", target)
    kind, key, *_ = target.with_suffix(".pub").read_text().split()
    with lab.known_hosts.open("a") as known:
        known.write(f"{host},{layout.ADDRESSES[host]} {kind} {key}\n")
