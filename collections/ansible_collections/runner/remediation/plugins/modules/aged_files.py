#!/usr/bin/python
"""Lists or deletes aged files in allowed places, never through a link; knows check mode."""

from __future__ import annotations

DOCUMENTATION = """
module: aged_files
short_description: Lists or deletes aged files in allowed places, never through a link
description:
  - Looks for regular files with one name that match a place by name and age, the oldest first.
  - Fails before anything changes where a place is a link or is reached through one, lies outside of
    O(roots) or in O(never), or, with O(mountpoint), on another file system.
  - Every directory is opened without following links and stays open, so that nobody who may write
    there can lead the deletion elsewhere. Other mounts, directories of O(never), and directories
    that somebody else could have put where they are, are left out.
  - A file that was written since it was found is kept.
  - With O(free_inodes) only as many are deleted as are needed for that many free inodes.
options:
  places:
    description: Where to look; O(places[].min_age) as in M(ansible.builtin.find), such as 1d.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: What the place is called., type: str, required: true}
      path: {description: The directory., type: path, required: true}
      patterns: {description: Shell patterns of names., type: list, elements: str, required: true}
      min_age: {description: Time since it was last written., type: str, required: true}
      recurse: {description: Whether to look below., type: bool, default: false}
  chosen:
    description: Names out of O(places); each must be cleaned. Empty means all that can be.
    type: list
    elements: str
    default: []
  roots: {description: What every place must lie in., type: list, elements: path, required: true}
  never: {description: What is never looked into., type: list, elements: path, required: true}
  mountpoint:
    description: Only places on the file system that is mounted there; empty means any.
    type: str
    default: ""
  max_files: {description: How many at most., type: int, required: true}
  trusted_groups:
    description: Groups whose members are trusted with the directories that they may write to.
    type: list
    elements: str
    default: []
  free_inodes:
    description:
      - Percent of the inodes that should be free, on the file system of O(mountpoint), else on that
        of the first place. V(0) does not look at inodes.
    type: int
    default: 0
  counted:
    description: Whether the diff counts the files of each directory instead of naming them.
    type: bool
    default: false
  state:
    description: V(listed) changes nothing.
    type: str
    choices: [listed, absent]
    required: true
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Delete rotated logs
  runner.remediation.aged_files:
    places: [{name: rotated_logs, path: /var/log, patterns: ["*.gz"], min_age: 1d}]
    roots: [/var/log]
    never: [/var/log/audit]
    mountpoint: /var
    max_files: 500
    state: absent
"""

RETURN = """
places: {description: The names of the places that were looked at., type: list, returned: always}
files:
  description: The files that were found or deleted; their number, where O(counted) is set.
  type: raw
  returned: always
kept:
  description: The same of found files that are gone or written since.
  type: raw
  returned: always
left_out: {description: What was not looked into and why., type: list, returned: always}
freed_bytes: {description: Space that the files take or took., type: int, returned: always}
free_percent:
  description: Inodes that are free at the end, where O(free_inodes) is given.
  type: float
  returned: when O(free_inodes) is given
"""

import fnmatch
import heapq
import math
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.mounts import mounted
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    shown,
    split,
    walk,
)

AGE = re.compile(r"(\d+)([smhdw]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
DEEPEST = 32  #: directories below one another that are looked into
MOST_NAMES = 200_000  #: names that are looked at in all
MOST_SENTENCES = 20


class Refused(Exception):
    """A sentence: why nothing is done at all."""


@dataclass(frozen=True)
class Found:
    """A file that may go."""

    place: Directory
    names: tuple[str, ...]  #: of the directories below the place, and of the file
    look: os.stat_result

    @property
    def path(self) -> str:
        return os.path.join(self.place.path, *self.names)


def seconds(age: str) -> int:
    """Of a min_age such as 1d. Raises Refused."""
    match = AGE.fullmatch(age)
    if match is None:
        raise Refused(f"min_age {age!r} is not a number of s, m, h, d or w")
    return int(match[1]) * SECONDS[match[2]]


def inside(path: str, folder: str) -> bool:
    """Whether the path is the folder or lies in it, by its names."""
    names, above = split(path), split(folder)
    return names[: len(above)] == above


def identities(never: list[str]) -> set[tuple[int, int]]:
    """What the directories are, wherever a path leads to them; links are followed here."""
    found = set()
    for path in never:
        try:
            there = os.stat(path)
        except OSError:
            continue
        found.add((there.st_dev, there.st_ino))
    return found


def device_of(mountpoint: str) -> int:
    """The device of the file system that is mounted there. Raises Refused."""
    normal = "/" + "/".join(split(mountpoint))
    if normal not in {one.path for one in mounted()}:
        raise Refused(f"{shown(mountpoint)} is no mount point of this host")
    return os.stat(normal).st_dev


class Search:
    """One search of the places, which stay open until it ends."""

    def __init__(self, params: dict[str, Any], opened: ExitStack) -> None:
        self.params = params
        self.opened = opened
        self.never = identities(params["never"])
        self.now = time.time()
        self.left_out: list[str] = []
        self.seen = 0

    def open(self, path: str) -> Directory | None:
        """The directory of a place; None where there is none. Raises Refused, Untrusted."""
        if not any(inside(path, root) for root in self.params["roots"]):
            raise Refused(f"{shown(path)} is outside of the roots that may be cleaned")
        here = self.opened.enter_context(walk("/", self.params["trusted_groups"]))
        try:
            for name in split(path):
                here = self.opened.enter_context(here.enter(name))
                if here.identity in self.never:
                    raise Refused(f"{shown(path)} lies in {shown(here.path)}, which holds data")
        except FileNotFoundError:
            return None
        return here

    def places(self) -> dict[str, Directory]:
        """The places that are there and may be cleaned, by name. Raises Refused, Untrusted."""
        chosen = self.params["chosen"]
        device = device_of(self.params["mountpoint"]) if self.params["mountpoint"] else None
        found, elsewhere = {}, []
        for place in self.params["places"]:
            if chosen and place["name"] not in chosen:
                continue
            folder = self.open(place["path"])
            if folder is None:
                continue
            if device is None or folder.device == device:
                found[place["name"]] = folder
            else:
                points = {one.number: one.path for one in mounted()}
                point = points.get(folder.mount, "another one")
                elsewhere.append(f"{shown(folder.path)} is on {shown(point)}")
        if elsewhere and (chosen or not found):
            full = shown(self.params["mountpoint"])
            raise Refused(
                f"{full} is full, and cleaning elsewhere frees nothing there: "
                f"{'; '.join(elsewhere)}"
            )
        self.left_out += [f"{one}, not {self.params['mountpoint']}" for one in elsewhere]
        return found

    def files(self, folders: dict[str, Directory], most: int) -> list[Found]:
        """What may go, each file once, the oldest first, and not more than allowed."""
        found: dict[str, Found] = {}
        for place in self.params["places"]:
            if place["name"] in folders:
                folder = folders[place["name"]]
                for one in self.below(place, seconds(place["min_age"]), folder, folder, ()):
                    found.setdefault(one.path, one)
        return heapq.nsmallest(
            most, found.values(), key=lambda one: (one.look.st_mtime_ns, one.path)
        )

    def short_of(self, folders: dict[str, Directory]) -> int:
        """How many inodes must come free. Raises Refused where the file system counts none."""
        share = self.inodes(folders)
        wanted = self.params["free_inodes"]
        return max(0, math.ceil(share.f_files * wanted / 100) - share.f_favail)

    def inodes(self, folders: dict[str, Directory]) -> os.statvfs_result:
        """Of the file system that is looked at. Raises Refused where it counts none."""
        (first, *_) = folders.values()
        found = os.fstatvfs(first.fd)
        if not found.f_files:
            raise Refused(f"the file system of {shown(first.path)} does not count its inodes")
        return found

    def below(
        self,
        place: dict[str, Any],
        age: int,
        top: Directory,
        here: Directory,
        names: tuple[str, ...],
    ) -> Iterator[Found]:
        """The aged files of the place in an open directory."""
        for name in here.names(MOST_NAMES - self.seen + 1):
            self.seen += 1
            if self.seen > MOST_NAMES:
                self.note(f"{shown(here.path)}: more than {MOST_NAMES} names were looked at")
                return
            try:
                look = here.look(name)
                if stat.S_ISDIR(look.st_mode) and place["recurse"]:
                    with here.enter(name) as folder:
                        if self.may_enter(top, folder, len(names)):
                            yield from self.below(place, age, top, folder, (*names, name))
                elif (
                    stat.S_ISREG(look.st_mode)
                    and look.st_nlink == 1
                    and self.now - look.st_mtime >= age
                    and any(fnmatch.fnmatchcase(name, each) for each in place["patterns"])
                ):
                    yield Found(top, (*names, name), look)
            except FileNotFoundError:
                continue
            except (Untrusted, OSError) as why:
                self.note(str(why))

    def may_enter(self, top: Directory, folder: Directory, depth: int) -> bool:
        if folder.identity in self.never:
            return False
        if folder.mount != top.mount:
            self.note(f"{shown(folder.path)} is a mount of its own")
            return False
        if depth >= DEEPEST:
            self.note(f"{shown(folder.path)} lies too deep")
            return False
        return True

    def note(self, sentence: str) -> None:
        if len(self.left_out) < MOST_SENTENCES:
            self.left_out.append(sentence)


def remove(one: Found, dry: bool) -> bool:
    """Whether it was deleted, or would be; not where it is another file now, or written since."""
    with ExitStack() as opened:
        here = one.place
        try:
            for name in one.names[:-1]:
                here = opened.enter_context(here.enter(name))
            now = here.look(one.names[-1])
            if signature(now) != signature(one.look):
                return False
            if not dry:
                here.unlink(one.names[-1])
        except (FileNotFoundError, Untrusted):
            return False
    return True


def signature(look: os.stat_result) -> tuple[int, ...]:
    return (look.st_mode, look.st_ino, look.st_nlink, look.st_size, look.st_mtime_ns)


def main() -> None:
    place = {
        "name": {"type": "str", "required": True},
        "path": {"type": "path", "required": True},
        "patterns": {"type": "list", "elements": "str", "required": True},
        "min_age": {"type": "str", "required": True},
        "recurse": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "places": {"type": "list", "elements": "dict", "required": True, "options": place},
            "chosen": {"type": "list", "elements": "str", "default": []},
            "roots": {"type": "list", "elements": "path", "required": True},
            "never": {"type": "list", "elements": "path", "required": True},
            "mountpoint": {"type": "str", "default": ""},
            "max_files": {"type": "int", "required": True},
            "trusted_groups": {"type": "list", "elements": "str", "default": []},
            "free_inodes": {"type": "int", "default": 0},
            "counted": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["listed", "absent"], "required": True},
        },
        supports_check_mode=True,
    )
    listed = module.params["state"] == "listed"
    gone: list[Found] = []
    kept: list[Found] = []
    result: dict[str, Any] = {}
    with ExitStack() as opened:
        try:
            search = Search(module.params, opened)
            folders = search.places()
            most = module.params["max_files"]
            if module.params["free_inodes"] and folders:
                most = min(most, search.short_of(folders))
            for one in search.files(folders, most) if most else []:
                (gone if listed or remove(one, module.check_mode) else kept).append(one)
            if module.params["free_inodes"] and folders:
                share = search.inodes(folders)
                result["free_percent"] = round(100 * share.f_favail / share.f_files, 2)
        except (Refused, Untrusted) as why:
            module.fail_json(msg=f"{why}; nothing was deleted.")
        except OSError as error:
            module.fail_json(msg=f"{error}; deleted before: {len(gone)} files, {named(gone[:20])}")
    counted = module.params["counted"]
    result.update(
        places=list(folders),
        files=len(gone) if counted else named(gone),
        kept=len(kept) if counted else named(kept),
        left_out=search.left_out,
        freed_bytes=sum(one.look.st_blocks * 512 for one in gone),
    )
    if listed or not gone:
        module.exit_json(changed=False, **result)
    lines = counts(gone) if counted else named(gone)
    diff = {"before": "".join(f"{line}\n" for line in lines), "after": ""}
    module.exit_json(changed=True, diff=diff, **result)


def named(files: list[Found]) -> list[str]:
    return [shown(one.path) for one in files]


def counts(files: list[Found]) -> list[str]:
    """How many in each directory, to the first digit: files come and go until the run begins."""
    many = Counter(os.path.dirname(one.path) for one in files)
    return sorted(
        f"{shown(folder)}: about {round(n, 1 - len(str(n)))} files" for folder, n in many.items()
    )


if __name__ == "__main__":
    main()
