#!/usr/bin/python
"""Rotates a log that is larger than it may be; knows check mode and diff."""

from __future__ import annotations

import gzip
import os
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule

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
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: the remediation runner's authors
"""

EXAMPLES = """
- name: Rotate
  oversize_log:
    path: /var/log/app.log
    method: copytruncate
    max_bytes: 104857600
"""

RETURN = """
bytes_before: {description: Size of the log before., type: int, returned: always}
bytes_after: {description: Size of the log after; in check mode 0., type: int, returned: always}
output: {description: What logrotate said., type: str, returned: when logrotate ran}
"""


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


def open_log(path: str) -> int:
    """A descriptor of the log; OSError where it is a link, ValueError where it is no plain file."""
    log = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    found = os.fstat(log)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(log)
        raise ValueError(f"{path} is not a file of its own")
    return log


def compress(log: int, path: str) -> None:
    """Writes a whole compressed copy, with the log's owner and mode, or leaves no file at all."""
    like = os.fstat(log)
    copy = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(os.dup(log), "rb") as source, os.fdopen(copy, "wb") as target:
            with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=6) as packed:
                shutil.copyfileobj(source, packed, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
            os.fchown(target.fileno(), like.st_uid, like.st_gid)
            os.fchmod(target.fileno(), stat.S_IMODE(like.st_mode))
    except OSError:
        os.unlink(path)
        raise


def copytruncate(path: str, keep: int) -> None:
    """Rotates without the writer's help. When anything fails, the log itself is still whole."""
    log = open_log(path)
    try:
        fresh = f"{path}.0.gz"
        if os.path.lexists(fresh):  # of a run that was killed
            os.unlink(fresh)
        compress(log, fresh)
        for number in range(keep - 1, -1, -1):
            if os.path.lexists(f"{path}.{number}.gz"):
                os.replace(f"{path}.{number}.gz", f"{path}.{number + 1}.gz")
        os.ftruncate(log, 0)
    finally:
        os.close(log)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["logrotate", "copytruncate"], "required": True},
            "config": {"type": "path"},
            "state_file": {"type": "path"},
            "max_bytes": {"type": "int", "required": True},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    path, method = module.params["path"], module.params["method"]
    try:
        before = os.lstat(path).st_size
        result = {"bytes_before": before, "bytes_after": before}
        if before <= module.params["max_bytes"]:
            module.exit_json(changed=False, **result)
        if method == "logrotate":
            result["output"] = logrotate(module)
        elif not module.check_mode:
            copytruncate(path, module.params["keep"])
        # After logrotate's `nocreate` there may be no log at all.
        there = not module.check_mode and os.path.lexists(path)
        result["bytes_after"] = os.lstat(path).st_size if there else 0
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{path} was not rotated: {error}")
    if not module.check_mode and result["bytes_after"] >= before:
        module.fail_json(msg=f"{method} left {path} as it was; does its file cover it?", **result)
    diff = {"before": f"{path}: too large\n", "after": f"{path}: rotated by {method}\n"}
    module.exit_json(changed=True, diff=diff, **result)


if __name__ == "__main__":
    main()
