#!/usr/bin/python
"""Puts a data directory aside under another name, and removes old ones; knows check mode."""

from __future__ import annotations

DOCUMENTATION = """
module: data_aside
short_description: Puts a data directory aside, and removes what was put aside long ago
description:
  - Renames the directory to PATH.aside-TIME beside it, where TIME is when it was made or filled.
  - Directories of such a name that were put aside more than C(keep_days) ago are removed.
  - Nothing is reached through a link, and nothing in another mount is removed.
options:
  path: {description: The data directory., type: path, required: true}
  keep_days: {description: How long what was put aside is kept., type: int, default: 7}
  state:
    description: V(read) changes nothing.
    type: str
    choices: [read, aside]
    default: aside
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Put the data aside
  runner.remediation.data_aside:
    path: /var/lib/etcd/default
"""

RETURN = """
empty: {description: Whether there is no data., type: bool, returned: always}
aside: {description: Where the data is now; empty when there was none., type: str, returned: always}
removed: {description: What was removed., type: list, elements: str, returned: always}
"""

import os
import stat
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    parent_of,
    shown,
    walk,
)


def old(folder: Directory, data: str, keep_days: int, now: float) -> list[str]:
    """Names beside `data` of directories that were put aside more than `keep_days` ago.

    The time of the last change of the directory's own entry is when it was renamed.
    """
    prefix = f"{data}.aside-"
    found = []
    for name in folder.names():
        if name.startswith(prefix) and name[len(prefix) :].isdigit():
            info = folder.look(name)
            if stat.S_ISDIR(info.st_mode) and now - info.st_ctime > keep_days * 86400:
                found.append(name)
    return found


def filled(folder: Directory, data: str) -> int | None:
    """When the data directory was last filled; None where there is nothing in it."""
    if not folder.has(data):
        return None
    with folder.enter(data) as there:
        return int(folder.look(data).st_mtime) if there.names() else None


def run(module: AnsibleModule) -> None:
    """Ends the module. Raises Untrusted, OSError."""
    above, data = parent_of(module.params["path"])
    try:
        folder = walk(above)
    except FileNotFoundError:
        module.exit_json(changed=False, empty=True, aside="", removed=[])
    with folder:
        if not folder.path.strip("/"):
            raise Untrusted(f"/{shown(data)} is too short a path to be put aside")
        time_filled = filled(folder, data)
        empty = time_filled is None
        if module.params["state"] == "read":
            module.exit_json(changed=False, empty=empty, aside="", removed=[])
        aside = "" if empty else f"{data}.aside-{time_filled}"
        removed = old(folder, data, module.params["keep_days"], time.time())
        if not module.check_mode:
            for name in removed:
                folder.remove_tree(name)
            if aside:
                folder.rename(data, aside)
        paths = [os.path.join(folder.path, name) for name in removed]
        before = [module.params["path"], *paths] if aside else paths
        after = os.path.join(folder.path, aside) if aside else ""
        module.exit_json(
            changed=bool(before),
            empty=empty,
            aside=after,
            removed=paths,
            diff={"before": "".join(f"{n}\n" for n in before), "after": f"{after}\n" * bool(after)},
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "keep_days": {"type": "int", "default": 7},
            "state": {"type": "str", "choices": ["read", "aside"], "default": "aside"},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except Untrusted as why:
        module.fail_json(msg=f"{why}; the data stays where it is.")
    except OSError as error:
        module.fail_json(msg=f"{module.params['path']}: {error}")


if __name__ == "__main__":
    main()
