#!/usr/bin/python
"""Rotates a log that is larger than it may be; knows check mode and diff."""

from __future__ import annotations

DOCUMENTATION = """
module: oversize_log
short_description: Rotates a log that is larger than it may be
description:
  - With V(logrotate), forces logrotate on one of its files; in check mode it runs
    C(logrotate --debug), which only says what it would do.
  - With V(copytruncate), writes a compressed copy beside the log and then truncates the log, for
    services that keep it open. Lines that are written between the two are lost, as with logrotate's
    own copytruncate.
  - A log that is not too large is left alone.
  - The log must be a regular file with one name, in a directory that no link leads to. With
    V(logrotate), which goes by paths, nobody else may be able to replace a directory on the way.
options:
  path:
    description: The log.
    type: path
    required: true
  method:
    description: Who rotates.
    type: str
    choices: [logrotate, copytruncate]
    required: true
  config:
    description: The file of logrotate that knows the log.
    type: path
  state_file:
    description: The state file of logrotate.
    type: path
  max_bytes:
    description: A log of this size or less is left alone.
    type: int
    required: true
  keep:
    description: Compressed copies that V(copytruncate) keeps.
    type: int
    default: 5
  trusted_groups:
    description: Groups whose members are trusted with the directories that they may write to.
    type: list
    elements: str
    default: []
  state:
    description: V(read) changes nothing, and fails where the log must not be rotated.
    type: str
    choices: [read, rotated]
    default: rotated
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Rotate
  runner.remediation.oversize_log:
    path: /var/log/app.log
    method: copytruncate
    max_bytes: 104857600
"""

RETURN = """
bytes_before: {description: Size of the log before., type: int, returned: always}
bytes_after: {description: Size of the log after; in check mode 0., type: int, returned: always}
output: {description: What logrotate said., type: str, returned: when logrotate ran}
"""

import gzip
import os
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    check,
    parent_of,
    shown,
    walk,
)


def logrotate(module: AnsibleModule) -> str:
    """Output of logrotate on its one file; forced for real, or only described in check mode."""
    params = module.params
    if not params["config"]:
        module.fail_json(msg=f"{params['path']}: the method logrotate needs the file of logrotate.")
    program = module.get_bin_path("logrotate", required=True, opt_dirs=["/usr/sbin"])
    command = [program, "--debug" if module.check_mode else "--verbose", "--force"]
    if params["state_file"]:
        command += ["--state", params["state_file"]]
    status, out, err = module.run_command([*command, params["config"]])
    if status:
        module.fail_json(msg=f"logrotate failed on {params['config']}: {(out + err)[-2000:]}")
    return str(out + err)[-4000:]


def compress(folder: Directory, log: int, name: str) -> None:
    """Writes a whole compressed copy, with the log's owner and mode, or leaves no file at all."""
    like = os.fstat(log)
    copy = folder.create(name)
    try:
        with os.fdopen(os.dup(log), "rb") as source, os.fdopen(copy, "wb") as target:
            with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=6) as packed:
                shutil.copyfileobj(source, packed, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
            os.fchown(target.fileno(), like.st_uid, like.st_gid)
            os.fchmod(target.fileno(), stat.S_IMODE(like.st_mode))
    except OSError:
        folder.unlink(name)
        raise


def copytruncate(folder: Directory, name: str, keep: int) -> None:
    """Rotates without the writer's help. When anything fails, the log itself is still whole."""
    log = folder.file(name, os.O_RDWR)
    try:
        fresh = f"{name}.0.gz"
        if folder.has(fresh):  # of a run that was killed
            folder.unlink(fresh)
        compress(folder, log, fresh)
        for number in range(keep - 1, -1, -1):
            if folder.has(f"{name}.{number}.gz"):
                folder.rename(f"{name}.{number}.gz", f"{name}.{number + 1}.gz")
        os.ftruncate(log, 0)
    finally:
        os.close(log)


def size(folder: Directory, name: str) -> int:
    """Of the log. Raises Untrusted where it is no file of its own, OSError where it is missing."""
    log = folder.file(name)
    try:
        return os.fstat(log).st_size
    finally:
        os.close(log)


def rotate(module: AnsibleModule, folder: Directory, name: str) -> None:
    """Ends the module."""
    params = module.params
    path, method = params["path"], params["method"]
    if method == "logrotate":
        if not folder.fixed:
            raise Untrusted(
                f"somebody else can replace a directory above {shown(path)}, and logrotate goes "
                "by paths; use the method copytruncate"
            )
        for used in filter(None, (params["config"], params["state_file"])):
            check(used, params["trusted_groups"])  # what is in there runs as root
    before = size(folder, name)
    result = {"bytes_before": before, "bytes_after": before}
    if params["state"] == "read" or before <= params["max_bytes"]:
        module.exit_json(changed=False, **result)
    if method == "logrotate":
        result["output"] = logrotate(module)
    elif not module.check_mode:
        copytruncate(folder, name, params["keep"])
    # After logrotate's `nocreate` there may be no log at all.
    there = not module.check_mode and folder.has(name)
    result["bytes_after"] = folder.look(name).st_size if there else 0
    if not module.check_mode and result["bytes_after"] >= before:
        module.fail_json(msg=f"{method} left {path} as it was; does its file cover it?", **result)
    diff = {"before": f"{path}: too large\n", "after": f"{path}: rotated by {method}\n"}
    module.exit_json(changed=True, diff=diff, **result)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["logrotate", "copytruncate"], "required": True},
            "config": {"type": "path"},
            "state_file": {"type": "path"},
            "max_bytes": {"type": "int", "required": True},
            "keep": {"type": "int", "default": 5},
            "trusted_groups": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["read", "rotated"], "default": "rotated"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        above, name = parent_of(path)
        with walk(above, module.params["trusted_groups"]) as folder:
            rotate(module, folder, name)
    except Untrusted as why:
        module.fail_json(msg=f"{shown(path)} was not rotated: {why}")
    except OSError as error:
        module.fail_json(msg=f"{shown(path)} was not rotated: {error.strerror}")


if __name__ == "__main__":
    main()
