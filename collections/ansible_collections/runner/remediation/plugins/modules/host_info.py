#!/usr/bin/python
"""Reads how a host and one of its units are, with the end of the unit's log."""

from __future__ import annotations

DOCUMENTATION = """
module: host_info
short_description: Reads how a host and one of its units are, and changes nothing
description:
  - Reads uptime, load, memory, file systems, the busiest processes, the state of one unit and the
    end of its log. It is one module, since each task of a play costs a start of Python there.
  - A log file must be a regular file with one name, in a directory that no link leads to. Where
    somebody else can write to its directory, it must be a file that they may read themselves, or
    they could have private files of others shown.
  - What cannot be read is no error. Of a log, C(log_not_read) in RV(facts) tells why.
options:
  name:
    description: The unit, as systemd or supervisord names it; empty reads the host only.
    type: str
    default: ""
  log_file:
    description: File that the unit logs to; empty asks the journal for the unit.
    type: path
  log_lines:
    description: How many of its last lines at most.
    type: int
    default: 50
  log_chars:
    description: How many of its last characters at most; 0 reads no log.
    type: int
    default: 16000
attributes:
  check_mode:
    description: Only reads, so it does the same.
    support: full
extends_documentation_fragment: [runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Look at nginx and its host
  runner.remediation.host_info:
    name: nginx
  become: true
  register: seen
"""

RETURN = """
facts:
  description:
    - C(uptime_seconds), C(load), C(processors), C(memory_mb), C(file_systems), C(processes),
      C(log_not_read) and C(unit), the first six in the words of Ansible's own facts.
  type: dict
  returned: always
parts:
  description:
    - The parts that the host has, each kind with a list of names. C(unit) has loaded units that can
      be started again, and is read of supervisord only where RV(facts) has a unit of it;
      C(mountpoint) has real file systems, each device once.
  type: dict
  returned: always
logs: {description: The last lines of the log., type: list, elements: str, returned: always}
"""

import os
import threading
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    parent_of,
    shown,
    walk,
)
from ansible_collections.runner.remediation.plugins.module_utils.units import (
    ARGUMENTS,
    busiest,
    manager,
)

_MOUNTS = 30
_UNITS = 500
_PROCESSES = 11  #: lines of ps, its heading included
_SECONDS = 5.0  #: for all file systems together; one whose server is gone never answers


def tail(path: str, lines: int, most: int) -> str:
    """The last lines of the file. Raises Untrusted, OSError."""
    above, name = parent_of(path)
    with walk(above) as folder:
        log = folder.file(name, shared=True)
        try:
            size = os.fstat(log).st_size
            content = os.pread(log, most, max(0, size - most))
        finally:
            os.close(log)
    return b"\n".join(content.rstrip(b"\n").split(b"\n")[-lines:]).decode("utf-8", "replace")


def memory(text: str) -> dict[str, Any]:
    """Of /proc/meminfo, in MiB; empty where it says nothing."""
    kib = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if (words := rest.split()) and words[0].isdigit():
            kib[name] = int(words[0])
    if "MemTotal" not in kib:
        return {}

    def mib(value: int) -> int:
        return value // 1024

    free = kib.get("MemFree", 0)
    unused = free + kib.get("Cached", 0) + kib.get("Buffers", 0)
    swap = kib.get("SwapTotal", 0)
    return {
        "real": {
            "total": mib(kib["MemTotal"]),
            "used": mib(kib["MemTotal"] - free),
            "free": mib(free),
        },
        "nocache": {"free": mib(unused), "used": mib(kib["MemTotal"] - unused)},
        "swap": {
            "total": mib(swap),
            "free": mib(kib.get("SwapFree", 0)),
            "used": mib(swap - kib.get("SwapFree", 0)),
            "cached": mib(kib.get("SwapCached", 0)),
        },
    }


def mounts(text: str) -> list[dict[str, Any]]:
    """Of /proc/self/mounts: real file systems, each device once."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        fields = [_plain(field) for field in line.split(" ")[:4]]
        if len(fields) < 4 or fields[2] == "none":
            continue
        device, mount, fstype, options = fields
        if device.startswith("/") or ":/" in device or fstype == "zfs":
            row = {"mount": mount, "device": device, "fstype": fstype, "options": options}
            found.setdefault(device, row)
    return list(found.values())[:_MOUNTS]


def _plain(field: str) -> str:
    """A field as it was before the kernel wrote spaces and the like in octal."""
    for written, meant in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        field = field.replace(written, meant)
    return field


def measure(rows: list[dict[str, Any]]) -> None:
    """Write into each row how full it is, as far as it is known in time."""

    def look(row: dict[str, Any]) -> None:
        try:
            found = os.statvfs(row["mount"])
        except OSError:
            return
        row.update(
            size_total=found.f_frsize * found.f_blocks,
            size_available=found.f_frsize * found.f_bavail,
            inode_total=found.f_files,
            inode_available=found.f_favail,
        )

    threads = [threading.Thread(target=look, args=(row,), daemon=True) for row in rows]
    until = time.monotonic() + _SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def host(module: Any) -> dict[str, Any]:
    """What is asked of no unit."""
    rows = mounts(_read("/proc/self/mounts"))
    measure(rows)
    uptime = _read("/proc/uptime").split()
    load = _read("/proc/loadavg").split()[:3]
    return {
        "uptime_seconds": int(float(uptime[0])) if uptime else None,
        "load": {f"{span}m": float(text) for span, text in zip((1, 5, 15), load)},  # noqa: B905
        "processors": len(os.sched_getaffinity(0)),
        "memory_mb": memory(_read("/proc/meminfo")),
        "file_systems": [dict(row) for row in rows],
        "processes": busiest(module, _PROCESSES),
    }


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def log(module: Any) -> tuple[str, str]:
    """(the end of the unit's log, why it was not read)."""
    given = module.params
    lines, most = given["log_lines"], given["log_chars"]
    if given["log_file"]:
        try:
            return tail(given["log_file"], lines, 4 * most + 1), ""
        except Untrusted as said:
            return "", str(said)
        except OSError as error:
            return "", f"{shown(given['log_file'])}: {error.strerror}"
    journal = module.get_bin_path("journalctl") if given["name"] else None
    if not journal:
        return "", ""
    command = [journal, f"--unit={given['name']}", f"--lines={lines}", "--no-pager"]
    return module.run_command([*command, "--output=short-iso"])[1], ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": ""},
            "log_file": {"type": "path"},
            "log_lines": {"type": "int", "default": 50},
            "log_chars": {"type": "int", "default": 16000},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = module.params
    facts = host(module)
    text, why = log(module) if given["log_chars"] > 0 else ("", "")
    facts["log_not_read"] = why
    name = given["name"]
    # The configuration of supervisord is only looked at where a unit of it is asked for.
    units = manager(module) if name or given["manager"] == "systemd" else None
    facts["unit"] = {"unit": name, **units.read(name)} if name and units else {}
    parts = {
        "unit": units.names()[:_UNITS] if units else [],
        "mountpoint": [row["mount"] for row in facts["file_systems"]],
    }
    logs = text[-given["log_chars"] :].splitlines() if given["log_chars"] > 0 else []
    module.exit_json(changed=False, facts=facts, parts=parts, logs=logs)


if __name__ == "__main__":
    main()
