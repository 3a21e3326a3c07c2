#!/usr/bin/python
"""Gives a file its content in one step, never through a link; knows check mode and diff."""

from __future__ import annotations

DOCUMENTATION = """
module: file_content
short_description: Gives a file its content in one step, never through a link
description:
  - Writes a new file beside the old one, with its owner and mode, and puts it in its place.
  - No link leads to the directory, and what is replaced is a regular file with one name.
  - Its diff is the same in check mode and in the run, and from run to run.
options:
  path: {description: The file., type: path, required: true}
  content: {description: All of its text., type: str, required: true}
  described:
    description: What the diff shows instead of the content, where every run makes another one.
    type: str
  mode:
    description: Octal mode of a file that did not exist; one that did keeps its own.
    type: str
    default: "0644"
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Configure the application
  runner.remediation.file_content:
    path: /srv/app/app.conf
    content: "port = 8080"
"""

RETURN = """
path: {description: The file., type: str, returned: success}
"""

import os
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    parent_of,
    shown,
    walk,
)

MOST = 1_000_000  #: bytes of the old content that are read


def old(folder: Directory, name: str) -> tuple[bytes | None, os.stat_result | None]:
    """Content and state of what is there; nothing where there is none. Raises Untrusted."""
    try:
        file = folder.file(name, shared=True)  # the diff shows it
    except FileNotFoundError:
        return None, None
    try:
        return os.read(file, MOST), os.fstat(file)
    finally:
        os.close(file)


def put(
    folder: Directory, name: str, content: bytes, mode: int, like: os.stat_result | None
) -> None:
    """Write it beside, and let it take the place."""
    fresh = f".{name}.new"
    if folder.has(fresh):  # of a run that was killed
        folder.unlink(fresh)
    file = folder.create(fresh)
    with os.fdopen(file, "wb") as target:
        target.write(content)
        target.flush()
        if like is not None:
            os.fchown(file, like.st_uid, like.st_gid)
        os.fchmod(file, mode if like is None else stat.S_IMODE(like.st_mode) & 0o777)
        os.fsync(file)
    folder.rename(fresh, name)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "described": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
        },
        supports_check_mode=True,
    )
    path, content = module.params["path"], module.params["content"].encode()
    described = module.params["described"]
    try:
        above, name = parent_of(path)
        with walk(above) as folder:
            before, like = old(folder, name)
            if before == content:
                module.exit_json(changed=False, path=path)
            if not module.check_mode:
                put(folder, name, content, int(module.params["mode"], 8), like)
    except Untrusted as why:
        module.fail_json(msg=f"{why}; nothing was written.")
    except OSError as error:
        module.fail_json(msg=f"{shown(path)}: {error.strerror}")
    diff = {
        "before_header": path,
        "after_header": path,
        "before": (before or b"").decode("utf-8", "replace"),
        "after": module.params["content"] if described is None else described,
    }
    module.exit_json(changed=True, path=path, diff=diff)


if __name__ == "__main__":
    main()
