#!/usr/bin/python
"""Finds processes that burn the processors, and ends those that do not belong to their unit."""

from __future__ import annotations

DOCUMENTATION = """
module: runaway_process
short_description: Ends processes that burn the processors and do not belong to their unit
description:
  - Watches all processes for a while. Those above O(share) are running hot; each is C(protected),
    C(allowed) in its unit, or a C(runaway).
  - PID 1, kernel threads, this module and what it was started by are always protected.
  - A process is only ended if it is still the one that was watched.
  - It fails before it ends anything where nothing that burns may be ended, or where it is too many.
options:
  share: {description: Percent of one processor., type: int, required: true}
  window: {description: Seconds to watch., type: int, required: true}
  allowed: {description: Unit to names of processes that belong to it., type: dict, default: {}}
  protected: {description: Regular expressions of names., type: list, elements: str, default: []}
  grace: {description: Seconds between asking and force., type: int, default: 5}
  max: {description: More runaways than this are ended by nobody., type: int, default: 10}
  state:
    description: Whether to look only, or to end the runaways.
    type: str
    choices: [read, ended]
    default: read
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Look
  runner.remediation.runaway_process:
    share: 50
    window: 3
    allowed: {app.service: [python3]}
    protected: ["sshd.*"]
"""

RETURN = """
hot:
  description: Processes above the share, each with pid, name, program, unit, percent and kind.
  type: list
  returned: always
ended: {description: How many were ended., type: int, returned: always}
left: {description: Runaways that burn at the end., type: int, returned: always}
"""

import os
import re
import signal
import time

from ansible.module_utils.basic import AnsibleModule

TICKS = os.sysconf("SC_CLK_TCK")
KTHREADD = 2


def stat(pid: int) -> tuple[str, int, int, int] | None:
    """(name, parent, processor ticks used, start tick); None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            head, _, rest = file.read().rpartition(")")
    except OSError:
        return None
    fields = rest.split()
    return (
        head.partition("(")[2],
        int(fields[1]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
    )


def snapshot() -> dict[tuple[int, int], tuple[str, int, int]]:
    """(pid, start) to (name, parent, ticks) of every process."""
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        read = stat(pid)
        if read is not None:
            name, parent, ticks, start = read
            found[pid, start] = (name, parent, ticks)
    return found


def unit_of(text: str) -> str:
    """The innermost unit in /proc/PID/cgroup: a service, scope or slice; empty without one."""
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "name=systemd" or number == "0":
            parts = [part for part in path.split("/") if re.search(r"\.(service|scope)$", part)]
            if parts:
                return parts[-1]
    return ""


def read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def program(pid: int) -> str:
    """The name of the program file; empty for a kernel thread."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).partition(" (deleted)")[0]
    except OSError:
        return ""


def ancestors(pid: int) -> set[int]:
    """The process and everything that it was started by."""
    found: set[int] = set()
    while pid and pid not in found:
        found.add(pid)
        above = stat(pid)
        pid = above[1] if above else 0
    return found


def kind(process: dict[str, object], parent: int, protected: list[str], allowed: object) -> str:
    """protected, allowed or runaway."""
    names = {str(process["name"]), str(process["program"])} - {""}
    pid = process["pid"]
    if pid == 1 or KTHREADD in (pid, parent) or not process["program"]:
        return "protected"
    if any(re.fullmatch(pattern, name) for pattern in protected for name in names):
        return "protected"
    belonging = allowed.get(process["unit"], []) if isinstance(allowed, dict) else []
    return "allowed" if names & set(belonging) else "runaway"


def watch(parameters: dict[str, object]) -> list[dict[str, object]]:
    """The processes above the share, the hottest first."""
    before, began = snapshot(), time.monotonic()
    time.sleep(int(str(parameters["window"])))
    after, took = snapshot(), time.monotonic() - began
    own = ancestors(os.getpid())
    hot = []
    for (pid, start), (name, parent, ticks) in after.items():
        used = ticks - before.get((pid, start), ("", 0, 0))[2]
        percent = 100 * used / TICKS / took
        if percent < int(str(parameters["share"])) or pid in own:
            continue
        found: dict[str, object] = {
            "pid": pid,
            "start": start,
            "name": name,
            "program": program(pid),
            "unit": unit_of(read(f"/proc/{pid}/cgroup")),
            "percent": round(percent),
        }
        found["kind"] = kind(found, parent, parameters["protected"], parameters["allowed"])
        hot.append(found)
    return sorted(hot, key=lambda one: (-int(str(one["percent"])), int(str(one["pid"]))))


def alive(process: dict[str, object]) -> bool:
    """Whether it is still the very process that was watched."""
    now = stat(int(str(process["pid"])))
    return now is not None and now[3] == process["start"]


def end(processes: list[dict[str, object]], grace: int) -> int:
    """Ask each to end, then force it; how many were ended."""
    asked = [one for one in processes if alive(one) and send(one, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while any(map(alive, asked)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for one in filter(alive, asked):
        send(one, signal.SIGKILL)
    return len(asked)


def send(process: dict[str, object], number: int) -> bool:
    try:
        os.kill(int(str(process["pid"])), number)
    except ProcessLookupError:
        return False
    return True


def difference(runaways: list[dict[str, object]]) -> dict[str, str]:
    """Without process ids and shares, so that a rehearsal and its run agree."""
    lines = sorted(f"{one['name']} of {one['unit'] or 'no unit'}: running hot" for one in runaways)
    return {"before": "\n".join([*lines, ""]), "after": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "share": {"type": "int", "required": True},
            "window": {"type": "int", "required": True},
            "allowed": {"type": "dict", "default": {}},
            "protected": {"type": "list", "elements": "str", "default": []},
            "grace": {"type": "int", "default": 5},
            "max": {"type": "int", "default": 10},
            "state": {"type": "str", "choices": ["read", "ended"], "default": "read"},
        },
        supports_check_mode=True,
    )
    for pattern in module.params["protected"]:
        try:
            re.compile(pattern)
        except re.error as error:
            module.fail_json(msg=f"protected has {pattern!r}, no regular expression: {error}.")
    hot = watch(module.params)
    runaways = of_kind("runaway", hot)
    if module.params["state"] == "read":
        module.exit_json(changed=False, hot=hot, ended=0, left=len(runaways))
    if why := refusal(hot, runaways, module.params["max"]):
        module.fail_json(msg=why, hot=hot)
    if module.check_mode or not runaways:
        found = {"diff": difference(runaways)} if runaways else {}
        module.exit_json(changed=bool(runaways), hot=hot, ended=0, left=0, **found)
    ended = end(runaways, module.params["grace"])
    left = len(of_kind("runaway", watch(module.params)))
    module.exit_json(changed=True, hot=hot, ended=ended, left=left, diff=difference(runaways))


def of_kind(kind: str, processes: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those of this kind."""
    return [one for one in processes if one["kind"] == kind]


def refusal(hot: list[dict[str, object]], runaways: list[dict[str, object]], most: int) -> str:
    """A sentence; empty where the runaways may be ended, or where nothing burns."""
    if hot and not runaways:
        names = ", ".join(dict.fromkeys(str(one["name"]) for one in hot))
        what = "what burns the processors is protected or belongs to its unit, and is not ended"
        return f"{what}: {names}."
    if len(runaways) > most:
        return f"{len(runaways)} processes are running away, more than {most}; a person must look."
    return ""


if __name__ == "__main__":
    main()
