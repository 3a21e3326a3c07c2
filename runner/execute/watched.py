"""ansible-playbook with a watch over every file that it loads: `watched.py WATCH.json OPTIONS…`.

An audit hook is there before Ansible is, and goes with each worker that Ansible forks. A dry
run reports what it loads. A run that has a list is stopped before it loads anything else: the
open itself does not take place. Started by file; it imports nothing of the runner.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

_COMPILED = re.compile(r"(.*/)__pycache__/([^/]+)\.[a-z]+-\d+(?:\.opt-\w+)?\.pyc")


class Watch:
    """Told of every file that this process and its forks open.

    `roots` are the folders that are watched, `trusted` those that the runner itself made for
    this run, `ignored` what counts by its values and not by its files. `listed` are file →
    SHA-256 of all that may be loaded; None: everything may be, and is reported.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._roots = tuple(f"{os.path.realpath(root)}/" for root in spec["roots"])
        self._trusted = tuple(f"{os.path.realpath(root)}/" for root in spec["trusted"])
        self._ignored = tuple(f"{os.path.realpath(path)}/" for path in spec["ignored"])
        listed, self._strict = spec["listed"], spec["strict"]
        self._listed = (
            None if listed is None else {os.path.realpath(p): d for p, d in listed.items()}
        )
        self._report = os.open(spec["report"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._main, self._holder, self._began = os.getpid(), os.getppid(), time.time()
        self._library = tuple(
            f"{os.path.realpath(path)}/" for path in {os.path.dirname(os.__file__), sys.prefix}
        )
        self._plain = tuple({f"{os.path.dirname(os.__file__)}/", f"{sys.prefix}/"})
        named = {f"{root}/" for root in spec["roots"]} | set(self._roots)
        self._in_library = tuple(root for root in named if root.startswith(self._plain))
        self._seen: set[str] = set()
        self._inside = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event != "open" or getattr(self._inside, "looking", False):
            return
        path, _, flags = arguments
        reads = (flags or 0) & os.O_ACCMODE != os.O_WRONLY
        if reads and isinstance(path, str | bytes | os.PathLike):
            self._look(os.fsdecode(path), loader=False)

    def reads(self, path: str) -> None:
        """Ansible's own reader is about to read this file: variables, tasks, a template, a file."""
        self._look(path, loader=True)

    def _look(self, path: str, *, loader: bool) -> None:
        if path.startswith(self._plain) and not path.startswith(self._in_library):
            return  # quickly, since most of what is opened is Python's and Ansible's own
        self._inside.looking = True
        try:
            path = os.path.realpath(path)
            compiled = _COMPILED.fullmatch(path)
            if compiled and os.path.isfile(source := f"{compiled[1]}{compiled[2]}.py"):
                path = source  # it was made of that
            root = _longest(path, self._roots)
            ignored = _longest(f"{path}/", self._ignored) > root
            if ignored or path in self._seen or path.startswith(self._trusted):
                return
            watched = root > 0 or path in (self._listed or ())
            if not (watched or loader) or not os.path.isfile(path):
                return
            if not watched and path.startswith(self._library):
                return  # ansible-core's own: its version stands for it
            if self._listed is None:
                self._seen.add(path)
                self._write(loaded=path, digest=_digest(path))
            elif path not in self._listed:
                # Outside of the watched folders a play may read what it made itself a moment ago.
                if watched or (self._strict and os.stat(path).st_ctime < self._began):
                    self._stop(path, "the plan does not name it")
            elif _digest(path) != self._listed[path]:
                self._stop(path, "it is not what it was when the plan was made")
        finally:
            self._inside.looking = False

    def _stop(self, path: str, why: str) -> None:
        """End the whole run now: nothing may follow, whatever Ansible makes of an error."""
        self._write(refused=path, why=why)
        if os.getppid() == self._holder or os.getpid() != self._main:
            os.kill(self._holder, signal.SIGTERM)
        os.kill(self._main, signal.SIGKILL)
        os._exit(1)

    def _write(self, **line: str) -> None:
        os.write(self._report, json.dumps(line).encode() + b"\n")


def _longest(path: str, folders: tuple[str, ...]) -> int:
    """The length of the nearest of these folders that the path is in; 0 for none."""
    return max((len(folder) for folder in folders if path.startswith(folder)), default=0)


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def main() -> None:
    """Watch, then be ansible-playbook."""
    sys.dont_write_bytecode = True  # the folders that are watched are not ours to write into
    with open(sys.argv[1], "rb") as file:
        spec = json.load(file)
    watch, unread = Watch(spec), frozenset(spec.get("unread", ()))
    sys.argv[:2] = ["ansible-playbook"]
    sys.addaudithook(watch)
    from ansible.cli.playbook import main as play
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    def told(read: Callable[..., Any]) -> Callable[..., Any]:
        """A method of Ansible's reader that says first what it is about to read."""

        def reading(self: Any, name: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(name, str | bytes) and name:
                watch.reads(self.path_dwim(os.fsdecode(name)))
            return read(self, name, *arguments, **options)

        return reading

    for name in ("_get_file_contents", "get_real_file"):
        setattr(DataLoader, name, told(getattr(DataLoader, name)))
    if unread:  # one that does not answer would take all the time of the run
        parse = InventoryManager.parse_source
        InventoryManager.parse_source = lambda inventory, source, cache=False: (
            source not in unread and parse(inventory, source, cache=cache)
        )
    sys.exit(play())


if __name__ == "__main__":
    main()
