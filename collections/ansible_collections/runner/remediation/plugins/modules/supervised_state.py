#!/usr/bin/python
"""Starts or stops one program of a supervisord; knows check mode and diff."""

from __future__ import annotations

DOCUMENTATION = """
module: supervised_state
short_description: Starts or stops one program of a supervisord
description:
  - Brings one program into a state with C(supervisorctl), and leaves it alone if it is there.
options:
  name: {description: The program., type: str, required: true}
  config:
    description: The supervisord.conf that knows it; nobody else may be able to change it.
    type: path
    required: true
  executable: {description: The supervisorctl to call., type: str, default: supervisorctl}
  state: {description: What it should do., type: str, choices: [started, stopped], required: true}
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Stop the program
  runner.remediation.supervised_state:
    name: etcd
    config: /etc/supervisor/supervisord.conf
    state: stopped
"""

RETURN = """
running: {description: Whether it runs now., type: bool, returned: always}
"""

import os
import re
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
)

_UP = re.compile(r"\b(RUNNING|STARTING)\b")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "config": {"type": "path", "required": True},
            "executable": {"type": "str", "default": "supervisorctl"},
            "state": {"type": "str", "choices": ["started", "stopped"], "required": True},
        },
        supports_check_mode=True,
    )
    name, wanted = module.params["name"], module.params["state"] == "started"
    try:
        check(module.params["config"])  # what supervisorctl reads there may run as root
    except Untrusted as why:
        module.fail_json(msg=f"{why}; supervisorctl is not asked.")
    beside = [os.path.dirname(sys.executable)]
    program = module.get_bin_path(module.params["executable"], required=True, opt_dirs=beside)

    def call(verb: str) -> str:
        _, out, err = module.run_command([program, "-c", module.params["config"], verb, name])
        return f"{out}{err}".strip()

    text = call("status")
    if "no such" in text or not text.startswith(name):
        module.fail_json(msg=f"supervisord does not answer for a program {name}: {text[-200:]}")
    running = bool(_UP.search(text))
    if running == wanted:
        module.exit_json(changed=False, running=running)
    if not module.check_mode:
        said = call("start" if wanted else "stop")
        if bool(_UP.search(call("status"))) != wanted:
            module.fail_json(msg=f"{name} is not {module.params['state']}: {said[-200:]}")
    words = {True: "running", False: "stopped"}
    difference = {"before": f"{name}: {words[running]}\n", "after": f"{name}: {words[wanted]}\n"}
    module.exit_json(changed=True, running=wanted, diff=difference)


if __name__ == "__main__":
    main()
