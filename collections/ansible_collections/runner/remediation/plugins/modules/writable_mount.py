#!/usr/bin/python
"""Makes a file system writable again that an error has made read-only; probes its device first."""

from __future__ import annotations

DOCUMENTATION = """
module: writable_mount
short_description: Makes a file system writable again that an error has made read-only
description:
  - Reads how it is mounted. One that is writable is left alone.
  - Fails before anything changes where somebody else could lead the path of the mount point
    elsewhere, where it is read-only on purpose (its mount or fstab says so),
    where it is of a kind that is not in O(kinds), and where its device is read-only itself or
    cannot be read at some place that is tried.
  - Otherwise it is remounted. Where the kernel refuses that, as it does for ext4 after most errors,
    and O(repair) is set, it is unmounted, checked by C(fsck -p), and mounted as it was; not where
    it is mounted at another place, too, nor a btrfs, whose subvolume would not be found again.
  - Then a file without a name must be written there; whether it could be is RV(writable), which is
    no failure of the module.
options:
  path: {description: The mount point., type: str, required: true}
  repair: {description: Whether it may be unmounted and checked., type: bool, default: false}
  kinds:
    description: Kinds of file systems that are remounted.
    type: list
    elements: str
    default: [btrfs, ext2, ext3, ext4, f2fs, xfs]
  mount: {description: The mount to call., type: str, default: mount}
  mountinfo:
    description: Where the mounts are listed.
    type: path
    default: /proc/self/mountinfo
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Make it writable again
  runner.remediation.writable_mount:
    path: /srv/data
    repair: true
  become: true
"""

RETURN = """
before: {description: How it was, in words., type: str, returned: always}
done: {description: "C(remounted), C(checked) or nothing.", type: str, returned: always}
errors:
  description: Errors that ext4 has counted; -1 where it is not known.
  type: int
  returned: always
writable: {description: Whether a file could be written at the end., type: bool, returned: always}
"""

import os
import stat
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.mounts import Mount, mounted
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
    shown,
    split,
)

FSTAB = "/etc/fstab"
PLACES, BLOCK = 64, 4096  #: of the device that are tried
CLEAN = (0, 1)  #: what fsck ends with: no errors, or all corrected


class Refused(Exception):
    """A sentence: why it stays as it is."""


def find(path: str, mountinfo: str) -> Mount:
    """What is mounted there. Raises Refused."""
    normal = "/" + "/".join(split(path))
    found = [one for one in mounted(mountinfo) if one.path == normal]
    if not found:
        raise Refused(f"{shown(normal)} is no mount point of this host")
    return found[-1]


def is_read_only(one: Mount) -> bool:
    """Whether the file system is, be it its mount or the kernel after an error."""
    return "ro" in one.options | one.super_options or "emergency_ro" in one.super_options


def in_fstab(path: str) -> list[str]:
    """The fields of its line; empty where there is none."""
    try:
        with open(FSTAB) as file:
            rows = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return []
    return next(
        (row for row in rows if len(row) > 3 and row[1].rstrip("/") == path.rstrip("/")), []
    )


def refuse_what_is_meant(one: Mount, kinds: list[str]) -> None:
    """An error makes the file system read-only and never its mount. Raises Refused, Untrusted."""
    check(os.path.dirname(one.path))  # whoever could put another directory there chooses the mount
    if one.kind not in kinds:
        raise Refused(f"{shown(one.path)} is a {one.kind}, which is not remounted here")
    if "ro" in one.options:
        raise Refused(f"{shown(one.path)} was mounted read-only by somebody, and not by an error")
    line = in_fstab(one.path)
    if line and "ro" in line[3].split(","):
        raise Refused(f"{shown(one.path)} is read-only on purpose: {FSTAB} says so")


def probe(one: Mount) -> None:
    """Read some places of the device, past what is in memory. Raises Refused."""
    try:
        device = os.stat(one.source)
    except OSError:
        return  # a file system without a device, or one that is made of several
    if not stat.S_ISBLK(device.st_mode):
        return
    number = f"{os.major(device.st_rdev)}:{os.minor(device.st_rdev)}"
    if text(f"/sys/dev/block/{number}/ro") == "1":
        raise Refused(f"the device {shown(one.source)} is read-only itself; look at the disk")
    fd = os.open(one.source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        os.posix_fadvise(fd, 0, size, os.POSIX_FADV_DONTNEED)
        for place in range(PLACES):
            os.pread(fd, BLOCK, (size - BLOCK) * place // (PLACES - 1) // BLOCK * BLOCK)
    except OSError as error:
        raise Refused(f"the device {shown(one.source)} cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)


def errors(one: Mount) -> int:
    said = text(f"/sys/fs/ext4/{os.path.basename(one.source)}/errors_count")
    return int(said) if said.isdigit() else -1


def text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def remount(module: AnsibleModule, one: Mount) -> str:
    """Empty where it worked; else what mount said."""
    return called(module, mount_program(module), "-o", "remount,rw", one.path)


def refuse_what_cannot_be_checked(one: Mount, mountinfo: str) -> None:
    """What would stay unmounted, or be mounted as another. Raises Refused."""
    if one.kind == "btrfs":
        raise Refused(f"{shown(one.path)} is a btrfs, which is not unmounted and checked here")
    others = [
        other.path
        for other in mounted(mountinfo)
        if (other.device == one.device or other.source == one.source)
        and (other.number, other.path) != (one.number, one.path)
    ]
    if others:
        raise Refused(f"{shown(one.path)} is mounted at {shown(others[0])}, too")


def check_and_mount(module: AnsibleModule, one: Mount) -> None:
    """Unmount, check, and mount as it was. Fails the module with what is true then."""
    if said := called(module, program(module, "umount"), one.path):
        module.fail_json(msg=f"{shown(one.path)} is in use and cannot be checked: {said}")
    status, out, err = module.run_command([program(module, "fsck"), "-p", one.source])
    if status not in CLEAN:
        said = f"fsck ended with {status}: {(out + err).strip()[-500:]}"
        module.fail_json(msg=f"{shown(one.path)} is unmounted, and stays so: {said}")
    words = [one.path] if in_fstab(one.path) else as_it_was(one)
    if said := called(module, mount_program(module), *words):
        module.fail_json(msg=f"{shown(one.path)} was checked, and cannot be mounted: {said}")


def as_it_was(one: Mount) -> list[str]:
    """The words of mount for what no fstab describes."""
    kept = [option for option in sorted(one.super_options) if option.startswith("errors=")]
    return ["-t", one.kind, "-o", ",".join([*sorted(one.options), *kept]), one.source, one.path]


def mount_program(module: AnsibleModule) -> str:
    return program(module, module.params["mount"])


def program(module: AnsibleModule, name: str) -> str:
    return str(module.get_bin_path(name, required=True))


def called(module: AnsibleModule, *words: str) -> str:
    """Empty where it worked; else what it said, in one line."""
    status, out, err = module.run_command(list(words))
    said = " ".join((err or out).split())[:500]
    return said or f"exit status {status}" if status else ""


def writable(path: str) -> bool:
    """Whether a file without a name can be written there, to the disk."""
    try:
        fd = os.open(path, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.write(fd, b"\0")
        os.fsync(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "repair": {"type": "bool", "default": False},
            "kinds": {
                "type": "list",
                "elements": "str",
                "default": ["btrfs", "ext2", "ext3", "ext4", "f2fs", "xfs"],
            },
            "mount": {"type": "str", "default": "mount"},
            "mountinfo": {"type": "path", "default": "/proc/self/mountinfo"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        one = find(given["path"], given["mountinfo"])
        found: dict[str, Any] = {"errors": errors(one), "before": "writable", "done": ""}
        if not is_read_only(one):
            module.exit_json(changed=False, writable=writable(one.path), **found)
        refuse_what_is_meant(one, given["kinds"])
        probe(one)
    except (Refused, Untrusted, OSError) as why:
        module.fail_json(msg=f"{why}; nothing was changed.")
    found["before"] = "read-only after an error"
    ways = "remounted, or unmounted, checked and mounted" if given["repair"] else "remounted"
    name = shown(one.path)
    diff = {"before": f"{name}: {found['before']}\n", "after": f"{name}: writable ({ways})\n"}
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, writable=False, **found)
    found["done"] = "remounted"
    if said := remount(module, one):
        if not given["repair"] or one.path == "/":
            module.fail_json(msg=f"{name} cannot be remounted: {said}", **found)
        try:
            refuse_what_cannot_be_checked(one, given["mountinfo"])
        except Refused as why:
            module.fail_json(msg=f"{name} cannot be remounted: {said}; {why}.", **found)
        check_and_mount(module, one)
        found["done"] = "checked"
    good = writable(one.path) and not is_read_only(find(one.path, given["mountinfo"]))
    module.exit_json(changed=True, diff=diff, writable=good, **found)


if __name__ == "__main__":
    main()
