#!/usr/bin/python
"""Reads the last lines of a log, never through a link."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    parent_of,
    shown,
    walk,
)

DOCUMENTATION = """
module: log_tail
short_description: Reads the last lines of a log, never through a link
description:
  - The log must be a regular file with one name, in a directory that no link leads to. Where
    somebody else can write to its directory, it must be a file that they may read themselves, or
    they could have private files of others shown.
  - What cannot be read is no error, and is told in RV(left_out).
options:
  path: {description: The log., type: path, required: true}
  lines: {description: How many at most., type: int, required: true}
  max_bytes: {description: Bytes from the end that are read at most., type: int, required: true}
attributes:
  check_mode: {support: full}
author: the remediation runner's authors
"""

EXAMPLES = """
- name: Read the end of the log
  runner.remediation.log_tail:
    path: /var/log/app.log
    lines: 50
    max_bytes: 65536
"""

RETURN = """
text: {description: The last lines., type: str, returned: always}
left_out: {description: Why nothing was read; empty where it was., type: str, returned: always}
"""


def tail(path: str, lines: int, most: int) -> str:
    """The last lines of the file. Raises Untrusted, OSError."""
    above, name = parent_of(path)
    with walk(above) as folder:
        log = folder.file(name, shared=True)
        try:
            size = os.fstat(log).st_size
            content = os.pread(log, most, max(0, size - most))
        finally:
            os.close(log)
    return b"\n".join(content.rstrip(b"\n").split(b"\n")[-lines:]).decode("utf-8", "replace")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "lines": {"type": "int", "required": True},
            "max_bytes": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    text, why = "", ""
    try:
        text = tail(*(module.params[key] for key in ("path", "lines", "max_bytes")))
    except Untrusted as said:
        why = str(said)
    except OSError as error:
        why = f"{shown(module.params['path'])}: {error.strerror}"
    module.exit_json(changed=False, text=text, left_out=why)


if __name__ == "__main__":
    main()
