"""Hosts as systemd-nspawn containers, for machines that cannot have LXC.

nspawn is made for a machine whose first process is systemd, and for hosts that need not know
their own limits. The lab's machine may have neither, so that each host's control groups, its
network and its disk are made here, and a first program on the host opens what nspawn locks.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from tests.lab import cgroups, layout, lxcfs, shell
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call

PROGRAMS = ("systemd-nspawn",)
TRACES = Path("/run/systemd/nspawn")  #: where nspawn notes who runs
_INIT = "usr/local/sbin/lab-init"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START_SECONDS = 60.0

#: nspawn mounts the controllers for reading only, and MemoryMax= of a unit would do nothing.
_FIRST = """\
#!/bin/sh
for group in /sys/fs/cgroup/*/; do
    mountpoint -q "$group" && mount -o remount,bind,rw "$group"
done
for path in {view}; do
    [ ! -e "/lxcfs/$path" ] || mount --bind "/lxcfs/$path" "/$path"
done
umount --lazy /lxcfs
exec /lib/systemd/systemd
"""
#: $1: the control groups to be in; $2: where to say what goes wrong; then the command. Until that
#: runs, the output stays open, so that who calls waits.
_JOIN = """\
exec 2>>"$2"
for group in $1; do echo $$ >"$group/cgroup.procs" || exit; done
shift 2
exec "$@" </dev/null >&2
"""


def configure(lab: Layout, image: Path, host: str) -> None:
    """Lay the host's disk over the image, and put the first program there."""
    folder = _folder(lab, host)
    for name in ("work", "root"):
        (folder / name).mkdir(parents=True)
    first = lab.upper(host) / _INIT
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_text(_FIRST.format(view=" ".join(lxcfs.VIEW)))
    first.chmod(0o755)
    places = f"lowerdir={image},upperdir={lab.upper(host)},workdir={folder / 'work'}"
    call("mount", "-t", "overlay", "-o", places, "overlay", folder / "root")


def start(lab: Layout, host: str) -> None:
    """Switch the host on. Raises LabError with nspawn's own words."""
    name, folder = lab.container(host), _folder(lab, host)
    _cable(lab, host)
    groups = _limit(lab, host)
    log = folder / "log"
    log.touch()
    mode = {} if cgroups.unified() else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"}
    words = [f"{key}={value}" for key, value in mode.items()]
    call(
        "setsid", "--fork", "sh", "-c", _JOIN, "sh", " ".join(map(str, groups)), log,
        "env", *words, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
        f"--directory={folder / 'root'}", f"--machine={name}", f"--hostname={host}",
        f"--network-namespace-path=/run/netns/{name}", "--capability=CAP_NET_ADMIN",
        f"--bind={lab.lxcfs}:/lxcfs", "--tmpfs=/data:size=64m,nr_inodes=2000,mode=0755",
        "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
        "--kill-signal=SIGRTMIN+3", f"/{_INIT}",
    )  # fmt: skip
    deadline = time.monotonic() + _START_SECONDS
    while not _first_process(lab, host):
        if time.monotonic() > deadline or not cgroups.members(groups):
            raise LabError(f"the host {host} does not start: {log.read_text()[-1500:]}")
        time.sleep(0.02)


def stop(lab: Layout, host: str) -> None:
    """Cut the host's power: nothing on it is told, and nothing answers for it any more."""
    shell.end(lambda: cgroups.members(_groups(lab, host)))
    # Version 2 lets nobody join a group that still has others below it.
    cgroups.forget(lambda: [group for group in _groups(lab, host) if group.exists()])
    # The kernel takes its time to end a namespace; the cable must be gone before it is laid anew.
    call("ip", "-n", lab.id, "link", "delete", layout.interface(host), check=False)
    call("ip", "netns", "delete", lab.container(host), check=False)


def entry(lab: Layout, host: str) -> list[str | Path]:
    """The words before a command that make it run on the host, with a closed environment."""
    if not (process := _first_process(lab, host)):
        raise LabError(f"the host {host} is off")
    spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
    return ["nsenter", f"--target={process}", *spaces, "--", "env", "-i", _PATH]


def remove(lab: Layout) -> None:
    """Cut the power of every host, and take its disk away."""
    for host in layout.ADDRESSES:
        if _exists(lab, host):
            stop(lab, host)
            root = _folder(lab, host) / "root"
            with suppress(OSError):  # nspawn itself removes them only when it ends in order
                at = root.stat()
                (TRACES / f"locks/inode-{at.st_dev}:{at.st_ino}").unlink()
            shutil.rmtree(TRACES / "propagate" / lab.container(host), ignore_errors=True)
            call("umount", "--lazy", root, check=False)


def _exists(lab: Layout, host: str) -> bool:
    """Whether anything of it is there; its folder may have been removed by somebody else."""
    namespace = Path("/run/netns") / lab.container(host)
    return any(path.exists() for path in (_folder(lab, host), namespace, *_groups(lab, host)))


def _folder(lab: Layout, host: str) -> Path:
    return lab.disks / host


def _groups(lab: Layout, host: str) -> list[Path]:
    return [top / f"nspawn.{lab.container(host)}" for top in cgroups.hierarchies()]


def _limit(lab: Layout, host: str) -> list[Path]:
    """Make the host's control groups; nspawn itself makes none where there is no systemd."""
    groups = _groups(lab, host)
    try:
        for group in groups:
            _make_group(group)
    except OSError as error:
        raise LabError(f"the control groups of {host} cannot be made: {error}") from None
    return groups


def _make_group(group: Path) -> None:
    if cgroups.unified():
        (group.parent / "cgroup.subtree_control").write_text("+cpu +memory +pids")
    group.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 leaves them empty
        if (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())
    for name, value in cgroups.limits().items():
        if (group / name).exists():
            (group / name).write_text(value)


def _cable(lab: Layout, host: str) -> None:
    """A network namespace with one interface, whose other end is in the lab's bridge."""
    name, cable = lab.container(host), layout.interface(host)
    call("ip", "netns", "add", name)
    peer = ("peer", "name", "eth0", "netns", name)
    call("ip", "-n", lab.id, "link", "add", cable, "type", "veth", *peer)
    call("ip", "-n", lab.id, "link", "set", cable, "master", "br0", "up")
    address = f"{layout.ADDRESSES[host]}/{layout.PREFIX}"
    call("ip", "-n", name, "addr", "add", address, "dev", "eth0")
    for interface in ("lo", "eth0"):
        call("ip", "-n", name, "link", "set", interface, "up")
    call("ip", "-n", name, "route", "add", "default", "via", layout.GATEWAY)


def _first_process(lab: Layout, host: str) -> int:
    """The machine's number of the host's first process; 0 while there is none."""
    for process in cgroups.members(_groups(lab, host)):
        with suppress(OSError):
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            numbers = next(line for line in lines if line.startswith("NSpid:")).split()[1:]
            if numbers[-1] == "1":
                return process
    return 0
