#!/usr/bin/python
"""Reads which release is served, or serves an earlier one; knows check mode and diff."""

from __future__ import annotations

DOCUMENTATION = """
module: served_release
short_description: Reads which release is served, or serves an earlier one
description:
  - Releases are directories in one directory of an application; a link beside that one says which
    is served. A release with the file C(ROLLED_BACK) was rolled back.
  - Nothing is reached through a link, and the link that says what is served must lead to a plain
    name in the directory of releases.
  - V(rolled_back) first marks the release that is served, and then moves the link in one step.
options:
  root: {description: The application's directory., type: path, required: true}
  releases: {description: Name of the directory of releases in it., type: str, required: true}
  link: {description: Name of the link in it., type: str, required: true}
  target: {description: The release to serve instead; for V(rolled_back)., type: str}
  state:
    description: V(read) changes nothing.
    type: str
    choices: [read, rolled_back]
    default: read
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Serve the earlier release
  runner.remediation.served_release:
    root: /srv/app
    releases: releases
    link: current
    target: v1.9.0
    state: rolled_back
"""

RETURN = """
current: {description: The release that was served before., type: str, returned: always}
names: {description: The releases that are there., type: list, returned: always}
marked: {description: Those of them that were rolled back., type: list, returned: always}
left_out: {description: Directories that are no releases and why., type: list, returned: always}
"""

import os
import re
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    shown,
    walk,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
MARK = "ROLLED_BACK"
TEXT = b"Rolled back: see the incident that names this release.\n"


def served(root: Directory, link: str, releases: str) -> tuple[str, str]:
    """What the link says before the name of the release, and the name. Raises Untrusted."""
    try:
        target = root.link(link)
    except OSError:
        target = ""
    before, _, name = target.rpartition("/")
    if before not in (releases, f"./{releases}", os.path.join(root.path, releases)):
        name = ""
    if not NAME.fullmatch(name):
        path = shown(os.path.join(root.path, link))
        raise Untrusted(f"{path} is not a link to a directory in {shown(releases)}")
    return before, name


def look(folder: Directory) -> dict[str, list[str]]:
    """The releases in their directory."""
    found: dict[str, list[str]] = {"names": [], "marked": [], "left_out": []}
    for name in folder.names():
        if not NAME.fullmatch(name) or not stat.S_ISDIR(folder.look(name).st_mode):
            continue
        try:
            with folder.enter(name) as release:
                found["marked"] += [name] if release.has(MARK) else []
            found["names"].append(name)
        except (Untrusted, PermissionError) as why:
            found["left_out"].append(str(why))
    return found


def mark(folder: Directory, name: str, dry: bool) -> bool:
    """Put the file that says so into the release; False where there is no such release.

    Raises Untrusted, OSError.
    """
    if not folder.has(name):
        return False
    with folder.enter(name) as release:
        if release.has(MARK):
            return False
        if not dry:
            file = release.create(MARK)
            with os.fdopen(file, "wb") as target:
                target.write(TEXT)
                os.fchmod(file, 0o644)
    return True


def switch(root: Directory, link: str, target: str) -> None:
    """Let the link lead to the target, in one step. Raises OSError."""
    fresh = f".{link}.new"
    if root.has(fresh):  # of a run that was killed
        root.unlink(fresh)
    root.make_link(target, fresh)
    root.rename(fresh, link)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "releases": {"type": "str", "required": True},
            "link": {"type": "str", "required": True},
            "target": {"type": "str"},
            "state": {"type": "str", "choices": ["read", "rolled_back"], "default": "read"},
        },
        required_if=[("state", "rolled_back", ["target"])],
        supports_check_mode=True,
    )
    link, target = module.params["link"], module.params["target"]
    try:
        with walk(module.params["root"]) as root:
            before, current = served(root, link, module.params["releases"])
            with root.enter(module.params["releases"]) as folder:
                result = {"current": current, **look(folder)}
                if module.params["state"] == "read" or target == current:
                    module.exit_json(changed=False, **result)
                if target not in result["names"]:
                    module.fail_json(msg=f"there is no release {shown(target)}")
                marked = mark(folder, current, module.check_mode)
            if not module.check_mode:
                switch(root, link, f"{before}/{target}")
    except Untrusted as why:
        module.fail_json(msg=f"{why}; nothing is served instead.")
    except OSError as error:
        module.fail_json(msg=f"{module.params['root']}: {error}")
    written = f"{before}/{current}/{MARK}: {TEXT.decode()}" if marked else ""
    module.exit_json(
        changed=True,
        diff={
            "before": f"{link} -> {before}/{current}\n",
            "after": f"{link} -> {before}/{target}\n{written}",
        },
        **result,
    )


if __name__ == "__main__":
    main()
