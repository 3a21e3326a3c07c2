"""Hosts on which somebody without privileges has made names, and roles that act there as root.

A host is a folder of this machine. All hosts of one role are played in one run of Ansible.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NOBODY = 65534
PRECIOUS = b"nobody may touch this\n" * 100

#: Swaps a directory and a link all the time, as the user who owns them.
SWAP = """
import os, sys, time
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[3]))
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end and os.getppid() != 1:
    try:
        os.rename("sub", "away"); os.rename("trap", "sub")
        os.rename("sub", "trap"); os.rename("away", "sub")
    except OSError:
        pass
"""

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_role:
            name: "runner.remediation.{{ role }}"
            tasks_from: "{{ start }}"
      rescue:
        - ansible.builtin.set_fact: {said: "{{ ansible_failed_result | to_json }}"}
    - ansible.builtin.copy:
        content: >-
          {%- set all = {} -%}
          {%- for host in ansible_play_hosts_all -%}
          {%- set _ = all.update({host: hostvars[host]['said']
          | default(hostvars[host]['__diagnostics']['facts']['log_not_read'] | default(''))}) -%}
          {%- endfor -%}
          {{ all | to_json }}
        dest: "{{ said_in }}"
        mode: "0600"
      run_once: true
"""


@dataclass(frozen=True)
class Hostile:
    """One host, before a role acts on it."""

    top: Path  #: of root; all else lies below
    victim: Path  #: what nothing may touch: `file`, and `file.gz`, which is old

    def theirs(self, name: str) -> Path:
        """A directory of nobody's."""
        path = self.top / name
        path.mkdir(parents=True, exist_ok=True)
        for each in (path, *path.parents):
            if each == self.top:
                break
            os.chown(each, NOBODY, NOBODY)
        return path

    def ours(self, name: str) -> Path:
        """A directory of root's."""
        path = self.top / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def file(self, name: str, content: bytes = b"old\n" * 1000, owner: int = NOBODY) -> Path:
        """An old file, in a directory that is there."""
        path = self.top / name
        path.write_bytes(content)
        os.chown(path, owner, owner)
        os.utime(path, (0, 0))
        return path

    def link(self, name: str, target: Path | str) -> Path:
        """A link of nobody's."""
        path = self.top / name
        path.symlink_to(target)
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return path

    def look(self) -> dict[str, Any]:
        """All that anybody could have done to the victim."""
        victim = self.victim.resolve()  # some hosts have it where a role looks
        return {
            str(path): (look.st_ino, look.st_mode, look.st_uid, look.st_nlink, look.st_size,
                        look.st_mtime_ns, look.st_ctime_ns)
            for path in sorted([victim, *victim.rglob("*")])
            for look in [path.lstat()]
        }  # fmt: skip


#: Prepares a host; gives the role's variables.
Prepare = Callable[[Hostile], Mapping[str, Any]]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of root's that everybody can pass through."""
    path = Path(tempfile.mkdtemp(prefix="hostile"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def made(folder: Path) -> Hostile:
    """A new host; what its victim holds is old, so that an aged file would go."""
    host = Hostile(folder / "host", folder / "victim")
    for path in (host.top, host.victim, host.victim / "sub"):
        path.mkdir(parents=True)
    for name in ("file", "file.gz", "app.log", "sub/file.gz", "sub/app.log"):
        (host.victim / name).write_bytes(PRECIOUS)
        os.utime(host.victim / name, (0, 0))
    return host


@contextmanager
def swapping(folder: Path, victim: Path, seconds: float = 900) -> Iterator[None]:
    """Nobody swaps `sub` of the folder, a directory, for a link to the victim, for the block."""
    (folder / "trap").symlink_to(victim)
    os.chown(folder / "trap", NOBODY, NOBODY, follow_symlinks=False)
    command = [sys.executable, "-I", "-c", SWAP, str(folder), str(seconds), str(NOBODY)]
    process = subprocess.Popen(command)
    try:
        time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def play(folder: Path, hosts: Mapping[str, Mapping[str, Any]], *options: str) -> dict[str, str]:
    """What each host said: how its role failed, as JSON; empty where it did not."""
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,  # it is root already
        "start": "main",
        "said_in": str(folder / "said.json"),
    }
    inventory = {"all": {"vars": common, "hosts": dict(hosts)}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "hosts.json").rename(folder / "hosts.yml")
    (folder / "play.yml").write_text(PLAY)
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", folder / "hosts.yml",
         folder / "play.yml", *options],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORKS": "4",
            "ANSIBLE_PIPELINING": "true",
        },
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, str] = json.loads((folder / "said.json").read_text())
    return said
