#!/usr/bin/python
"""Reboots a host that needs it, and proves that it came back; with an action of the same name."""

from __future__ import annotations

DOCUMENTATION = """
module: rebooted_host
short_description: Reboots a host that needs it, and proves that it came back
description:
  - A host needs it where one of O(markers) is there, where a newer kernel is installed than the one
    that runs, or with O(force). Any other one is left alone.
  - It fails before it does anything on a host that booted less than O(min_uptime) seconds ago, that
    is starting or stopping, whose packages are being installed or were left half installed, and
    where O(check) does not succeed.
  - Then O(drain) runs, the host reboots, and is waited for. That it came back is proven by the name
    of the boot and the start of its first process, one of which must be another one.
  - When all units have started, O(check) must succeed within O(settle) seconds. Only then
    O(undrain) runs.
  - O(check), O(drain) and O(undrain) are programs of the host with their words, that nobody but
    root can change.
options:
  markers:
    description: Files that say that a reboot is required.
    type: list
    elements: path
    default: [/run/reboot-required]
  force: {description: Whether a host reboots that needs none., type: bool, default: false}
  min_uptime: {description: Seconds since the last boot., type: int, default: 3600}
  check: {description: Succeeds on a host that is well., type: list, elements: str, default: []}
  drain: {description: Takes the host out of service., type: list, elements: str, default: []}
  undrain: {description: Puts it back., type: list, elements: str, default: []}
  hook_timeout: {description: Seconds that each of these may take., type: int, default: 300}
  timeout: {description: Seconds within which the host must come back., type: int, default: 600}
  settle: {description: "Seconds, from then on, until it must be well.", type: int, default: 120}
  command:
    description: What reboots the host.
    type: list
    elements: str
    default: [shutdown, -r, now]
  boot_id:
    description: The file that has another content after each boot.
    type: path
    default: /proc/sys/kernel/random/boot_id
  phase:
    description: For the action, which runs the module several times.
    type: str
    choices: [look, drain, back]
    default: look
  failed_before:
    description: For the action, units that had failed before.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Reboot where the packages ask for it
  runner.remediation.rebooted_host:
    drain: [/usr/local/sbin/out-of-service]
    undrain: [/usr/local/sbin/into-service]
  become: true
"""

RETURN = """
reasons: {description: Why it needs a reboot., type: list, elements: str, returned: always}
rebooted: {description: Whether it rebooted., type: bool, returned: success}
healthy:
  description: Whether all its units started, none failed anew, and O(check) succeeded.
  type: bool
  returned: success
failed_units: {description: Units that failed and had not before., type: list, returned: success}
"""

import fcntl
import glob
import os
import re
import struct
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
    shown,
)

#: Held while packages are being installed.
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/rpm/.rpm.lock")
FLOCK = "@hhqqi4x"  #: struct flock: type, whence, start, length, process
UPDATES = "/var/lib/dpkg/updates"  #: holds files where dpkg was interrupted
KERNELS = "/boot/vmlinuz-*"
_BUSY = ("initializing", "starting", "stopping", "maintenance")
_POLL = 2  #: seconds


def reasons(markers: list[str], running: str, installed: list[str]) -> list[str]:
    """Why the host needs a reboot."""
    found = [f"{path} is there" for path in markers if os.path.exists(path)]
    newest = max(installed, key=natural, default=running)
    if natural(newest) > natural(running):
        found.append(f"kernel {running} runs, {newest} is installed")
    return found


def natural(name: str) -> list[tuple[int, str]]:
    """What orders 6.1.0-9 before 6.1.0-10."""
    words = re.findall(r"\d+|\D", name)
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def kernels() -> list[str]:
    """The releases of the kernels that are installed."""
    return [path.partition("-")[2] for path in glob.glob(KERNELS)]


def is_held(path: str) -> bool:
    """Whether somebody holds this lock file; it is asked for, and never taken."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        kind = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[0]
    except OSError:
        return True
    finally:
        os.close(file)
    return bool(kind != fcntl.F_UNLCK)


def uptime() -> float:
    with open("/proc/uptime") as file:
        return float(file.read().split()[0])


def system_state(module: Any) -> str:
    """running, degraded, starting …; empty without systemd."""
    program = module.get_bin_path("systemctl")
    return module.run_command([program, "is-system-running"])[1].strip() if program else ""


def failed_units(module: Any) -> list[str]:
    program = module.get_bin_path("systemctl")
    if not program:
        return []
    words = ["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"]
    lines = module.run_command([program, *words])[1].splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def refusal(module: Any) -> str:
    """Why the host must not reboot now, a predicate; empty where it may."""
    seconds = int(uptime())
    if seconds < module.params["min_uptime"]:
        return f"booted {seconds} s ago already, less than {module.params['min_uptime']}"
    state = system_state(module)
    if state in _BUSY:
        return f"is {state}"
    if any(map(is_held, LOCKS)):
        return "is installing packages"
    if os.path.isdir(UPDATES) and os.listdir(UPDATES):
        return "has packages that were left half installed; repair them first"
    for name in ("drain", "undrain", "check"):
        if module.params[name]:
            check(module.params[name][0])
    if said := hook(module, "check"):
        return f"is not well: {said}"
    return ""


def hook(module: Any, name: str) -> str:
    """Run a program of the inventory; what it said where it failed. Raises Untrusted."""
    words = module.params[name]
    if not words:
        return ""
    check(words[0])
    limit = [module.get_bin_path("timeout", required=True), str(module.params["hook_timeout"])]
    status, out, err = module.run_command([*limit, *words], cwd="/")
    said = shown(" ".join((err or out).split()))[-300:]
    return f"{words[0]} ended with {status}: {said}" if status else ""


def look(module: Any) -> None:
    """Ends the module."""
    given = module.params
    found = reasons(given["markers"], os.uname().release, kernels())
    found += ["asked for"] if given["force"] else []
    if found and (why := refusal(module)):
        module.fail_json(msg=f"the host {why}; it does not reboot.", reasons=found)
    module.exit_json(changed=False, reasons=found, failed_units=failed_units(module))


def back(module: Any) -> None:
    """Wait until the host is well again; ends the module."""
    deadline = time.monotonic() + module.params["settle"]
    while True:
        said = f"is {state}" if (state := system_state(module)) in _BUSY else hook(module, "check")
        new = sorted(set(failed_units(module)) - set(module.params["failed_before"]))
        if not (said or new) or time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    given = module.params
    if new and not said:
        said = f"{', '.join(new)} failed"
    if not said and (left := reasons(given["markers"], os.uname().release, kernels())):
        said = f"still needs a reboot: {', '.join(left)}"
    if not said and (said := hook(module, "undrain")):
        said = f"was not put back: {said}"
    module.exit_json(changed=True, healthy=not said, said=said, failed_units=new)


def main() -> None:
    words = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "markers": {"type": "list", "elements": "path", "default": ["/run/reboot-required"]},
            "force": {"type": "bool", "default": False},
            "min_uptime": {"type": "int", "default": 3600},
            "check": words,
            "drain": words,
            "undrain": words,
            "hook_timeout": {"type": "int", "default": 300},
            "timeout": {"type": "int", "default": 600},
            "settle": {"type": "int", "default": 120},
            "command": {**words, "default": ["shutdown", "-r", "now"]},
            "boot_id": {"type": "path", "default": "/proc/sys/kernel/random/boot_id"},
            "phase": {"type": "str", "choices": ["look", "drain", "back"], "default": "look"},
            "failed_before": words,
        },
        supports_check_mode=True,
    )
    try:
        if module.params["phase"] == "look":
            look(module)
        if module.params["phase"] == "back":
            back(module)
        if said := hook(module, "drain"):
            module.fail_json(msg=f"the host could not be drained, and does not reboot: {said}")
    except Untrusted as why:
        module.fail_json(msg=f"{why}; the host does not reboot.")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
