#!/usr/bin/python
"""Reads or restarts one program of a supervisord; knows check mode and diff."""

from __future__ import annotations

import os
import re
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
)

DOCUMENTATION = """
module: supervised_program
short_description: Reads or restarts one program of a supervisord
description:
  - Reads the state of one program with C(supervisorctl), and restarts it when asked to.
  - It needs no collection, and in check mode it says what a restart would do.
options:
  name:
    description: The program, as supervisord names it (C(program) or C(group:program)).
    type: str
    required: true
  config:
    description: The supervisord.conf that knows the program; nobody else may be able to change it.
    type: path
    required: true
  executable:
    description: The supervisorctl to call, as a path or as a name in PATH.
    type: str
    default: supervisorctl
  state:
    description: V(read) changes nothing; V(restarted) always restarts.
    type: str
    choices: [read, restarted]
    default: read
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: the remediation runner's authors
"""

EXAMPLES = """
- name: Restart the program
  runner.remediation.supervised_program:
    name: app
    config: /etc/supervisor/supervisord.conf
    state: restarted
"""

RETURN = """
known: {description: Whether supervisord has the program., type: bool, returned: always}
active: {description: Whether it is RUNNING., type: bool, returned: always}
state:
  description: In supervisord's words, and UNKNOWN (no such program), NO ANSWER (no supervisord).
  type: str
  returned: always
pid: {description: Of the process; 0 without one., type: int, returned: always}
"""

STATES = "STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN"
LINE = re.compile(rf"^(?P<name>\S+)\s+(?P<state>{STATES})\b(?:\s+pid (?P<pid>\d+))?")
NO_SUCH = "ERROR (no such"
MISSING_PROGRAM = 4  #: supervisorctl status: unknown name, or supervisord does not answer


def parse_status(name: str, text: str) -> dict[str, object]:
    """The state of `name` in the output of `supervisorctl status`; UNKNOWN where it is absent."""
    for line in text.splitlines():
        found = LINE.match(line)
        if found and found["name"] in (name, f"{name}:{name}"):
            state = found["state"]
            pid = int(found["pid"] or 0)
            return {"known": True, "active": state == "RUNNING", "state": state, "pid": pid}
    return {"known": False, "active": False, "state": "UNKNOWN", "pid": 0}


def locate(module: AnsibleModule) -> str:
    """The supervisorctl: as named, in PATH, or beside the interpreter (a virtual environment)."""
    return module.get_bin_path(
        module.params["executable"], required=True, opt_dirs=[os.path.dirname(sys.executable)]
    )


def call(module: AnsibleModule, executable: str, verb: str) -> tuple[int, str]:
    """Exit status and all output of one supervisorctl command on the program."""
    command = [executable, "-c", module.params["config"], verb, module.params["name"]]
    status, out, err = module.run_command(command)
    return status, f"{out}{err}".strip()


def read(module: AnsibleModule, executable: str) -> dict[str, object]:
    """The program's state; UNKNOWN without such a program, NO ANSWER without supervisord."""
    status, text = call(module, executable, "status")
    found = parse_status(module.params["name"], text)
    if status == MISSING_PROGRAM and NO_SUCH not in text:
        found["state"] = "NO ANSWER"
    return found


def restart(module: AnsibleModule, executable: str, before: dict[str, object]) -> dict[str, object]:
    """Restarts for real, except in check mode, where the state after is what a restart leads to."""
    if module.check_mode:
        return before | {"active": True, "state": "RUNNING"}
    _, text = call(module, executable, "restart")
    after = read(module, executable)
    if not after["active"]:
        module.fail_json(msg=f"{module.params['name']} did not start: {text}", **after)
    return after


def difference(name: str, before: dict[str, object]) -> dict[str, str]:
    """What a restart changes; without process ids, so that a rehearsal and its run agree."""
    return {"before": f"{name}: {before['state']}\n", "after": f"{name}: RUNNING, new process\n"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "config": {"type": "path", "required": True},
            "executable": {"type": "str", "default": "supervisorctl"},
            "state": {"type": "str", "choices": ["read", "restarted"], "default": "read"},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    if name.startswith("-") or name == "all" or name.endswith(":*"):
        module.fail_json(msg=f"{name!r} is not the name of one program.")
    try:
        check(module.params["config"])  # what supervisorctl reads there may run as root
    except Untrusted as why:
        module.fail_json(msg=f"{why}; supervisorctl is not asked.")
    executable = locate(module)
    before = read(module, executable)
    if module.params["state"] == "read":
        module.exit_json(changed=False, **before)
    if not before["known"]:
        module.fail_json(msg=f"supervisord has no program {name}.")
    after = restart(module, executable, before)
    module.exit_json(changed=True, diff=difference(name, before), **after)


if __name__ == "__main__":
    main()
