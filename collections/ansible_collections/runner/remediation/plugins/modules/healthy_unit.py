#!/usr/bin/python
"""Restarts one unit that is not healthy, and waits until it is."""

from __future__ import annotations

DOCUMENTATION = """
module: healthy_unit
short_description: Restarts one unit that is not healthy, and waits until it is
description:
  - Reads the unit's state, and asks the service itself where O(probe_url) is given. A healthy unit
    is left alone.
  - Any other one is restarted. Then it has to stay up as the same process for O(settle_seconds),
    and to answer; whether it did is RV(healthy), which is no failure of the module.
  - Looking, deciding, restarting and waiting are one module, since each task of a play costs a
    start of Python on the host.
options:
  name:
    description: The unit (systemd), or the program as supervisord names it.
    type: str
    required: true
  force:
    description: Whether a healthy unit is restarted too.
    type: bool
    default: false
  probe_url:
    description: URL (http or https) that a healthy unit answers; empty asks the manager only.
    type: str
    default: ""
  probe_status:
    description: HTTP status of a healthy answer.
    type: int
    default: 200
  probe_timeout:
    description: Seconds after which an unanswered probe means a hung unit.
    type: int
    default: 5
  settle_seconds:
    description: Seconds that the restarted unit must stay up, as the same process.
    type: int
    default: 3
  settle_retries:
    description: Further probes, one second apart, until the restarted unit must have answered.
    type: int
    default: 10
attributes:
  check_mode:
    description: Reads state and answer; leaves out the restart and the waiting.
    support: full
  diff_mode:
    description: Shows the state before, and the state that a restart must bring.
    support: full
extends_documentation_fragment: [runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Heal nginx
  runner.remediation.healthy_unit:
    name: nginx
    probe_url: http://127.0.0.1/health
  become: true
"""

RETURN = """
restarted: {description: Whether it was or would be restarted., type: bool, returned: always}
before:
  description: State before, as C(known), C(active), C(name) in the manager's words, and C(pid).
  type: dict
  returned: always
after: {description: The same at the end., type: dict, returned: always}
answers:
  description: Whether the service itself answered at the end; true where it is not asked.
  type: bool
  returned: always
healthy:
  description: Whether it runs, answers, and stayed the same process since the restart.
  type: bool
  returned: always
processes:
  description: The busiest processes before a restart, as ps shows them.
  type: list
  elements: str
  returned: always
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.units import (
    ARGUMENTS,
    State,
    busiest,
    manager,
)
from ansible_collections.runner.remediation.plugins.module_utils.urls import fetch

_PROCESSES = 10  #: lines of ps that are kept; a restart destroys this evidence


def answers(url: str, status: int, timeout: int) -> bool:
    """Whether this URL is answered with this status; no proxy is asked."""
    return fetch(url, timeout)[0] == status


def difference(name: str, before: State, answered: bool) -> dict[str, str]:
    """What a restart changes; without process ids, so that a dry run and its run agree."""
    said = "" if answered else ", no answer"
    return {
        "before": f"{name}: {before['name']}{said}\n",
        "after": f"{name}: active, a new process\n",
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "force": {"type": "bool", "default": False},
            "probe_url": {"type": "str", "default": ""},
            "probe_status": {"type": "int", "default": 200},
            "probe_timeout": {"type": "int", "default": 5},
            "settle_seconds": {"type": "int", "default": 3},
            "settle_retries": {"type": "int", "default": 10},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = module.params
    name, keeper = given["name"], manager(module)
    before = keeper.read(name)
    if not before["known"]:
        why = f"has no unit {name} that it could start ({before['name']})"
        module.fail_json(msg=f"{given['manager']} {why}.", before=before)
    answered = _asked(given, tries=1)
    needed = given["force"] or not before["active"] or not answered
    found = {"restarted": needed, "before": before, "processes": []}
    if not needed:
        module.exit_json(changed=False, after=before, answers=answered, healthy=True, **found)
    found["processes"] = busiest(module, _PROCESSES)
    shown = difference(name, before, answered)
    if module.check_mode:
        healthy = before["active"] and answered
        module.exit_json(
            changed=True, diff=shown, after=before, answers=answered, healthy=healthy, **found
        )
    if said := keeper.restart(name):
        module.fail_json(msg=f"{name} did not start: {said}", **found)
    first = keeper.read(name)
    time.sleep(given["settle_seconds"])  # to fall over again
    after = keeper.read(name)
    answered = _asked(given, tries=1 + given["settle_retries"])
    healthy = after["active"] and answered and after["pid"] == first["pid"]
    module.exit_json(
        changed=True, diff=shown, after=after, answers=answered, healthy=healthy, **found
    )


def _asked(given: dict[str, Any], tries: int) -> bool:
    """Whether the service answers, asked once a second; true where there is nothing to ask."""
    if not given["probe_url"]:
        return True
    for number in range(tries):
        if number:
            time.sleep(1)
        if answers(given["probe_url"], given["probe_status"], given["probe_timeout"]):
            return True
    return False


if __name__ == "__main__":
    main()
