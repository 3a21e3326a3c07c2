#!/usr/bin/python
"""Extends a full file system on LVM by a step, within a bound."""

from __future__ import annotations

DOCUMENTATION = """
module: extended_filesystem
short_description: Extends a full file system on LVM by a step, within a bound
description:
  - A file system of which less than O(used) percent are used is left alone. Another one and its
    logical volume grow by the C(step) that the inventory sets for it, to its C(max) at most, while
    it is mounted, by C(lvextend --resizefs).
  - It fails before it changes anything where the file system is not on the list, is not mounted, is
    mounted read-only, is none of ext3, ext4 and xfs, does not lie on a plain linear or striped
    volume, is as large as it may be, and where its volume group has no room for the step.
options:
  mountpoint: {description: Where it is mounted., type: str, required: true}
  filesystems:
    description: Those that may be extended.
    type: list
    elements: dict
    required: true
    suboptions:
      mountpoint: {description: Where it is mounted., type: path, required: true}
      max: {description: "Size of the volume, such as 50G.", type: str, required: true}
      step: {description: "What it grows by at once, such as 10G.", type: str, required: true}
  used: {description: Percent of which it must be full., type: int, default: 80}
  timeout: {description: Seconds that lvextend may take., type: int, default: 300}
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Give the data more room
  runner.remediation.extended_filesystem:
    mountpoint: /srv/data
    filesystems:
      - {mountpoint: /srv/data, max: 200G, step: 20G}
  become: true
"""

RETURN = """
volume: {description: The volume group and the logical volume., type: str, returned: success}
size_before: {description: Bytes of the file system before., type: int, returned: success}
size_after: {description: The same at the end., type: int, returned: success}
used_percent: {description: How full it is at the end., type: int, returned: success}
enough: {description: Whether less than O(used) are used then., type: bool, returned: success}
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import shown

_TYPES = ("ext3", "ext4", "xfs")  #: that grow while they are mounted
_PLAIN = ("linear", "striped")
_MOUNTED = "TARGET,SOURCE,FSTYPE,OPTIONS,SIZE,USED,AVAIL"
_VOLUME = "vg_name,lv_name,lv_size,lv_attr,segtype,vg_free,vg_extent_size"


class Refused(Exception):
    """A sentence."""


def allowed(mountpoint: str, filesystems: list[dict[str, str]]) -> tuple[int, int]:
    """The most that it may have, and what it grows by, in bytes. Raises Refused."""
    for one in filesystems:
        if one["mountpoint"] == mountpoint:
            try:
                most, step = human_to_bytes(one["max"]), human_to_bytes(one["step"])
            except ValueError as error:
                raise Refused(f"{mountpoint}: {error}") from None
            if step <= 0:
                raise Refused(f"{mountpoint}: the step must be more than 0")
            return most, step
    known = ", ".join(one["mountpoint"] for one in filesystems) or "none"
    raise Refused(f"{shown(mountpoint)[:200]} may not be extended here; there are: {known}")


def mounted(module: Any, mountpoint: str) -> dict[str, Any]:
    """What is mounted there, sizes in bytes. Raises Refused."""
    words = ["--json", "--bytes", "--output", _MOUNTED, "--mountpoint", mountpoint]
    status, out, _ = module.run_command([module.get_bin_path("findmnt", required=True), *words])
    found = read("findmnt", out).get("filesystems", []) if not status else []
    if len(found) != 1:
        raise Refused(f"{mountpoint} is not the mount point of one file system of this host")
    one: dict[str, Any] = found[0]
    one |= {name: int(one[name] or 0) for name in ("size", "used", "avail")}
    if one["fstype"] not in _TYPES:
        raise Refused(f"{mountpoint} is {one['fstype']}, and none of {', '.join(_TYPES)}")
    if "ro" in one["options"].split(","):
        raise Refused(f"{mountpoint} is mounted read-only")
    return one


def read(program: str, out: str) -> dict[str, Any]:
    """What it answered in JSON. Raises Refused."""
    try:
        found = json.loads(out)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"the answer of {program} is no JSON: {shown(out.strip())[:200]}")
    return found


def share(one: dict[str, Any]) -> int:
    """Percent that are used, as df counts it: what is kept for root is not there."""
    there = one["used"] + one["avail"]
    return -(-100 * one["used"] // there) if there else 100


def volume(module: Any, mountpoint: str, source: str) -> dict[str, Any]:
    """The logical volume that it lies on, sizes in bytes. Raises Refused."""
    words = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options", _VOLUME, source]
    status, out, _ = module.run_command([module.get_bin_path("lvs", required=True), *words])
    reports = read("lvs", out).get("report", []) if not status else []
    rows = [row for report in reports for row in report.get("lv", [])]
    if not rows:
        raise Refused(f"{mountpoint} does not lie on a logical volume, but on {shown(source)}")
    one: dict[str, Any] = rows[0]  # a row for each segment
    kinds = {row["segtype"] for row in rows}
    if not kinds <= set(_PLAIN) or one["lv_attr"][0] != "-":
        kind = ", ".join(sorted(kinds))
        raise Refused(f"{mountpoint} lies on a volume that is no plain one ({kind})")
    return {**one, **{n: int(one[n]) for n in ("lv_size", "vg_free", "vg_extent_size")}}


def grown(mountpoint: str, found: dict[str, Any], most: int, step: int) -> int:
    """The size that the volume gets, in whole extents. Raises Refused."""
    extent, size = found["vg_extent_size"], found["lv_size"]
    more = min(step, most - size) // extent * extent
    if more <= 0:
        raise Refused(f"{mountpoint} has {said(size)}, and may have {said(most)} at most")
    if more > found["vg_free"]:
        free = f"{found['vg_name']} has {said(found['vg_free'])} free"
        raise Refused(f"{free}, and {mountpoint} would need {said(more)}")
    return int(size + more)


def said(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def extend(module: Any, name: str, size: int) -> None:
    """Let volume and file system grow. Raises Refused."""
    limit = [module.get_bin_path("timeout", required=True), str(module.params["timeout"])]
    words = ["--resizefs", "--size", f"{size}b", name]
    program = module.get_bin_path("lvextend", required=True)
    status, out, err = module.run_command([*limit, program, *words])
    if status:
        why = shown(" ".join((err or out).split()))[-500:]
        raise Refused(f"lvextend ended with {status}: {why}")


def heal(module: Any) -> None:
    """Ends the module. Raises Refused."""
    given = module.params
    mountpoint = given["mountpoint"]
    most, step = allowed(mountpoint, given["filesystems"])
    before = mounted(module, mountpoint)
    found = volume(module, mountpoint, before["source"])
    name = f"{found['vg_name']}/{found['lv_name']}"
    result = {"volume": name, "size_before": before["size"]}
    if share(before) < given["used"]:
        rest = {"size_after": before["size"], "used_percent": share(before), "enough": True}
        module.exit_json(changed=False, **result, **rest)
    size = grown(mountpoint, found, most, step)
    what = f"{mountpoint}, {before['fstype']} on {name}"
    diff = {
        "before": f"{what}: {said(found['lv_size'])}\n",
        "after": f"{what}: {said(size)} of {said(most)} at most\n",
    }
    if module.check_mode:
        rest = {"size_after": before["size"], "used_percent": share(before), "enough": False}
        module.exit_json(changed=True, diff=diff, **result, **rest)
    extend(module, name, size)
    after = mounted(module, mountpoint)
    if after["size"] <= before["size"]:
        raise Refused(f"{name} was extended, and {mountpoint} has no more room; grow it by hand")
    percent = share(after)
    rest = {"size_after": after["size"], "used_percent": percent, "enough": percent < given["used"]}
    module.exit_json(changed=True, diff=diff, **result, **rest)


def main() -> None:
    filesystem = {
        "mountpoint": {"type": "path", "required": True},
        "max": {"type": "str", "required": True},
        "step": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "mountpoint": {"type": "str", "required": True},
            "filesystems": {
                "type": "list", "elements": "dict", "required": True, "options": filesystem,
            },
            "used": {"type": "int", "default": 80},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )  # fmt: skip
    module.run_command_environ_update = {"LC_ALL": "C.UTF-8"}
    try:
        heal(module)
    except Refused as why:
        module.fail_json(msg=f"{why}; nothing more was done.")


if __name__ == "__main__":
    main()
