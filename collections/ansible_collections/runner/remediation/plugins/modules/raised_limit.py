#!/usr/bin/python
"""Raises one limit that is nearly used up, within a bound, and has systemd set it back."""

from __future__ import annotations

DOCUMENTATION = """
module: raised_limit
short_description: Raises one limit that is nearly used up, within a bound and for a set time
description:
  - Reads how much of the limit is used. Below O(used_percent) nothing is done.
  - Otherwise the limit becomes O(factor) times as high, and O(most) at most. Before that a timer of
    systemd is set, which sets the older value back after O(keep_seconds), where it is still the one
    that was set here.
  - Fails before anything changes where the limit is as high as allowed already, and while an
    earlier raise is kept.
options:
  kind:
    description: The connections that netfilter tracks, or the open files of a unit's processes.
    type: str
    choices: [conntrack, open_files]
    required: true
  name: {description: "The unit, with O(kind=open_files).", type: str, default: ""}
  most: {description: What the limit may be at most., type: int, required: true}
  used_percent:
    description: How much of it must be used before it is raised.
    type: int
    default: 75
  factor: {description: How many times as high it becomes., type: int, default: 2}
  keep_seconds:
    description: After how long the older value is set back.
    type: int
    required: true
  systemd_run: {description: The systemd-run to call., type: str, default: systemd-run}
extends_documentation_fragment: [runner.remediation.modes, runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Let netfilter track more connections for four hours
  runner.remediation.raised_limit:
    kind: conntrack
    most: 1048576
    keep_seconds: 14400
  become: true
"""

RETURN = """
before:
  description: The limits before
  each with C(used) and C(limit).: None
  type: list
  returned: always
after: {description: The same at the end., type: list, returned: always}
enough:
  description: Whether less than O(used_percent) is used at the end.
  type: bool
  returned: always
timer:
  description: The timer that sets it back; empty without a change.
  type: str
  returned: always
"""

import json
import os
import re
import resource
import sys
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.processes import (
    family,
    processes,
)
from ansible_collections.runner.remediation.plugins.module_utils.units import ARGUMENTS, manager

CONNTRACK = "/proc/sys/net/netfilter"
#: What the timer runs: each value is set back only where it is still the one that was set here.
BACK = """
import json, resource, sys
for one in json.loads(sys.argv[1]):
    try:
        if "path" in one:
            with open(one["path"]) as file:
                same = int(file.read()) == one["new"]
            if same:
                with open(one["path"], "w") as file:
                    file.write(str(one["old"]))
            continue
        with open("/proc/{}/stat".format(one["pid"])) as file:
            start = int(file.read().rpartition(")")[2].split()[19])
        now = list(resource.prlimit(one["pid"], resource.RLIMIT_NOFILE))
        if start == one["start"] and now == one["new"]:
            resource.prlimit(one["pid"], resource.RLIMIT_NOFILE, tuple(one["old"]))
    except OSError as error:
        print(error, file=sys.stderr)
"""


class Refused(Exception):
    """A sentence: why nothing is raised."""


@dataclass(frozen=True)
class Limit:
    """One limit as it is now."""

    label: str  #: what it is the limit of, without numbers that differ from run to run
    used: int
    limit: int
    hard: int = 0  #: of a process
    pid: int = 0
    start: int = 0

    def share(self) -> float:
        """Percent that is used."""
        return 100 * self.used / self.limit if self.limit else 100.0

    def shown(self) -> dict[str, Any]:
        return {"label": self.label, "used": self.used, "limit": self.limit}


def number(path: str) -> int:
    with open(path) as file:
        return int(file.read())


def conntrack() -> list[Limit]:
    """Of the whole host. Raises Refused where netfilter tracks nothing."""
    try:
        used, limit = (number(f"{CONNTRACK}/nf_conntrack_{name}") for name in ("count", "max"))
    except (OSError, ValueError):
        raise Refused("this host tracks no connections: nf_conntrack_max cannot be read") from None
    return [Limit("nf_conntrack_max", used, limit)]


def open_files(module: AnsibleModule) -> list[Limit]:
    """Of each process of the unit. Raises Refused where it does not run."""
    name, keeper = module.params["name"], manager(module)
    unit = keeper.read(name)
    if not unit["known"] or not unit["active"]:
        raise Refused(f"{name} does not run ({unit['name']})")
    found, known = [], processes()
    for pid in family(unit["pid"], known):
        try:
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, ValueError):
            continue
        if soft != resource.RLIM_INFINITY:
            found.append(Limit(f"{name}: open files", used, soft, hard, pid, known[pid][1]))
    if not found:
        raise Refused(f"no process of {name} has a limit of open files that can be read")
    return found


def raised(one: Limit, given: dict[str, Any]) -> int:
    """What the limit becomes. Raises Refused where it is as high as allowed already."""
    if one.limit >= given["most"]:
        raise Refused(
            f"{one.label}: {one.used} of {one.limit} are used, and {given['most']} is the most "
            "that the inventory allows; a person must look"
        )
    return int(min(given["most"], one.limit * given["factor"]))


def change(one: Limit, new: int) -> dict[str, Any]:
    """What BACK needs to know."""
    if not one.pid:
        return {"path": f"{CONNTRACK}/{one.label}", "old": one.limit, "new": new}
    hard = one.hard if one.hard == resource.RLIM_INFINITY else max(one.hard, new)
    return {"pid": one.pid, "start": one.start, "old": [one.limit, one.hard], "new": [new, hard]}


def apply(what: dict[str, Any]) -> None:
    if "path" in what:
        with open(what["path"], "w") as file:
            file.write(str(what["new"]))
    elif processes().get(what["pid"], (0, -1))[1] == what["start"]:
        resource.prlimit(what["pid"], resource.RLIMIT_NOFILE, tuple(what["new"]))


def timer_of(given: dict[str, Any]) -> str:
    """The name of the timer, for systemd."""
    words = f"runner-limit-{given['kind']}-{given['name']}".rstrip("-")
    return re.sub(r"[^A-Za-z0-9.-]", "-", words)


def set_back_later(module: AnsibleModule, changes: list[dict[str, Any]]) -> None:
    """Have systemd do it, whatever becomes of this connection. Fails the module."""
    given = module.params
    program = module.get_bin_path(given["systemd_run"], required=True)
    status, out, err = module.run_command(
        [
            program,
            "--collect",
            f"--unit={timer_of(given)}",
            f"--on-active={given['keep_seconds']}s",
            "--timer-property=AccuracySec=1s",
            "--",
            sys.executable,
            "-I",
            "-c",
            BACK,
            json.dumps(changes),
        ]
    )
    if status:
        module.fail_json(msg=f"systemd-run: {(err or out).strip()}; nothing was raised.")


def is_kept(module: AnsibleModule) -> bool:
    """Whether an earlier raise has not been set back yet."""
    program = module.get_bin_path("systemctl")
    words = [program, "is-active", "--quiet", f"{timer_of(module.params)}.timer"]
    return bool(program) and module.run_command(words)[0] == 0


def difference(full: list[tuple[Limit, int]], given: dict[str, Any]) -> dict[str, str]:
    """The same for a dry run and its run: what is used is left out."""
    before = sorted({f"{one.label}: {one.limit}\n" for one, _ in full})
    kept = f"for {given['keep_seconds']} s"
    after = sorted({f"{one.label}: {new}, {kept}\n" for one, new in full})
    return {"before": "".join(before), "after": "".join(after)}


def read(module: AnsibleModule) -> list[Limit]:
    """Raises Refused."""
    return conntrack() if module.params["kind"] == "conntrack" else open_files(module)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["conntrack", "open_files"], "required": True},
            "name": {"type": "str", "default": ""},
            "most": {"type": "int", "required": True},
            "used_percent": {"type": "int", "default": 75},
            "factor": {"type": "int", "default": 2},
            "keep_seconds": {"type": "int", "required": True},
            "systemd_run": {"type": "str", "default": "systemd-run"},
            **ARGUMENTS,
        },
        supports_check_mode=True,
        required_if=[("kind", "open_files", ("name",))],
    )
    given = module.params
    try:
        before = read(module)
        full = [one for one in before if one.share() >= given["used_percent"]]
        changes = [(one, raised(one, given)) for one in full]
        if full and is_kept(module):
            raise Refused(f"{full[0].label} was raised already, until {timer_of(given)}.timer ends")
    except Refused as why:
        module.fail_json(msg=f"{why}; nothing was raised.")
    found: dict[str, Any] = {"before": [one.shown() for one in before], "timer": ""}
    if not changes:
        module.exit_json(changed=False, after=found["before"], enough=True, **found)
    diff = difference(changes, given)
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, after=found["before"], enough=False, **found)
    wanted = [change(one, new) for one, new in changes]
    set_back_later(module, wanted)
    found["timer"] = f"{timer_of(given)}.timer"
    try:
        for what in wanted:
            apply(what)
        after = read(module)
    except (OSError, ValueError, Refused) as error:
        module.fail_json(msg=f"the limit was not raised: {error}", **found)
    enough = all(one.share() < given["used_percent"] for one in after)
    module.exit_json(
        changed=True, diff=diff, after=[one.shown() for one in after], enough=enough, **found
    )


if __name__ == "__main__":
    main()
