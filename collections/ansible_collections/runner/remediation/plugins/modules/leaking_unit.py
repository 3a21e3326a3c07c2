#!/usr/bin/python
"""Restarts the unit that takes most of the memory, if that is allowed and was seen twice."""

from __future__ import annotations

DOCUMENTATION = """
module: leaking_unit
short_description: Restarts the unit that takes most of the memory, if it is allowed and seen twice
description:
  - Adds up the resident memory of the processes of each unit, without what they share with files
    and others, and looks once more after O(window) seconds. A unit is leaking where it is the
    largest both times, takes O(percent) of the memory, is still the same process, and has not
    become smaller.
  - That unit is restarted, and must stay up as the same process for O(settle_seconds) with less
    memory than it had; whether it did is RV(healthy), which is no failure of the module.
  - Fails before anything changes where the largest unit is not in O(allowed).
options:
  allowed:
    description: Units (systemd, with or without C(.service)) or programs (supervisord).
    type: list
    elements: str
    required: true
  percent:
    description: Share of the host's memory from which on a unit is leaking.
    type: float
    required: true
  window: {description: Seconds between the two looks., type: int, default: 30}
  settle_seconds:
    description: Seconds that the restarted unit must stay up.
    type: int
    default: 3
extends_documentation_fragment: [runner.remediation.modes, runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Restart what leaks
  runner.remediation.leaking_unit:
    allowed: [app]
    percent: 40
  become: true
"""

RETURN = """
unit: {description: The unit that is leaking; empty where none is., type: str, returned: always}
largest: {description: The largest units with C(unit) and C(percent)., type: list, returned: always}
percent_after: {description: Share of the restarted unit at the end., type: float, returned: always}
healthy: {description: Whether nothing leaks at the end., type: bool, returned: always}
processes: {description: The busiest processes before a restart., type: list, returned: always}
"""

import time
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.processes import (
    family,
    own_memory,
    processes,
    unit_of,
)
from ansible_collections.runner.remediation.plugins.module_utils.units import (
    ARGUMENTS,
    Supervisord,
    Systemd,
    busiest,
)

_PROCESSES = 10  #: lines of ps that are kept; a restart destroys this evidence
_LARGEST = 5  #: units that are reported


@dataclass(frozen=True)
class Share:
    """What one unit takes of the host's memory."""

    unit: str
    memory: int

    def percent(self) -> float:
        return 100 * self.memory / total()


def total() -> int:
    """Bytes of memory that this host has."""
    with open("/proc/meminfo") as file:
        (line,) = (each for each in file if each.startswith("MemTotal:"))
    return int(line.split()[1]) * 1024


def shares(keeper: Any) -> list[Share]:
    """Of each unit that the manager knows, the largest first; a process without one is left out."""
    known = processes()
    added: dict[str, int] = {}
    if isinstance(keeper, Supervisord):
        for program, pid in keeper.programs().items():
            added[program] = sum(map(own_memory, family(pid, known)))
    else:
        for pid in known:
            unit = unit_of(cgroup(pid))
            if unit:
                added[unit] = added.get(unit, 0) + own_memory(pid)
    found = [Share(unit, memory) for unit, memory in added.items()]
    return sorted(found, key=lambda one: (-one.memory, one.unit))


def cgroup(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            return file.read()
    except OSError:
        return ""


def is_allowed(unit: str, allowed: list[str]) -> bool:
    """Whether the inventory names it, with its ending or without."""
    return unit in allowed or (unit.endswith(".service") and unit[: -len(".service")] in allowed)


def leaking(keeper: Any, given: dict[str, Any]) -> tuple[Share | None, list[Share]]:
    """(the unit that is the largest twice, if it takes enough; all of the last look)."""
    first = shares(keeper)
    if not first or first[0].percent() < given["percent"]:
        return None, first
    pid = keeper.read(first[0].unit)["pid"]
    time.sleep(given["window"])
    second = shares(keeper)
    same = second and second[0].unit == first[0].unit and second[0].memory >= first[0].memory
    if not same or keeper.read(first[0].unit)["pid"] != pid:
        return None, second
    return second[0], second


def restarted(module: AnsibleModule, keeper: Systemd | Supervisord, unit: str) -> Share | None:
    """What the unit takes once it stayed up; None where it did not. Fails the module."""
    if said := keeper.restart(unit):
        module.fail_json(msg=f"{unit} did not start: {said}")
    first = keeper.read(unit)
    time.sleep(module.params["settle_seconds"])
    after = keeper.read(unit)
    if not after["active"] or after["pid"] != first["pid"]:
        return None
    return next((one for one in shares(keeper) if one.unit == unit), Share(unit, 0))


def shown(found: list[Share]) -> list[dict[str, Any]]:
    return [{"unit": one.unit, "percent": round(one.percent(), 1)} for one in found[:_LARGEST]]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "allowed": {"type": "list", "elements": "str", "required": True},
            "percent": {"type": "float", "required": True},
            "window": {"type": "int", "default": 30},
            "settle_seconds": {"type": "int", "default": 3},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = module.params
    keeper = Systemd(module) if given["manager"] == "systemd" else Supervisord(module)
    worst, all_of_them = leaking(keeper, given)
    found: dict[str, Any] = {"largest": shown(all_of_them), "percent_after": 0.0, "processes": []}
    if worst is None:
        module.exit_json(changed=False, unit="", healthy=True, **found)
    if not is_allowed(worst.unit, given["allowed"]):
        module.fail_json(
            msg=f"{worst.unit} takes {worst.percent():.0f} % of the memory, more than any other, "
            "and the inventory does not allow to restart it; nothing was restarted.",
            **found,
        )
    found.update(unit=worst.unit, processes=busiest(module, _PROCESSES))
    diff = {
        "before": f"{worst.unit}: the largest, with {given['percent']:g} % of the memory or more\n",
        "after": f"{worst.unit}: active, a new process\n",
    }
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, healthy=False, **found)
    after = restarted(module, keeper, worst.unit)
    if after is not None:
        found["percent_after"] = round(after.percent(), 1)
    healthy = after is not None and after.percent() < given["percent"]
    module.exit_json(changed=True, diff=diff, healthy=healthy, **found)


if __name__ == "__main__":
    main()
