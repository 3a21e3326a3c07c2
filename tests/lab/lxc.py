"""Hosts as LXC containers: the way of the lab wherever LXC is installed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.lab import cgroups, layout, lxcfs
from tests.lab.layout import Layout
from tests.lab.shell import LabError, call

PROGRAMS = ("lxc-start",)

_CONFIG = """\
lxc.include = /usr/share/lxc/config/common.conf
# The machine's own lxcfs is left alone; this lab has one of its own.
lxc.hook.mount =
lxc.hook.post-stop =
# LXC looks for bridges in the machine's own namespace only, so that is ours to do, after a reboot
# of the host too. The words that LXC adds to the command are the shell's.
lxc.hook.start-host = sh -c 'ip -n {lab} link set {interface} master br0 up'
lxc.uts.name = {host}
lxc.rootfs.path = overlay:{image}:{upper}
lxc.mount.entry = tmpfs data tmpfs size=64m,nr_inodes=2000,mode=0755,create=dir 0 0
{view}
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


def configure(lab: Layout, image: Path, host: str) -> None:
    """Write down what the host is."""
    folder = lab.containers / lab.container(host)
    folder.mkdir(parents=True)
    version = "cgroup2" if cgroups.unified() else "cgroup"
    limits = cgroups.limits().items()
    view = f"lxc.mount.entry = {lab.lxcfs}/{{0}} {{0}} none bind,optional 0 0"
    (folder / "config").write_text(
        _CONFIG.format(
            host=host,
            lab=lab.id,
            image=image,
            upper=lab.upper(host),
            view="\n".join(view.format(path) for path in lxcfs.VIEW),
            interface=layout.interface(host),
            address=layout.ADDRESSES[host],
            prefix=layout.PREFIX,
            gateway=layout.GATEWAY,
            limits="\n".join(f"lxc.{version}.{name} = {value}" for name, value in limits),
            folder=folder,
        )
    )


def start(lab: Layout, host: str) -> None:
    """Switch the host on. Raises LabError with LXC's own words."""
    enter = ("nsenter", f"--net={lab.namespace}")
    try:
        call(*enter, "lxc-start", "-P", lab.containers, "-n", lab.container(host))
    except LabError as error:
        log = lab.containers / lab.container(host) / "log"
        said = log.read_text()[-1500:] if log.is_file() else ""
        raise LabError(f"the host {host} does not start: {error}\n{said}") from None


def stop(lab: Layout, host: str) -> None:
    """Cut the host's power: nothing on it is told."""
    call("lxc-stop", "-k", "-P", lab.containers, "-n", lab.container(host), check=False)


def entry(lab: Layout, host: str) -> list[str | Path]:
    """The words before a command that make it run on the host, with a closed environment."""
    name = lab.container(host)
    return ["lxc-attach", "--clear-env", "-P", lab.containers, "-n", name, "--"]


def remove(lab: Layout) -> None:
    """Cut the power of every host; LXC takes its network and its disk away."""
    names = [path.name for path in lab.containers.glob(f"{lab.id}-*")]
    hosts = [name.removeprefix(f"{lab.id}-") for name in names]
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(partial(stop, lab), hosts))
