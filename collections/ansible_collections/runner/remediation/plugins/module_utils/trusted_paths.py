"""Acting on files where somebody less privileged can make names: by descriptors, never by a path.

A walk begins at `/` and opens one directory after the other without following links. What is done
there is done through the descriptor of a directory, so nothing that happens to a path afterwards
leads it elsewhere. Root and the acting user are trusted, and so is the acting user's own group.
Whoever else may write to a directory, by owner, mode or access list, is one of its `writers`.

The rule, of which everything here follows: **where somebody else can write, only that is done which
they could do there themselves.**

- A link is never followed, whoever made it.
- From a directory that has writers, a walk goes only into one that the same writers may write to:
  they could have put it there, and must gain nothing by it. In a sticky directory only the owner of
  an entry, and that of the directory itself, can replace it.
- A file is a regular file with one name. It is opened, and worked on by its descriptor. Its name
  may be removed or replaced beside others in its directory; its owner and mode are never changed.
- What is in a file is read for others only where the writers of its directory may read it too.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DEEPEST = 64  #: directories below one another that a whole tree may have


class Untrusted(Exception):
    """A sentence: which name is not acted on, and why."""


class Directory:
    """An open directory, which stays the same whatever becomes of its path."""

    def __init__(self, path: str, fd: int, above: Directory | None, groups: frozenset[int]) -> None:
        self.path = path  #: how it was reached, for messages only
        self.fd = fd
        self.groups = groups  #: trusted ones, beside root's and the acting user's own
        found = os.fstat(fd)
        self.device = found.st_dev
        self.identity = (found.st_dev, found.st_ino)
        #: Who may make names here; nobody where it is empty.
        self.writers = _writers(found, f"/proc/self/fd/{fd}", groups)
        #: Who may put another entry in the place of one.
        sticky = found.st_mode & stat.S_ISVTX
        self.replacers = self.writers & {_user(found.st_uid)} if sticky else self.writers
        #: Whether nobody can lead its path elsewhere.
        self.fixed = above is None or (above.fixed and not above.can_replace(found))

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    @property
    def mount(self) -> str:
        """The number of the mount that it is in; a bind mount has one of its own."""
        with open(f"/proc/self/fdinfo/{self.fd}") as lines:
            return dict(line.split(":", 1) for line in lines)["mnt_id"].strip()

    def can_replace(self, found: os.stat_result) -> frozenset[str]:
        """Who can put something else in the place of this entry."""
        own = frozenset() if _is_ours(found.st_uid) else {_user(found.st_uid)}
        return self.replacers | own if self.writers else self.replacers

    def enter(self, name: str) -> Directory:
        """The directory of this name. Raises Untrusted, and OSError where there is none."""
        path = os.path.join(self.path, name)
        try:
            fd = os.open(_plain(name), _DIRECTORY, dir_fd=self.fd)
        except NotADirectoryError:
            if stat.S_ISLNK(self.look(name).st_mode):
                raise Untrusted(f"{shown(path)} is a link; name the place itself") from None
            raise Untrusted(f"{shown(path)} is not a directory") from None
        below = Directory(path, fd, self, self.groups)
        if not self.replacers <= below.replacers:
            os.close(fd)
            raise Untrusted(
                f"{words(self.replacers)} can write to {shown(self.path)} and could have put "
                f"{shown(name)} there, whose content belongs to others"
            )
        return below

    def names(self, most: int | None = None) -> list[str]:
        """The names in it, sorted; not more than `most`, whatever somebody has put there."""
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            with os.scandir(fd) as entries:
                return sorted(entry.name for entry in islice(entries, most))
        finally:
            os.close(fd)

    def look(self, name: str) -> os.stat_result:
        """What is under this name, a link as itself. Raises OSError where nothing is."""
        return os.stat(_plain(name), dir_fd=self.fd, follow_symlinks=False)

    def has(self, name: str) -> bool:
        """Whether anything is under this name."""
        try:
            self.look(name)
        except FileNotFoundError:
            return False
        return True

    def file(self, name: str, flags: int = os.O_RDONLY, *, shared: bool = False) -> int:
        """A descriptor of the regular file of this name, which has no second one.

        `shared`: what is read goes to people who may not read the file. Raises Untrusted, and
        OSError where there is none.
        """
        path = os.path.join(self.path, name)
        try:
            fd = os.open(_plain(name), flags | _FILE, dir_fd=self.fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Untrusted(f"{shown(path)} is a link; name the file itself") from None
            raise
        found = os.fstat(fd)
        why = _not_a_file_of_its_own(path, found)
        if shared and not _may_read(self.replacers, found):
            why = why or f"{words(self.replacers)} could have put {shown(path)} there unread"
        if why:
            os.close(fd)
            raise Untrusted(why)
        return fd

    def create(self, name: str, mode: int = 0o600) -> int:
        """A descriptor of a new file; FileExistsError where anything has the name."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        return os.open(_plain(name), flags, mode, dir_fd=self.fd)

    def link(self, name: str) -> str:
        """What the link of this name says. Raises OSError where it is none."""
        return os.readlink(_plain(name), dir_fd=self.fd)

    def make_link(self, target: str, name: str) -> None:
        """A new link; FileExistsError where anything has the name."""
        os.symlink(target, _plain(name), dir_fd=self.fd)

    def rename(self, old: str, new: str) -> None:
        """Another name for an entry, in the same directory; what had the name is replaced."""
        os.replace(_plain(old), _plain(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def unlink(self, name: str) -> None:
        """Remove the name of a file or a link."""
        os.unlink(_plain(name), dir_fd=self.fd)

    def remove_tree(self, name: str, depth: int = 0) -> None:
        """Remove a directory with all that is in it, in this mount.

        Raises Untrusted at the first directory that is not its writers' own, and OSError.
        """
        with self.enter(name) as below:
            if below.mount != self.mount or depth > _DEEPEST:
                raise Untrusted(f"{shown(below.path)} is a mount point, or nested too deeply")
            for each in below.names():
                if stat.S_ISDIR(below.look(each).st_mode):
                    below.remove_tree(each, depth + 1)
                else:
                    below.unlink(each)
        os.rmdir(name, dir_fd=self.fd)


def walk(path: str, groups: Iterable[str] = ()) -> Directory:
    """The directory at this absolute path, reached without links.

    `groups` names further groups that are trusted. Raises Untrusted, and OSError where a
    directory is missing.
    """
    here = Directory("/", os.open("/", _DIRECTORY), None, _gids(groups))
    for name in split(path):
        with here:
            here = here.enter(name)
    return here


def split(path: str) -> list[str]:
    """The names of an absolute path. Raises Untrusted where it is none."""
    names = [name for name in path.split("/") if name]
    if not path.startswith("/") or {".", ".."} & set(names) or "\0" in path:
        named = shown(path) or "an empty text"
        raise Untrusted(f"{named} is not an absolute path of plain names; no . and no ..")
    return names


def parent_of(path: str) -> tuple[str, str]:
    """The path of the directory, and the last name. Raises Untrusted where there is none."""
    names = split(path)
    if not names:
        raise Untrusted("/ is not the path of a file")
    return "/" + "/".join(names[:-1]), names[-1]


def check(path: str, groups: Iterable[str] = ()) -> None:
    """Raise Untrusted unless only root and the acting user can change what is at this path.

    Then any module may act on it. No name on the way may be a link, or be in a directory that
    has writers; nor may what is there be writable by others, or a file with a second name. What
    does not exist is fine, because nobody else can make it.
    """
    names = split(path)
    with ExitStack() as opened:
        here = opened.enter_context(walk("/", groups))
        for number, name in enumerate(names):
            there = os.path.join(here.path, name)
            if not here.has(name):
                _only_ours(here.path, here.writers)
                return
            found = here.look(name)
            _only_ours(here.path, here.can_replace(found))
            if number + 1 == len(names) and not stat.S_ISDIR(found.st_mode):
                if why := _not_a_file_of_its_own(there, found):
                    raise Untrusted(why)
                place = f"/proc/self/fd/{here.fd}/{name}"
                _only_ours(there, _writers(found, place, here.groups))
                return
            here = opened.enter_context(here.enter(name))
        _only_ours(here.path, here.writers)


def _only_ours(path: str, writers: frozenset[str]) -> None:
    if writers:
        raise Untrusted(f"{words(writers)} can write to {shown(path)}")


def _not_a_file_of_its_own(path: str, found: os.stat_result) -> str:
    """A sentence; empty where it is one."""
    if stat.S_ISLNK(found.st_mode):
        return f"{shown(path)} is a link; name the file itself"
    if not stat.S_ISREG(found.st_mode):
        return f"{shown(path)} is not a regular file"
    return "" if found.st_nlink == 1 else f"{shown(path)} has a second name"


def words(who: Iterable[str]) -> str:
    """Those who may write somewhere, by their names where this host has some."""
    return " and ".join(sorted(map(_named, who)))


def _named(one: str) -> str:
    kind, _, number = one.partition(" ")
    try:
        if kind == "user":
            return f"user {pwd.getpwuid(int(number)).pw_name}"
        if kind == "group":
            return f"group {grp.getgrgid(int(number)).gr_name}"
    except KeyError:
        pass
    return one


def shown(path: str) -> str:
    """The path in one line of printable characters, whatever was put into its names."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in path
    )


def _plain(name: str) -> str:
    """One name, never a path. Raises Untrusted."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise Untrusted(f"{shown(name)!r} is not a plain name")
    return name


def _user(uid: int) -> str:
    return f"user {uid}"


def _group(gid: int) -> str:
    return f"group {gid}"


def _gids(names: Iterable[str]) -> frozenset[int]:
    """The numbers of those groups that this host has."""
    found = set()
    for name in names:
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return frozenset(found)


def _is_ours(uid: int) -> bool:
    return uid in (0, os.geteuid())


def _writers(found: os.stat_result, place: str, groups: frozenset[int]) -> frozenset[str]:
    """Who else may write to it; `place` is its path, for its access list."""
    who = set()
    if not _is_ours(found.st_uid):
        who.add(_user(found.st_uid))
    if found.st_mode & stat.S_IWGRP:
        if found.st_gid not in {0, os.getegid(), *groups}:
            who.add(_group(found.st_gid))
        if _has_access_list(place):  # the bits are its mask: somebody in it may write
            who.add(f"somebody in the access list of inode {found.st_ino}")
    if found.st_mode & stat.S_IWOTH:
        who.add("everybody")
    return frozenset(who)


def _has_access_list(place: str) -> bool:
    try:
        os.getxattr(place, "system.posix_acl_access")
    except OSError:
        return False
    return True


def _may_read(who: frozenset[str], found: os.stat_result) -> bool:
    """Whether all of them may read the file, as far as its mode tells."""
    if found.st_mode & stat.S_IROTH:
        return True
    group = {_group(found.st_gid)} if found.st_mode & stat.S_IRGRP else set()
    return who <= {_user(found.st_uid), *group}
