#!/usr/bin/python
"""Lets chrony keep the clock of a host again, and steps the clock within a bound only."""

from __future__ import annotations

DOCUMENTATION = """
module: kept_clock
short_description: Lets chrony keep the clock of a host again
description:
  - Asks chrony how the clock is. Where it is synchronised and within O(max_offset), nothing is
    done.
  - Where chrony does not run or does not answer, its unit is restarted. Where it has not
    synchronised, its sources are switched on and asked at once. Where it has, and the clock is
    further off, the clock is stepped, by O(max_step) at most and with O(min_sources) sources that
    chrony reaches and believes.
  - Fails before anything changes where the clock must be stepped and may not be.
options:
  name:
    description: The unit (systemd) or program (supervisord) of chrony.
    type: str
    required: true
  chronyc:
    description: The chronyc to call
    as a path or as a name in PATH.: None
    type: str
    default: chronyc
  max_offset: {description: Seconds that a clock may be off., type: float, default: 0.05}
  max_step:
    description: Seconds that the clock is stepped by at most; 0 means never.
    type: float
    default: 0
  min_sources: {description: Sources that must agree before a step., type: int, default: 2}
  settle_seconds: {description: Seconds until the clock must be kept., type: int, default: 30}
extends_documentation_fragment: [runner.remediation.modes, runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Let chrony keep the clock
  runner.remediation.kept_clock:
    name: chrony
    max_step: 30
  become: true
"""

RETURN = """
before:
  description: What chrony said, as C(answers), C(synchronised), C(offset) in seconds, C(sources).
  type: dict
  returned: always
after: {description: The same at the end., type: dict, returned: always}
actions: {description: What was or would be done, in words., type: list, returned: always}
kept:
  description: Whether the clock is synchronised and within the bound.
  type: bool
  returned: always
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.units import ARGUMENTS, manager

#: What may be needed, the worst first; a clock that is kept needs nothing.
NEEDS = ("restart", "ask", "step", "")
#: What the change brings, in the diff.
GOAL = "synchronised, within {max_offset:g} s"
#: As `chronyc sources` marks what it reaches and believes: the one it follows, and those beside it.
BELIEVED = ("*", "+")
UNSYNCHRONISED = "Not synchronised"

#: answers, synchronised, offset (seconds, without sign), sources (reached and believed).
View = "dict[str, Any]"

SILENT: View = {"answers": False, "synchronised": False, "offset": 0.0, "sources": 0}


def parse(tracking: str, sources: str) -> View:
    """What `chronyc -c tracking` and `chronyc -c sources` said. SILENT where it is unreadable."""
    fields = tracking.strip().split(",")
    try:
        offset = abs(float(fields[4]))
    except (IndexError, ValueError):
        return dict(SILENT)
    rows = [line.split(",") for line in sources.splitlines()]
    reached = [row for row in rows if len(row) > 5 and row[5] != "0" and row[1] in BELIEVED]
    return {
        "answers": True,
        "synchronised": fields[-1] != UNSYNCHRONISED,
        "offset": offset,
        "sources": len(reached),
    }


def size(offset: float) -> str:
    """A clock that drifts must not change the words, so this is the power of ten below it."""
    step = 1e-6
    while step < 1e6 and step * 10 <= offset * (1 + 1e-9):
        step *= 10
    return f"more than {step:.0e} s" if step < 1e-3 else f"more than {round(step, 3):g} s"


class Chrony:
    """The chrony of this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self._run = module.run_command
        self._program: str | None = module.get_bin_path(module.params["chronyc"])

    def read(self) -> View:
        """How the clock is now."""
        if not self._program:
            return dict(SILENT)
        status, tracking, _ = self._run([self._program, "-n", "-c", "tracking"])
        if status:
            return dict(SILENT)
        return parse(tracking, self._run([self._program, "-n", "-c", "sources"])[1])

    def order(self, *words: str) -> str:
        """What chronyc said against it; empty where it went well."""
        status, out, err = self._run([str(self._program), *words])
        return (err or out).strip() or f"exit status {status}" if status else ""


def needed(view: View, given: dict[str, Any]) -> str:
    """`restart`, `ask`, `step`, or nothing."""
    if not view["answers"]:
        return "restart"
    if not view["synchronised"]:
        return "ask"
    return "" if view["offset"] <= given["max_offset"] else "step"  # what is no number is too far


def refusal(view: View, given: dict[str, Any]) -> str:
    """Why the clock is not stepped; empty where it may be."""
    if not view["offset"] <= given["max_step"]:
        return (
            f"the clock is {view['offset']:.3f} s off, and may be stepped by "
            f"{given['max_step']:g} s at most"
        )
    if view["sources"] < given["min_sources"]:
        return (
            f"chrony reaches and believes {view['sources']} time sources, and "
            f"{given['min_sources']} must agree before the clock is stepped"
        )
    return ""


def said(name: str, view: View, given: dict[str, Any]) -> str:
    """A line of the diff."""
    state = {
        "restart": "chrony does not answer",
        "ask": "not synchronised",
        "step": f"synchronised, the clock is {size(view['offset'])} off",
        "": GOAL.format(**given),
    }[needed(view, given)]
    return f"{name}: {state}\n"


def heal(module: AnsibleModule, chrony: Chrony, keeper: Any, action: str) -> None:
    """Do it once. Fails the module where chrony or the manager refuses."""
    name = module.params["name"]
    if action == "restart":
        problem = keeper.restart(name)
    elif action == "ask":
        problem = chrony.order("online") or chrony.order("burst", "4/4")
    else:
        problem = chrony.order("makestep")
    if problem:
        module.fail_json(msg=f"{name}: {action} failed: {problem}")


def settled(chrony: Chrony, given: dict[str, Any], action: str) -> View:
    """The clock once it needs less than this action, or when the time is over."""
    deadline = time.monotonic() + given["settle_seconds"]
    while True:
        view = chrony.read()
        better = NEEDS.index(needed(view, given)) > NEEDS.index(action)
        if better or time.monotonic() >= deadline:
            return view
        time.sleep(1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "chronyc": {"type": "str", "default": "chronyc"},
            "max_offset": {"type": "float", "default": 0.05},
            "max_step": {"type": "float", "default": 0.0},
            "min_sources": {"type": "int", "default": 2},
            "settle_seconds": {"type": "int", "default": 30},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given, chrony, keeper = module.params, Chrony(module), manager(module)
    name = given["name"]
    unit = keeper.read(name)
    if not unit["known"]:
        module.fail_json(
            msg=f"{given['manager']} has no unit {name} ({unit['name']}); chrony does not keep "
            "the time of this host."
        )
    before = after = chrony.read() if unit["active"] else dict(SILENT)
    first = needed(before, given)
    if not first:
        module.exit_json(changed=False, before=before, after=after, actions=[], kept=True)
    if first == "step" and (why := refusal(before, given)):
        module.fail_json(msg=f"{name}: {why}; nothing was changed.", before=before)
    diff = {"before": said(name, before, given), "after": f"{name}: {GOAL.format(**given)}\n"}
    if module.check_mode:
        module.exit_json(
            changed=True, diff=diff, before=before, after=after, actions=[first], kept=False
        )
    actions: list[str] = []
    # A restarted chrony may have to be asked, and a synchronised one may still be off.
    for action in NEEDS[:-1]:
        if needed(after, given) != action:
            continue
        if action == "step" and (why := refusal(after, given)):
            module.fail_json(msg=f"{name}: {why}; done before: {actions}.", before=before)
        heal(module, chrony, keeper, action)
        actions.append(action)
        after = settled(chrony, given, action)
    kept = not needed(after, given)
    module.exit_json(
        changed=True, diff=diff, before=before, after=after, actions=actions, kept=kept
    )


if __name__ == "__main__":
    main()
