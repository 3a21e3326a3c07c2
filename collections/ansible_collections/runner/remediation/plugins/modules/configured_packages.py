#!/usr/bin/python
"""Completes what an interrupted dpkg has left behind, once nobody is changing packages."""

from __future__ import annotations

DOCUMENTATION = """
module: configured_packages
short_description: Completes what an interrupted dpkg has left behind
description:
  - Reads which packages are unpacked or half configured, and whether dpkg was interrupted. Where
    everything is installed as it should be, nothing is done.
  - Otherwise C(dpkg --configure -a) is run. Nobody is asked anything, and changed configuration
    files stay as they are.
  - Fails before anything changes while somebody holds the lock, and where a package is only half
    installed, which no configuring can complete.
  - A lock is stale where its holder is older than O(stale_seconds), is one of O(stale_programs) and
    has no terminal. Its holder is ended only with O(end_stale).
options:
  admin_dir: {description: Where dpkg keeps its records., type: path, default: /var/lib/dpkg}
  dpkg: {description: The dpkg to call, as a path or as a name in PATH., type: str, default: dpkg}
  timeout: {description: Seconds after which dpkg is ended., type: int, default: 240}
  end_stale: {description: Whether the holder of a stale lock is ended., type: bool, default: false}
  stale_seconds: {description: Age of the holder of a stale lock., type: int, default: 21600}
  stale_programs:
    description: Names of processes that may be ended.
    type: list
    elements: str
    default: [apt, apt-get, dpkg, unattended-upgr]
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Complete what was interrupted
  runner.remediation.configured_packages:
  become: true
"""

RETURN = """
packages: {description: What was not installed as it should be., type: list, returned: always}
ended: {description: Names of the processes that were ended., type: list, returned: always}
repaired: {description: Whether everything is installed at the end., type: bool, returned: always}
said: {description: The last lines of dpkg., type: str, returned: always}
"""

import fcntl
import os
import signal
import struct
import subprocess
import time
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    walk,
)

LOCKS = ("lock-frontend", "lock")
#: States that configuring completes, and those in which a package is fine or gone.
OPEN = ("unpacked", "half-configured", "triggers-awaited", "triggers-pending")
FINE = ("installed", "config-files", "not-installed")
SHOWN = "${binary:Package}\\t${db:Status-Status}\\t${db:Status-Eflag}\\n"
FLOCK = "@hhqqi4x"  #: struct flock: type, whence, start, length, process
GRACE = 20  #: seconds until a process that was asked to end must be gone
LINES, LONGEST, MOST = 10, 300, 50


class Refused(Exception):
    """A sentence: why nothing is done."""


class Holder(NamedTuple):
    """A process that holds a lock; its number may be another's later, so its start counts, too."""

    pid: int
    started: int  #: in ticks since the boot
    name: str
    terminal: bool  #: whether it has one


def holder(fd: int) -> int:
    """The process that holds a lock on the file; 0 where nobody does.

    Raises Refused where the kernel names none: -1 or less for a lock of an open file or of another
    host, 0 for one of another pid namespace.
    """
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return 0
    if pid <= 0:
        raise Refused("somebody who cannot be named holds the lock of dpkg")
    return int(pid)


def holders(admin: str) -> list[int]:
    """Who holds any lock of dpkg. Raises Refused, Untrusted, OSError."""
    found = []
    with walk(admin) as folder:
        for name in LOCKS:
            if folder.has(name):
                fd = folder.file(name)
                try:
                    found.append(holder(fd))
                finally:
                    os.close(fd)
    return sorted({pid for pid in found if pid})


def described(pid: int) -> Holder | None:
    """The process that has this number now; None where there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            head, _, rest = file.read().rpartition(")")
    except OSError:
        return None
    fields = rest.split()
    return Holder(pid, int(fields[19]), head.partition("(")[2], fields[4] != "0")


def age(one: Holder) -> float:
    """Seconds since it was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - one.started / os.sysconf("SC_CLK_TCK")


def stale(admin: str, given: dict[str, Any]) -> list[Holder]:
    """The holders, which all may be ended. Raises Refused where one may not, Untrusted, OSError."""
    found = []
    for one in filter(None, map(described, holders(admin))):
        if one.terminal:
            raise Refused(f"{one.name} holds the lock of dpkg, and somebody sits at its terminal")
        if age(one) < given["stale_seconds"] or one.name not in given["stale_programs"]:
            raise Refused(f"{one.name} holds the lock of dpkg, for {age(one) / 60:.0f} min at most")
        if not given["end_stale"]:
            raise Refused(
                f"{one.name} has held the lock of dpkg for up to {age(one) / 3600:.0f} h, and the "
                "inventory does not allow to end it"
            )
        found.append(one)
    if set(holders(admin)) - {one.pid for one in found}:
        raise Refused("somebody who was not seen before holds the lock of dpkg")
    return found


def end(found: list[Holder], admin: str) -> None:
    """Ask them to end. Raises Refused where the lock is held on, Untrusted, OSError."""
    for one in found:
        ask_to_end(one)
    deadline = time.monotonic() + GRACE
    while holders(admin):
        if time.monotonic() > deadline:
            raise Refused("the process that holds the lock was asked to end, and does not")
        time.sleep(0.2)


def ask_to_end(one: Holder) -> None:
    """Send SIGTERM to this very process, and to none that has its number by now."""
    try:
        handle = os.pidfd_open(one.pid)
    except (AttributeError, OSError):  # an older Python or kernel, or it is gone
        handle = -1
    try:
        if one.pid <= 0 or described(one.pid) != one:
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        else:
            os.kill(one.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    finally:
        if handle >= 0:
            os.close(handle)


def broken(module: AnsibleModule) -> list[str]:
    """`package: state` of each that is not as it should be. Raises Refused for a half one."""
    admin = module.params["admin_dir"]
    program = module.get_bin_path("dpkg-query", required=True)
    status, out, err = module.run_command([program, f"--admindir={admin}", "-W", "-f", SHOWN])
    if status:
        raise Refused(f"dpkg's records cannot be read: {short(err)}")
    rows = [line.split("\t") for line in out.splitlines() if line.count("\t") == 2]
    halves = [name for name, state, flag in rows if state not in (*OPEN, *FINE) or flag != "ok"]
    if halves:
        raise Refused(
            f"{', '.join(sorted(halves)[:MOST])}: only half installed, which must be installed anew"
        )
    return sorted(f"{name}: {state}" for name, state, _ in rows if state in OPEN)


def interrupted(admin: str) -> bool:
    """Whether dpkg has left records that it has not merged. Raises Untrusted, OSError."""
    with walk(f"{admin}/updates") as folder:
        return any(name.isdigit() for name in folder.names(MOST))


def short(text: str) -> str:
    """The last lines of what a program said, printable and not too long."""
    lines = [line.strip()[:LONGEST] for line in text.splitlines() if line.strip()]
    kept = " / ".join(lines[-LINES:])
    return "".join(c if c.isprintable() else "?" for c in kept)


def configure(module: AnsibleModule) -> tuple[bool, str]:
    """(whether dpkg was content, its last lines). Nobody is there to be asked."""
    given = module.params
    program = module.get_bin_path(given["dpkg"], required=True)
    words = [program, f"--admindir={given['admin_dir']}", "--force-confdef", "--force-confold"]
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "UCF_FORCE_CONFFOLD": "1",
    }
    with subprocess.Popen(
        [*words, "--configure", "-a"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            said = child.communicate(timeout=given["timeout"])[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return False, f"it did not end within {given['timeout']} s and was ended"
    return child.returncode == 0, short(said.decode(errors="replace"))


def difference(packages: list[str], cut: bool, names: list[str]) -> dict[str, str]:
    before = [f"{name}: holds the lock\n" for name in names]
    before += ["dpkg: interrupted\n"] if cut else []
    before += [f"{package}\n" for package in packages]
    after = "".join(f"{package.partition(': ')[0]}: installed\n" for package in packages)
    return {"before": "".join(before), "after": after}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "admin_dir": {"type": "path", "default": "/var/lib/dpkg"},
            "dpkg": {"type": "str", "default": "dpkg"},
            "timeout": {"type": "int", "default": 240},
            "end_stale": {"type": "bool", "default": False},
            "stale_seconds": {"type": "int", "default": 21600},
            "stale_programs": {
                "type": "list",
                "elements": "str",
                "default": ["apt", "apt-get", "dpkg", "unattended-upgr"],
            },
        },
        supports_check_mode=True,
    )
    given, admin = module.params, module.params["admin_dir"]
    try:
        found = stale(admin, given)
        packages, cut = broken(module), interrupted(admin)
    except (Refused, Untrusted, OSError) as why:
        module.fail_json(msg=f"{why}; no package was touched.")
    names = [one.name for one in found]
    if not (packages or cut or names):
        module.exit_json(changed=False, packages=[], ended=[], repaired=True, said="")
    told: dict[str, Any] = {"packages": packages, "ended": names}
    diff = difference(packages, cut, names)
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, repaired=False, said="", **told)
    try:
        end(found, admin)
        content, said = configure(module)
        repaired = content and not broken(module) and not interrupted(admin)
    except (Refused, Untrusted, OSError) as why:
        module.fail_json(msg=f"{why}.", **told)
    module.exit_json(changed=True, diff=diff, repaired=repaired, said=said, **told)


if __name__ == "__main__":
    main()
