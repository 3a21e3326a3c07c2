"""One host: an LXC container with a systemd of its own over the shared root file system."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from tests.lab import layout
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call, inside

_FILES = layout.HERE / "files"  #: copied over what Debian installs
_BOOT_SECONDS = 240.0  #: a loaded machine is slow to boot
_MEMORY = 384 * 1024**2
#: Of every 100 ms: half a processor, so that a saturated host leaves the machine usable.
_QUOTA, _PERIOD = 50_000, 100_000
#: A host gets its half also when the machine is busy, so that what it shows is its own doing.
_WEIGHT = 4
_PROC = ("cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime")

_CONFIG = """\
lxc.include = /usr/share/lxc/config/common.conf
# The machine's own lxcfs is left alone; this lab has one of its own.
lxc.hook.mount =
lxc.hook.post-stop =
lxc.uts.name = {host}
lxc.rootfs.path = overlay:{image}:{upper}
lxc.mount.entry = tmpfs data tmpfs size=64m,mode=0755,create=dir 0 0
{proc}
lxc.net.0.type = veth
lxc.net.0.name = eth0
lxc.net.0.veth.pair = {interface}
lxc.net.0.ipv4.address = {address}/{prefix}
lxc.net.0.ipv4.gateway = {gateway}
lxc.net.0.flags = up
{limits}
lxc.log.file = {folder}/log
lxc.log.level = WARN
"""

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
    folder = lab.containers / lab.container(host)
    folder.mkdir(parents=True)
    _personal(lab, host)
    (folder / "config").write_text(
        _CONFIG.format(
            host=host,
            image=image,
            upper=lab.upper(host),
            proc="\n".join(_own_view(lab)),
            interface=layout.interface(host),
            address=layout.ADDRESSES[host],
            prefix=layout.PREFIX,
            gateway=layout.GATEWAY,
            limits="\n".join(_limits()),
            folder=folder,
        )
    )
    start(lab, host)


def start(lab: Layout, host: str) -> None:
    """Switch on a host that was booted before and is off."""
    enter = ("nsenter", f"--net={lab.namespace}")
    try:
        call(*enter, "lxc-start", "-P", lab.containers, "-n", lab.container(host))
    except LabError as error:
        log = lab.containers / lab.container(host) / "log"
        said = log.read_text()[-1500:] if log.is_file() else ""
        raise LabError(f"the host {host} does not start: {error}\n{said}") from None
    # LXC looks for bridges in the machine's own namespace only, so this is ours to do.
    cable = layout.interface(host)
    call("ip", "-n", lab.id, "link", "set", cable, "master", "br0", "up")


def stop(lab: Layout, host: str) -> None:
    """Cut the host's power: nothing on it is told."""
    call("lxc-stop", "-k", "-P", lab.containers, "-n", lab.container(host), check=False)


def freeze(lab: Layout, host: str, *, frozen: bool = True) -> None:
    """Let the host hang as a whole, or let it go on."""
    verb = "lxc-freeze" if frozen else "lxc-unfreeze"
    call(verb, "-P", lab.containers, "-n", lab.container(host))


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
    name = lab.container(host)
    attach = ("lxc-attach", "--clear-env", "-P", lab.containers, "-n", name, "--")
    return call(*attach, *command, check=check, text=text)


def _own_view(lab: Layout) -> list[str]:
    """Mounts that show the host its own processors and memory instead of the machine's."""
    entry = "lxc.mount.entry = {0}/{1} {1} none bind,optional 0 0"
    paths = [*(f"proc/{name}" for name in _PROC), "sys/devices/system/cpu"]
    return [entry.format(lab.lxcfs, path) for path in paths]


def _limits() -> list[str]:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return [
            f"lxc.cgroup2.memory.max = {_MEMORY}",
            f"lxc.cgroup2.cpu.weight = {_WEIGHT * 100}",
            f"lxc.cgroup2.cpu.max = {_QUOTA} {_PERIOD}",
        ]
    return [
        f"lxc.cgroup.memory.limit_in_bytes = {_MEMORY}",
        f"lxc.cgroup.cpu.shares = {_WEIGHT * 1024}",
        f"lxc.cgroup.cpu.cfs_period_us = {_PERIOD}",
        f"lxc.cgroup.cpu.cfs_quota_us = {_QUOTA}",
    ]


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
