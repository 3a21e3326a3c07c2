"""The root file system that all hosts share read-only: Debian, built once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.lab import layout
from tests.lab.shell import call

_PACKAGES = layout.HERE / "packages.txt"
#: Without a network of their own to manage, these would only wait; etcd and the app are
#: started on the hosts that are meant to have them, and chrony by its scenario.
_MASKED = (
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-networkd-wait-online.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "getty.target",
    "console-getty.service",
    "prometheus-node-exporter-apt.timer",
    "prometheus-node-exporter-ipmitool-sensor.timer",
    "prometheus-node-exporter-mellanox-hca-temp.timer",
    "prometheus-node-exporter-nvme.timer",
    "prometheus-node-exporter-smartmon.timer",
)
_NOT_ENABLED = ("chrony.service", "etcd.service", "nginx.service")


def packages() -> list[str]:
    """The names in packages.txt."""
    lines = (line.split("#")[0].strip() for line in _PACKAGES.read_text().splitlines())
    return [line for line in lines if line]


def digest() -> str:
    """Changes whenever the root file system would come out differently."""
    mark = hashlib.sha256(Path(__file__).read_bytes() + _PACKAGES.read_bytes())
    return mark.hexdigest()[:16]


def ready(tell: Callable[[str], None] = lambda _: None) -> Path:
    """The root file system, built now if it is not there. Raises LabError."""
    folder = layout.cache()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / digest()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another lab may be building the same
        if not target.is_dir():
            tell("building the hosts' root file system, once, in about half a minute")
            _build(target)
    os.utime(target)
    return target


def _build(target: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
    try:
        root = work / "root"
        _bootstrap(root)
        _configure(root)
        root.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bootstrap(root: Path) -> None:
    """Debian of this machine's own release, from this machine's own package sources."""
    sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.sources")]
    call(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(packages())}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        platform.freedesktop_os_release()["VERSION_CODENAME"],
        root,
        *filter(Path.is_file, sources),
        seconds=600,
    )


def _configure(root: Path) -> None:
    units = root / "etc/systemd/system"
    for unit in _MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for unit in _NOT_ENABLED:
        (units / "multi-user.target.wants" / unit).unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "data").mkdir()
    (root / "var/lib/prometheus/node-exporter").mkdir(parents=True, exist_ok=True)
