"""Every role that acts on files as root, on hosts whose owner has laid traps, with real Ansible."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import load
from runner.catalog.parameters import resolve
from tests.hostile_host import NOBODY, PRECIOUS, Hostile, Prepare, made, play, scratch, swapping
from tests.local_hosts import needs_ansible
from tests.role_code import ROLES, module_of, shared

ROOT = Path(__file__).parents[2]
INPUTS = ROOT / "tests/inputs"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can act in directories that belong to somebody else"
)

#: (what was done to the host, how the role must end: a part of its sentence, or done)
Case = tuple[Prepare, str]
DONE = ""


def levels(
    path: str, act: Callable[[Hostile, str], Mapping[str, Any]], below: str = "is a link"
) -> dict[str, Case]:
    """Each directory on the way to a path is a link to the victim, one after the other.

    `below` is what the role says where the link lies in a directory of theirs.
    """
    parts = path.split("/")[:-1]

    def linked(host: Hostile, depth: int) -> Mapping[str, Any]:
        if depth:
            host.theirs("/".join(parts[:depth]))
        target = host.victim
        for name in parts[depth + 1 :]:
            target = target / name
            target.mkdir(exist_ok=True)
        host.link("/".join(parts[: depth + 1]), host.victim)
        for name in ("file.gz", "app.log"):
            (target / name).write_bytes(PRECIOUS)
            os.utime(target / name, (0, 0))
        return act(host, path)

    return {
        f"level {depth} is a link": (
            lambda host, d=depth: linked(host, d),
            below if depth else "is a link",
        )
        for depth in range(len(parts))
    }


def clean(host: Hostile, path: str = "srv/app/cache/x", **more: Any) -> Mapping[str, Any]:
    place = {"name": "cache", "path": str(host.top / path.rpartition("/")[0])}
    place |= {"patterns": ["*.gz"], "min_age": "1d", "recurse": True}
    return {
        "role": "disk_space",
        "disk_space_allowed": [place],
        "disk_space_roots": [str(host.top)],
        "disk_space_never": [str(host.victim)],
        **more,
    }


def cache(host: Hostile) -> Path:
    """A place of nobody's with one file that goes."""
    place = host.theirs("srv/app/cache")
    host.file("srv/app/cache/gone.gz")
    return place


def links_in_the_place(host: Hostile) -> Mapping[str, Any]:
    cache(host)
    host.link("srv/app/cache/link.gz", host.victim / "file.gz")
    host.link("srv/app/cache/folder", host.victim)
    os.link(host.victim / "file.gz", host.top / "srv/app/cache/second.gz")
    return clean(host, disk_space_never=["/no-such-folder"])


def odd_names(host: Hostile) -> Mapping[str, Any]:
    cache(host)
    for number, name in enumerate(
        [f"\n{host.victim}\n", "-rf *", "$(reboot)", "{{ x }}", "\udcff"]
    ):
        folder = f"srv/app/cache/{name.replace('/', '_')}"
        host.theirs(folder)
        host.file(f"{folder}/gone\n{number}.gz")
    return clean(host)


def line_end_in_a_link(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    host.link("srv/app/cache", f"{host.victim}\n{host.victim}")
    return clean(host)


def folder_of_root_in_theirs(host: Hostile) -> Mapping[str, Any]:
    """Nobody gave it the name that is cleaned; whose files are in it is not theirs to say."""
    cache(host)
    host.victim.rename(host.ours("srv/app/cache") / "sub")
    host.victim.symlink_to(host.top / "srv/app/cache/sub")
    return clean(host, disk_space_never=["/no-such-folder"])


def place_of_root_in_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    host.victim.rename(host.top / "srv/app/cache")
    host.victim.symlink_to(host.top / "srv/app/cache")
    return clean(host, disk_space_never=["/no-such-folder"])


def data_in_the_place(host: Hostile) -> Mapping[str, Any]:
    cache(host)
    host.victim.rename(host.top / "srv/app/cache/data")
    host.victim.symlink_to(host.top / "srv/app/cache/data")
    for path in (host.victim.resolve(), *host.victim.resolve().rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return clean(host)


def inodes(host: Hostile) -> Mapping[str, Any]:
    """The same module, for another shortage."""
    words = links_in_the_place(host)
    own = {"role": "inodes", "inodes_free_percent": 100}
    return own | {
        name.replace("disk_space_", "inodes_"): value
        for name, value in words.items()
        if name != "role"
    }


def everybody_can_write(host: Hostile) -> Mapping[str, Any]:
    host.ours("srv/app/cache")
    (host.top / "srv/app").chmod(0o777)
    return clean(host)


def other_file_system(host: Hostile) -> Mapping[str, Any]:
    cache(host)
    return clean(host, disk_space_mountpoint="/proc")


def no_mount_point(host: Hostile) -> Mapping[str, Any]:
    cache(host)
    return clean(host, disk_space_mountpoint=str(host.top))


CLEAN: dict[str, Case] = levels("srv/app/cache/x", clean) | {
    "links and second names in the place": (links_in_the_place, DONE),
    "the same where inodes are short": (inodes, DONE),
    "names with line ends": (odd_names, DONE),
    "a link whose target holds a line end": (line_end_in_a_link, "is a link"),
    "a directory of root's in theirs": (folder_of_root_in_theirs, DONE),
    "a place of root's in theirs": (place_of_root_in_theirs, "user nobody can write to"),
    "data in the place": (data_in_the_place, DONE),
    "everybody can write above": (everybody_can_write, "everybody can write to"),
    "another file system is full": (other_file_system, "cleaning elsewhere frees nothing there"),
    "what is full is no mount point": (no_mount_point, "is no mount point of this host"),
}


def rotate(host: Hostile, path: str = "srv/app/log/app.log", **more: Any) -> Mapping[str, Any]:
    log = {"name": "app", "path": str(host.top / path), "method": "copytruncate", "max_bytes": 10}
    return {"role": "log_rotation", "log_rotation_log": "app", "log_rotation_logs": [log | more]}


def log_of_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app/log")
    host.file("srv/app/log/app.log")
    for number in (0, 1, 2):  # where the copy is written, and what it moves away
        host.link(f"srv/app/log/app.log.{number}.gz", host.victim / "file.gz")
    return rotate(host)


def log_is_a_link(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app/log")
    host.link("srv/app/log/app.log", host.victim / "app.log")
    return rotate(host)


def log_has_a_second_name(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app/log")
    os.link(host.victim / "app.log", host.top / "srv/app/log/app.log")
    return rotate(host)


def log_is_a_pipe(host: Hostile) -> Mapping[str, Any]:
    os.mkfifo(host.theirs("srv/app/log") / "app.log")
    return rotate(host)


def log_of_root_in_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    host.victim.rename(host.top / "srv/app/log")
    host.victim.symlink_to(host.top / "srv/app/log")
    return rotate(host)


def logrotate_below_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app/log")
    host.file("srv/app/log/app.log")
    return rotate(host, method="logrotate", config="/etc/no-such-file")


def logrotate_by_their_rules(host: Hostile) -> Mapping[str, Any]:
    host.ours("srv/app/log")
    host.file("srv/app/log/app.log")
    config = host.file("rules", b"")
    return rotate(host, method="logrotate", config=str(config))


ROTATE: dict[str, Case] = levels("srv/app/log/app.log", rotate) | {
    "a log of theirs, links where its copies go": (log_of_theirs, DONE),
    "the log is a link": (log_is_a_link, "is a link"),
    "the log has a second name": (log_has_a_second_name, "has a second name"),
    "the log is a pipe": (log_is_a_pipe, "is not a regular file"),
    "a directory of root's in theirs": (log_of_root_in_theirs, "user nobody can write to"),
    "logrotate below what they can replace": (logrotate_below_theirs, "logrotate goes by paths"),
    "logrotate by rules of theirs": (logrotate_by_their_rules, "user nobody can write to"),
}


def roll_back(host: Hostile, path: str = "srv/app/x", **more: Any) -> Mapping[str, Any]:
    root = str(host.top / path.rpartition("/")[0])
    return {"role": "release_rollback", "release_rollback_root": root, **more}


def releases(host: Hostile, current: str = "releases/v2") -> None:
    for name in ("v1", "v2"):
        host.theirs(f"srv/app/releases/{name}")
    host.link("srv/app/current", current)


def traps_beside_the_link(host: Hostile) -> Mapping[str, Any]:
    releases(host)
    host.link("srv/app/.current.new", host.victim)
    host.link("srv/app/releases/v1.5", host.victim)
    host.theirs("srv/app/releases/v1.6\nv1")
    host.link("srv/app/releases/v2/ROLLED_BACK", host.victim / "new")
    return roll_back(host, release_rollback_bad="v2")


def release_of_root_in_theirs(host: Hostile) -> Mapping[str, Any]:
    releases(host)
    host.victim.rename(host.top / "srv/app/releases/v1.5")
    host.victim.symlink_to(host.top / "srv/app/releases/v1.5")
    return roll_back(host, release_rollback_target="v1.5")


def served_from_elsewhere(host: Hostile) -> Mapping[str, Any]:
    (host.victim / "releases/v1").mkdir(parents=True)
    releases(host, f"{host.victim}/releases/v2")
    return roll_back(host)


def releases_are_a_link(host: Hostile) -> Mapping[str, Any]:
    for name in ("v1", "v2"):
        (host.victim / name).mkdir()
    host.theirs("srv/app")
    host.link("srv/app/releases", host.victim)
    host.link("srv/app/current", "releases/v2")
    return roll_back(host)


ROLL_BACK: dict[str, Case] = levels("srv/app/x", roll_back) | {
    "traps beside the link": (traps_beside_the_link, DONE),
    "a release of root's in theirs": (release_of_root_in_theirs, "no earlier good release"),
    "what is served lies elsewhere": (served_from_elsewhere, "is not a link to a directory in"),
    "the releases are a link": (releases_are_a_link, "is a link"),
}


def renew(host: Hostile, path: str = "srv/tls/host.pem") -> Mapping[str, Any]:
    pem = str(host.top / path)
    listed = {"name": "web", "path": pem, "key": f"{pem}.key", "names": ["DNS:web"]}
    return {"role": "certificate", "certificate_name": "web", "certificate_list": [listed]}


def key(host: Hostile, lay: Callable[[Path], object], ours: bool = True) -> Mapping[str, Any]:
    folder = (host.ours if ours else host.theirs)("srv/tls")
    host.file("srv/tls/host.pem", owner=0)
    lay(folder / "host.pem.key")
    return renew(host)


RENEW: dict[str, Case] = levels("srv/tls/host.pem", renew, "user nobody can write to") | {
    "a directory of theirs": (
        lambda host: key(host, lambda path: path.write_bytes(b""), ours=False),
        "user nobody can write to",
    ),
    "the key is a link": (
        lambda host: key(host, lambda path: path.symlink_to(host.victim / "file")),
        "is a link",
    ),
    "the key has a second name": (
        lambda host: key(host, lambda path: os.link(host.victim / "file", path)),
        "has a second name",
    ),
    "everybody can change the key": (
        lambda host: key(host, lambda path: (path.touch(), path.chmod(0o666))),
        "everybody can write to",
    ),
}


def set_aside(host: Hostile, path: str = "srv/etcd/data/x") -> Mapping[str, Any]:
    return {
        "role": "etcd_member",
        "start": "set_aside",
        "etcd_member_data": str(host.top / path.rpartition("/")[0]),
        "etcd_member_manager": "none",
        "etcd_member_environment": str(host.top / "no-such-file"),
        "etcd_member_keep_days": -1,  # what was put aside just now is old
        "__etcd_member_cluster": {"members": []},
        "__etcd_member_called": "one",
    }


def data_of_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/etcd/data/member")
    host.theirs("srv/etcd/data.aside-1/member")
    host.link("srv/etcd/data.aside-1/member/link", host.victim)
    host.link("srv/etcd/data.aside-2", host.victim)
    return set_aside(host)


def old_data_of_root_in_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/etcd/data/member")
    host.victim.rename(host.top / "srv/etcd/data.aside-1")
    host.victim.symlink_to(host.top / "srv/etcd/data.aside-1")
    return set_aside(host)


SET_ASIDE: dict[str, Case] = levels("srv/etcd/data/x", set_aside) | {
    "data of theirs, links beside it": (data_of_theirs, DONE),
    "old data of root's in theirs": (old_data_of_root_in_theirs, "user nobody can write to"),
}


def diagnose(host: Hostile, path: str = "srv/app/log/app.log") -> Mapping[str, Any]:
    return {
        "role": "diagnostics",
        "start": "read",
        "diagnostics_unit": "",
        "diagnostics_log_lines": 20,
        "diagnostics_max_chars": 1000,
        "diagnostics_log_file": str(host.top / path),
    }


def secret_in_theirs(host: Hostile) -> Mapping[str, Any]:
    """A private file of root's, renamed: nobody may remove it, but not read it."""
    host.theirs("srv/app/log")
    host.file("srv/app/log/app.log", PRECIOUS, owner=0).chmod(0o600)
    return diagnose(host)


def of_the_log(prepare: Prepare) -> Prepare:
    return lambda host: (prepare(host), diagnose(host))[1]


DIAGNOSE: dict[str, Case] = levels("srv/app/log/app.log", diagnose) | {
    "a log of theirs": (of_the_log(log_of_theirs), DONE),
    "the log is a link": (of_the_log(log_is_a_link), "is a link"),
    "the log has a second name": (of_the_log(log_has_a_second_name), "has a second name"),
    "the log is a pipe": (of_the_log(log_is_a_pipe), "is not a regular file"),
    "a secret of root's in theirs": (secret_in_theirs, "user nobody could have put"),
}


def supervise(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    config = host.file("srv/app/supervisord.conf", b"[ctlplugin:x]\nsupervisor.ctl_factory=x:y\n")
    return {
        "role": "service_restart",
        "start": "remediate",
        "service_restart_manager": "supervisord",
        "service_restart_unit": "app",
        "service_restart_supervisor_config": str(config),
    }


def scale(host: Hostile) -> Mapping[str, Any]:
    given = supervise(host)
    return {
        "role": "service_scale",
        "service_scale_service": "app",
        "service_scale_list": [{"service": "app", "name": "app{id}", "min": 1, "max": 2}],
        "service_scale_manager": "supervisord",
        "service_scale_supervisor_config": given["service_restart_supervisor_config"],
    }


def reboot(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    program = host.file("srv/app/drain", b"#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return {
        "role": "host_reboot",
        "start": "remediate",
        "host_reboot_command": ["/usr/bin/false"],
        "host_reboot_force": True,
        "host_reboot_min_uptime": 0,
        "host_reboot_drain": [str(program)],
        "host_reboot_undrain": [str(program)],
    }


def renewed(host: Hostile, path: str = "srv/tls/host.pem") -> Mapping[str, Any]:
    listed = {"name": "web", "path": str(host.top / path), "command": ["/usr/bin/false"]}
    return {
        "role": "acme_certificate",
        "acme_certificate_name": "web",
        "acme_certificate_list": [listed],
    }


def link_of_theirs(host: Hostile) -> Mapping[str, Any]:
    """certbot makes links; one that they can replace is none of certbot's."""
    host.theirs("srv/tls")
    host.link("srv/tls/host.pem", host.victim / "file")
    return renewed(host)


def link_to_theirs(host: Hostile) -> Mapping[str, Any]:
    host.theirs("srv/app")
    host.file("srv/app/host.pem")
    (host.ours("srv/tls") / "host.pem").symlink_to("../app/host.pem")
    return renewed(host)


def drill(host: Hostile, kind: str = "error_storm") -> Mapping[str, Any]:
    folder = host.theirs("srv/app/log")
    host.file("srv/app/log/app.log")
    return {
        "role": "fault",
        "fault_kind": kind,
        "runner_drill": True,
        "fault_log": str(folder / "app.log"),
        "fault_directory": str(folder),
        "fault_app_root": str(folder.parent),
        "fault_unit": "app",
        "fault_bad_release": str(folder),
        "fault_certificate": str(folder / "app.log"),
        "fault_certificate_unit": "app",
        "fault_configuration": str(folder / "drill.conf"),
        "fault_configuration_unit": "app",
        "fault_mountpoint": str(folder),
    }


OTHERS: dict[str, Case] = {
    "supervisord is configured by them": (supervise, "user nobody can write to"),
    "supervisord of what is scaled is configured by them": (scale, "user nobody can write to"),
    "they wrote what drains the host": (reboot, "user nobody can write to"),
    "the certificate's link is theirs": (link_of_theirs, "user nobody can write to"),
    "the certificate's link leads to theirs": (link_to_theirs, "user nobody can write to"),
} | {
    f"the drill {kind} in a directory of theirs": (
        lambda host, kind=kind: drill(host, kind),
        "user nobody can write to",
    )
    for kind in (
        "error_storm", "disk_full", "bad_release", "expired_certificate", "inodes_full",
        "read_only", "stale_configuration",
    )
}  # fmt: skip


def rotated(host: Hostile) -> bool:
    log, copy = (host.top / "srv/app/log" / name for name in ("app.log", "app.log.1.gz"))
    return log.stat().st_size == 0 and copy.is_file() and copy.owner() == "nobody"


def aside(host: Hostile) -> bool:
    left = {path.name for path in (host.top / "srv/etcd").iterdir()}
    return len(left) == 2 and "data.aside-2" in left and not {"data", "data.aside-1"} & left


#: What those that end well did nevertheless, where they lead nowhere.
DID: dict[str, Callable[[Hostile], bool]] = {
    "rotate, a log of theirs, links where its copies go": rotated,
    "roll back, traps beside the link": lambda host: (
        os.readlink(host.top / "srv/app/current") == "releases/v1"
    ),
    "set aside, data of theirs, links beside it": aside,
}

#: One run of Ansible for each row.
RUNS: dict[str, dict[str, dict[str, Case]]] = {
    "clean": {"clean": CLEAN},
    "rotate and roll back": {"rotate": ROTATE, "roll back": ROLL_BACK},
    "the others": {
        "renew": RENEW,
        "set aside": SET_ASIDE,
        "diagnose": DIAGNOSE,
        "start": OTHERS,
    },
}


#: Roles that act on no file in places of others, and why.
WITHOUT = {
    "clock": "it calls chronyc and restarts a unit",
    "configuration_reload": "it looks at the age of files; its check acts as the service itself",
    "filesystem_extend": "it goes by mount points, and the programs of LVM by volumes",
    "filesystem_remount": "only where nobody else leads the path: test_writable_mount.py",
    "idle_sessions": "it asks PostgreSQL only",
    "leaking_unit": "it reads /proc only, and restarts a unit",
    "package_repair": "dpkg's records, which it walks to: tests/unit/test_configured_packages.py",
    "replication_slot": "it asks PostgreSQL only",
    "resource_limit": "it writes below /proc only",
    "runaway_process": "it ends processes, and reads /proc only",
    "fault_outside": "its program lies in /run, where only root makes names",
}


def test_every_role_is_tried_here_or_touches_no_file_of_others() -> None:
    tried = set(re.findall(r'"role": "(\w+)"', Path(__file__).read_text()))
    assert tried | set(WITHOUT) == {path.parent.name for path in ROLES.glob("*/tasks")}
    assert not tried & set(WITHOUT)


@pytest.mark.real
@pytest.mark.slow
@needs_ansible[1]
@pytest.mark.parametrize("run", RUNS)
def test_nothing_is_touched_that_somebody_else_leads_to(run: str) -> None:
    """Invariant 20: links at each level, odd names, second names, wrong owners and modes."""
    cases = {
        f"{act}, {title}": case for act, each in RUNS[run].items() for title, case in each.items()
    }
    with scratch() as folder:
        hosts = {f"h{number}": made(folder / str(number)) for number in range(len(cases))}
        given = dict(zip(hosts, cases.items(), strict=True))
        variables = {name: case[0](hosts[name]) for name, (_, case) in given.items()}
        before = {name: host.look() for name, host in hosts.items()}

        said = play(folder, variables)

        for name, (title, (_, sentence)) in given.items():
            assert hosts[name].look() == before[name], title
            assert sentence in said[name], (title, said[name])
            if not sentence:
                assert not said[name], (title, said[name])
                assert not list(hosts[name].top.rglob("gone*")), title
                assert DID.get(title, lambda _: True)(hosts[name]), title


@dataclass(frozen=True)
class Race:
    """What one module does below `sub`, a directory that is a link to the victim half of the time.

    `act` gets the directory that holds `sub`, which is nobody's.
    """

    names: tuple[str, ...]  #: what must be in `sub` for it; a slash at the end makes a directory
    act: Callable[[Path], object]


def search(folder: Path) -> None:
    aged = module_of("modules/aged_files.py")
    place = {"name": "a", "path": str(folder), "patterns": ["*"], "min_age": "0s", "recurse": True}
    params = {"places": [place], "chosen": [], "roots": [str(folder)], "never": []}
    params |= {"mountpoint": "", "max_files": 100, "trusted_groups": []}
    with ExitStack() as opened:
        found = aged.Search(params, opened)
        if not [one for one in found.files(found.places(), 100) if aged.remove(one, dry=False)]:
            raise FileNotFoundError


def below(path: str, act: Callable[[Any], object]) -> Callable[[Path], object]:
    """Walk there, and act on the open directory."""

    def walked(folder: Path) -> None:
        with shared().walk(str(folder / path)) as here:
            act(here)

    return walked


def read(folder: Path) -> None:
    text = module_of("modules/host_info.py").tail(str(folder / "sub/app.log"), 5, 1000)
    assert "nobody may touch" not in text


RACES = {
    "clean": Race(("file", "file.gz"), search),
    "rotate": Race(
        ("app.log",),
        below("sub", lambda here: module_of("modules/oversize_log.py").copytruncate(
            here, "app.log", 2)),
    ),
    "roll back": Race(
        ("v1/",),
        below("sub", lambda here: (
            module_of("modules/served_release.py").mark(here, "v1", False),
            module_of("modules/served_release.py").switch(here, "file", "v1"))),
    ),
    "renew": Race(
        ("file",),
        below("sub", lambda here: module_of("modules/file_content.py").put(
            here, "file", b"new", 0o644, None)),
    ),
    "set aside": Race(("tree/",), below("sub", lambda here: here.remove_tree("tree"))),
    "diagnose": Race(("app.log",), read),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(name: str) -> None:
    """Invariant 20: whoever swaps them all the time wins nothing, whenever it happens."""
    refused, acted = race(RACES[name], times=100)
    assert refused and acted


@pytest.mark.nightly
@pytest.mark.parametrize("name", RACES)
def test_a_race_is_not_won_by_trying_often(name: str) -> None:
    """Invariant 20."""
    race(RACES[name], times=5_000)


def race(contest: Race, times: int) -> tuple[int, int]:
    """How often the module refused and how often it acted, at least so many times in all."""
    refused = acted = 0
    with scratch() as folder:
        host = made(folder)
        theirs, sub = host.theirs("theirs"), host.theirs("theirs/sub")
        for name in contest.names:
            (host.victim / name).mkdir(exist_ok=True) if name.endswith("/") else None
        before, real = host.look(), os.open(sub, os.O_RDONLY)
        with swapping(theirs, host.victim):
            deadline = time.monotonic() + 30
            while refused + acted < times or not (refused and acted):
                assert time.monotonic() < deadline or times > 1000, (refused, acted)
                refill(real, contest.names)
                try:
                    contest.act(theirs)
                    acted += 1
                except (shared().Untrusted, OSError):
                    refused += 1
        os.close(real)
        assert host.look() == before
    return refused, acted


def refill(folder: int, names: tuple[str, ...]) -> None:
    """Make what the module takes away, as nobody's, in the directory wherever it is now."""
    for name in names:
        try:
            if name.endswith("/"):
                os.mkdir(name, dir_fd=folder)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=folder))
            os.chown(name, NOBODY, NOBODY, dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            pass


@pytest.mark.real
@needs_ansible[1]
def test_an_alert_about_another_file_system_cleans_nothing() -> None:
    """Invariant 20: the label of the alert reaches the role, which says where its places lie."""
    catalog = load(ROOT / "playbooks", ())
    (alert,) = json.loads((INPUTS / "M3-mountpoint/body.json").read_text())["alerts"]
    entry, labels = catalog.get("clean_disk"), alert["labels"]
    values = resolve(entry, catalog.schema("clean_disk"), labels=labels, hostvars={}, chosen={})
    assert values == {"disk_space_mountpoint": "/srv/data", "disk_space_places": []}

    with scratch() as folder:
        hosts = {}
        for name, mountpoint in {"theirs": "/proc", "its": point_of(folder), "none": ""}.items():
            hosts[name] = made(folder / name)
            cache(hosts[name])
            hosts[name] = clean(hosts[name], disk_space_mountpoint=mountpoint)
        said = play(folder, hosts)
        left = {path.parts[len(folder.parts)] for path in folder.rglob("gone.gz")}

    assert left == {"theirs"}
    assert "/proc is full, and cleaning elsewhere frees nothing there" in said["theirs"]
    assert said["its"] == said["none"] == ""


def point_of(folder: Path) -> str:
    """The mount point of the file system that the folder lies on."""
    while not folder.is_mount():
        folder = folder.parent
    return str(folder)
