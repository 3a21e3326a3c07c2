#!/usr/bin/python
"""Deletes listed files below given directories, never through a link; knows check mode and diff."""

from __future__ import annotations

import os
import stat

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: remove_aged
short_description: Deletes listed files below given directories, never through a link
description:
  - Deletes files that M(ansible.builtin.find) listed, all of them in one call.
  - Every directory on the way is opened without following links, so that nobody who may write there
    can lead the deletion elsewhere between the listing and now.
  - A file that was written since the listing is kept.
options:
  roots:
    description: Absolute directories, without links in their paths, that every file must lie below.
    type: list
    elements: path
    required: true
  files:
    description: Path of each file with its modification time in the listing, in seconds.
    type: dict
    required: true
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: the remediation runner's authors
"""

EXAMPLES = """
- name: Delete what was listed
  remove_aged:
    roots: [/var/log]
    files: "{{ found['files'] | items2dict(key_name='path', value_name='mtime') }}"
"""

RETURN = """
removed: {description: The files that were deleted., type: list, returned: always}
kept: {description: The listed files that are gone or written since., type: list, returned: always}
freed_bytes: {description: Space that the deleted files took., type: int, returned: always}
"""


class Outside(Exception):
    """The path does not lie below one of the roots."""


def split(path: str, roots: list[str]) -> tuple[str, list[str]]:
    """The root of `path` and the names below it; raises Outside."""
    for root in roots:
        below = path.removeprefix(root.rstrip("/") + "/")
        names = below.split("/")
        if below != path and not {"", ".", ".."} & set(names):
            return root, names
    raise Outside(path)


def open_parent(root: str, names: list[str]) -> int:
    """A descriptor of the directory of the last name; OSError where a link is in the way."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    here = os.open(root, flags)
    for name in names[:-1]:
        try:
            below = os.open(name, flags, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def remove(root: str, names: list[str], mtime: float, dry: bool) -> int | None:
    """Bytes freed by one deletion; None where the file is gone, no file, or written since."""
    try:
        parent = open_parent(root, names)
    except OSError:
        return None
    try:
        found = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or abs(found.st_mtime - mtime) > 0.001:
            return None
        if not dry:
            os.unlink(names[-1], dir_fd=parent)
        return found.st_blocks * 512 if found.st_nlink == 1 else 0
    except FileNotFoundError:
        return None
    finally:
        os.close(parent)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "roots": {"type": "list", "elements": "path", "required": True},
            "files": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    freed: dict[str, int] = {}
    kept: list[str] = []
    try:
        places = {path: split(path, module.params["roots"]) for path in module.params["files"]}
        for path, (root, names) in places.items():
            bytes_ = remove(root, names, float(module.params["files"][path]), module.check_mode)
            if bytes_ is None:
                kept.append(path)
            else:
                freed[path] = bytes_
    except Outside as error:
        module.fail_json(msg=f"{error} lies below none of the roots; nothing was deleted.")
    except OSError as error:
        module.fail_json(msg=f"{error}; deleted before: {sorted(freed)}")
    module.exit_json(
        changed=bool(freed),
        removed=list(freed),
        kept=kept,
        freed_bytes=sum(freed.values()),
        diff={"before": "".join(f"{path}\n" for path in freed), "after": ""},
    )


if __name__ == "__main__":
    main()
