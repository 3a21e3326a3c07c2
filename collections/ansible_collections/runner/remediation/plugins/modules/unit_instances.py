#!/usr/bin/python
"""Starts or stops instances of a service, until as many run as are wanted."""

from __future__ import annotations

DOCUMENTATION = """
module: unit_instances
short_description: Starts or stops instances of a service, until as many run as are wanted
description:
  - Instances are units that differ by a number only, such as C(worker@1) and C(worker@2), or
    programs of supervisord such as C(worker:worker_01). Those with the lowest numbers run.
  - Without O(wanted), O(step) more than run now are wanted, and no more than O(max).
  - It fails before it changes anything where O(wanted) lies outside of O(min) and O(max), where as
    many run as may, where an instance has failed, since that one needs a restart rather than help,
    where an instance that it would start does not exist, and where the host is short of memory.
  - What was started must stay up as the same process for O(settle_seconds); whether it did is
    RV(healthy), which is no failure of the module.
options:
  name:
    description: The unit or program, with C({id}) in the place of the number.
    type: str
    required: true
  first: {description: The lowest number., type: int, default: 1}
  digits: {description: Digits that a number has at least., type: int, default: 1}
  min: {description: Instances that must run., type: int, required: true}
  max: {description: Instances that may run., type: int, required: true}
  wanted:
    description: Instances that are to run; 0 means O(step) more than now.
    type: int
    default: 0
  step: {description: Instances that are added at once., type: int, default: 1}
  keep_memory:
    description: Percent of the host's memory that must be available before one is started.
    type: int
    default: 10
  settle_seconds:
    description: Seconds that what was started must stay up, as the same process.
    type: int
    default: 3
extends_documentation_fragment: [runner.remediation.modes, runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Run one more worker
  runner.remediation.unit_instances:
    name: worker@{id}
    min: 2
    max: 6
  become: true
"""

RETURN = """
before: {description: Names of the instances that ran before., type: list, returned: always}
after: {description: Names of those that run at the end., type: list, returned: always}
wanted: {description: How many are wanted., type: int, returned: always}
healthy:
  description: Whether as many run as are wanted, and what was started is the same process still.
  type: bool
  returned: always
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.units import (
    ARGUMENTS,
    State,
    manager,
)

_FAILED = ("failed", "FATAL", "BACKOFF", "NO ANSWER")  #: words of either manager


def instances(given: dict[str, Any]) -> list[str]:
    """The names of all that may run, the lowest number first."""
    numbers = range(given["first"], given["first"] + given["max"])
    return [given["name"].replace("{id}", str(n).zfill(given["digits"])) for n in numbers]


def memory_available(path: str = "/proc/meminfo") -> float:
    """Percent of the memory that programs can still have."""
    with open(path) as lines:
        said = dict(line.split(":", 1) for line in lines)
    available, total = (float(said[key].split()[0]) for key in ("MemAvailable", "MemTotal"))
    return 100 * available / total


def wanted(given: dict[str, Any], running: int) -> int:
    """How many are to run: what was asked for, or a step more, but not above the most."""
    more: int = min(running + given["step"], given["max"])
    return given["wanted"] or max(more, given["min"])


def refusal(given: dict[str, Any], states: dict[str, State], goal: int) -> str:
    """A sentence; empty where there may be as many as are wanted."""
    running = sum(state["active"] for state in states.values())
    failed = [name for name, state in states.items() if is_failed(state)]
    if not given["min"] <= goal <= given["max"]:
        return f"{goal} instances are not among {given['min']} to {given['max']}."
    if not given["wanted"] and running >= given["max"]:
        return f"{running} of at most {given['max']} instances run already; a person must look."
    if failed and goal > running:
        what = "restart it before others are added"
        return f"{', '.join(failed)} failed ({states[failed[0]]['name']}); {what}."
    missing = [name for name in _to_start(states, goal) if not states[name]["known"]]
    if missing:
        return f"{given['manager']} has no {', '.join(missing)} that it could start."
    if goal > running and memory_available() < given["keep_memory"]:
        return f"less than {given['keep_memory']} % of the memory is available; no room for more."
    return ""


def is_failed(state: State) -> bool:
    """Whether its manager gave it up, or lost it."""
    return any(word in state["name"].split("/") for word in _FAILED)


def _to_start(states: dict[str, State], goal: int) -> list[str]:
    """The lowest that do not run, as many as are missing."""
    resting = [name for name, state in states.items() if not state["active"]]
    return resting[: max(0, goal - (len(states) - len(resting)))]


def _to_stop(states: dict[str, State], goal: int) -> list[str]:
    """The highest that run, as many as are too much."""
    running = [name for name, state in states.items() if state["active"]]
    return running[::-1][: max(0, len(running) - goal)]


def difference(states: dict[str, State], start: list[str], stop: list[str]) -> dict[str, str]:
    """Every instance, whether it runs, before and after; without process ids."""
    running = {name for name, state in states.items() if state["active"]}
    later = (running | set(start)) - set(stop)
    words = ("stopped", "running")
    return {
        side: "".join(f"{name}: {words[name in those]}\n" for name in states)
        for side, those in (("before", running), ("after", later))
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "first": {"type": "int", "default": 1},
            "digits": {"type": "int", "default": 1},
            "min": {"type": "int", "required": True},
            "max": {"type": "int", "required": True},
            "wanted": {"type": "int", "default": 0},
            "step": {"type": "int", "default": 1},
            "keep_memory": {"type": "int", "default": 10},
            "settle_seconds": {"type": "int", "default": 3},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = module.params
    keeper, names = manager(module), instances(given)
    states = {name: keeper.read(name) for name in names}
    before = [name for name in names if states[name]["active"]]
    goal = wanted(given, len(before))
    result = {"before": before, "wanted": goal}
    if why := refusal(given, states, goal):
        module.fail_json(msg=f"{given['name']}: {why}", **result)
    start, stop = _to_start(states, goal), _to_stop(states, goal)
    if not start and not stop:
        module.exit_json(changed=False, after=before, healthy=True, **result)
    diff = difference(states, start, stop)
    if module.check_mode:
        module.exit_json(changed=True, after=before, healthy=False, diff=diff, **result)
    for verb, each in ((keeper.start, start), (keeper.stop, stop)):
        for name in each:
            if said := verb(name):
                module.fail_json(msg=f"{name}: {said}", **result)
    first = {name: keeper.read(name)["pid"] for name in start}
    time.sleep(given["settle_seconds"])  # to fall over again
    later = {name: keeper.read(name) for name in names}
    after = [name for name in names if later[name]["active"]]
    healthy = len(after) == goal and all(later[name]["pid"] == first[name] for name in start)
    module.exit_json(changed=True, after=after, healthy=healthy, diff=diff, **result)


if __name__ == "__main__":
    main()
