#!/usr/bin/python
"""Puts a data directory aside under another name, and removes old ones; knows check mode."""

from __future__ import annotations

import os
import shutil
import stat
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: data_aside
short_description: Puts a data directory aside, and removes what was put aside long ago
description:
  - Renames the directory to PATH.aside-TIME beside it, where TIME is when it was made or filled.
  - Directories of such a name that were put aside more than C(keep_days) ago are removed.
options:
  path: {description: The data directory., type: path, required: true}
  keep_days: {description: How long what was put aside is kept., type: int, default: 7}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: the remediation runner's authors
"""

EXAMPLES = """
- name: Put the data aside
  data_aside:
    path: /var/lib/etcd/default
"""

RETURN = """
aside: {description: Where the data is now; empty when there was none., type: str, returned: always}
removed: {description: What was removed., type: list, elements: str, returned: always}
"""


def old(path: str, keep_days: int, now: float) -> list[str]:
    """Directories beside `path` that were put aside more than `keep_days` ago.

    The time of the last change of the directory's own entry is when it was renamed.
    """
    folder, prefix = os.path.dirname(path), f"{os.path.basename(path)}.aside-"
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        there = os.path.join(folder, name)
        info = os.lstat(there)
        if name.startswith(prefix) and name[len(prefix) :].isdigit() and stat.S_ISDIR(info.st_mode):
            if now - info.st_ctime > keep_days * 86400:
                found.append(there)
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "keep_days": {"type": "int", "default": 7},
        },
        supports_check_mode=True,
    )
    path = module.params["path"].rstrip("/")
    if os.path.islink(path) or len(path.split("/")) < 3:
        module.fail_json(msg=f"{path} is a link or too short a path to be put aside.")
    aside = ""
    if os.path.isdir(path) and os.listdir(path):
        aside = f"{path}.aside-{int(os.lstat(path).st_mtime)}"
    removed = old(path, module.params["keep_days"], time.time())
    before = [name for name in (path if aside else "", *removed) if name]
    if not module.check_mode:
        for there in removed:
            shutil.rmtree(there)
        if aside:
            os.rename(path, aside)
    module.exit_json(
        changed=bool(before),
        aside=aside,
        removed=removed,
        diff={"before": "".join(f"{n}\n" for n in before), "after": f"{aside}\n" if aside else ""},
    )


if __name__ == "__main__":
    main()
