#!/usr/bin/python
"""Fails unless only root and the acting user can change what is at the given paths."""

from __future__ import annotations

DOCUMENTATION = """
module: trusted_path
short_description: Fails unless only root and the acting user can change what is at given paths
description:
  - Walks each path from C(/) without following links, and fails with a sentence where somebody else
    can write to a directory on the way, or to what is there.
  - After it, in the same play, any module may act on these paths as the same user, because nobody
    less privileged can make or replace a name in them.
  - Nothing is changed. A path that does not exist is fine.
options:
  paths: {description: Absolute paths., type: list, elements: path, required: true}
  trusted_groups:
    description: Groups whose members are trusted like the acting user.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Changes nothing, and reports what would change.
    support: full
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Preflight | Nobody else can change the file
  runner.remediation.trusted_path:
    paths: [/etc/app/app.conf]
  become: true
"""

RETURN = """
paths: {description: The paths that were looked at., type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "trusted_groups": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        for path in module.params["paths"]:
            check(path, module.params["trusted_groups"])
    except Untrusted as why:
        module.fail_json(msg=f"{why}; nothing is done here as a more privileged user.")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=False, paths=module.params["paths"])


if __name__ == "__main__":
    main()
