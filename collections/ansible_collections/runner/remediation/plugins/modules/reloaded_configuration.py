#!/usr/bin/python
"""Lets a running service read its configuration again, once its own check accepts that."""

from __future__ import annotations

DOCUMENTATION = """
module: reloaded_configuration
short_description: Lets a running service read its configuration again, once that was checked
description:
  - Reads whether the unit runs, and whether its configuration is newer than what it has read; where
    O(metric_url) is given the service itself says whether its last reload failed.
  - The check runs as the user whom the service runs as, in check mode too. What it refuses is not
    loaded, and the module fails with its words.
  - Afterwards the same process must still run and, where it is asked, say that the reload worked.
    Whether it did is RV(loaded), which is no failure of the module.
options:
  name: {description: The unit (systemd) or program (supervisord)., type: str, required: true}
  check:
    description: The words of a command that ends with 0 for a good configuration.
    type: list
    elements: str
    required: true
  files:
    description: Files and directories that make up the configuration; a newer one must be loaded.
    type: list
    elements: path
    default: []
  metric_url:
    description: URL of metrics whose C(..._config_last_reload_successful) says how it went.
    type: str
    default: ""
  check_timeout: {description: Seconds after which a check has failed., type: int, default: 30}
  settle_seconds: {description: Seconds until the reload must have worked., type: int, default: 5}
extends_documentation_fragment: [runner.remediation.modes, runner.remediation.units]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Reload nginx
  runner.remediation.reloaded_configuration:
    name: nginx
    check: [nginx, -t]
    files: [/etc/nginx]
  become: true
"""

RETURN = """
before: {description: What the service has loaded before, in words., type: str, returned: always}
loaded:
  description: Whether it has loaded its configuration at the end.
  type: bool
  returned: always
said: {description: The last lines of the check., type: str, returned: always}
"""

import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.units import ARGUMENTS, manager
from ansible_collections.runner.remediation.plugins.module_utils.urls import fetch

METRIC = re.compile(r"^\w*config_last_reload_successful(?:\{[^}\n]*\})? (\S+)", re.MULTILINE)
MOST_METRICS = 4_000_000  #: bytes of metrics that are looked at
MOST_NAMES = 20_000  #: files of a configuration that are looked at
MOST_SAID = 65_536  #: bytes of what a check said that are kept
LINES, LONGEST = 10, 300  #: of what a check said
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Refused(Exception):
    """A sentence: why nothing is loaded."""


def last_reload(url: str) -> bool | None:
    """Whether the service says that its last reload worked; None where it says nothing."""
    found = METRIC.search(fetch(url, 5, MOST_METRICS)[1]) if url else None
    try:
        return float(found[1]) == 1 if found else None
    except ValueError:
        return None


def changed_at(files: list[str]) -> float:
    """When any of these files, or of those below them, changed last; 0 without one."""
    newest = 0.0
    for number, path in enumerate(below(files)):
        if number >= MOST_NAMES:
            break
        try:
            found = os.stat(path)
        except OSError:
            continue
        newest = max(newest, found.st_mtime, found.st_ctime)
    return newest


def below(files: list[str]) -> Iterator[str]:
    """Each path, and all that is in it; links are not walked."""
    for top in files:
        yield top
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                yield os.path.join(folder, name)


def user_of(pid: int) -> tuple[int, int]:
    """(user, group) that a process acts as. Raises OSError where it is gone."""
    with open(f"/proc/{pid}/status") as file:
        said = dict(line.split(":", 1) for line in file if ":" in line)
    return int(said["Uid"].split()[1]), int(said["Gid"].split()[1])


def become(uid: int, gid: int) -> None:
    """In the child, before the check: no more rights than the service itself has."""
    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        groups = [gid]
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)


def checked(words: list[str], pid: int, timeout: int) -> str:
    """What the check said of a good configuration. Raises Refused for any other."""
    program = shutil.which(words[0], path=f"{PATH}:{os.environ.get('PATH', '')}")
    if program is None:
        raise Refused(f"there is no program {words[0]} to check the configuration with")
    try:
        uid, gid = user_of(pid)
    except OSError:
        raise Refused("it ended meanwhile") from None
    lower = None if os.geteuid() or uid == 0 else lambda: become(uid, gid)
    with subprocess.Popen(
        [program, *words[1:]],
        cwd="/",
        env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lower,
        start_new_session=True,
    ) as child:
        try:
            said = short(end_of(child, timeout).decode(errors="replace"))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise Refused(f"its check did not end within {timeout} s") from None
    if child.returncode:
        raise Refused(f"its configuration is refused by {words[0]}: {said}")
    return said


def end_of(child: subprocess.Popen[bytes], timeout: int) -> bytes:
    """The last bytes of what it says until it ends. Raises subprocess.TimeoutExpired."""
    deadline = time.monotonic() + timeout
    kept = b""
    assert child.stdout
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not (left and select.select([child.stdout], [], [], left)[0]):
            raise subprocess.TimeoutExpired(child.args, timeout)
        more = os.read(child.stdout.fileno(), MOST_SAID)
        if not more:
            break
        kept = (kept + more)[-MOST_SAID:]
    child.wait(left)
    return kept


def short(text: str) -> str:
    """The last lines of what a program said, printable and not too long."""
    lines = [line.strip()[:LONGEST] for line in text.splitlines() if line.strip()]
    kept = " / ".join(lines[-LINES:])
    return "".join(c if c.isprintable() else "?" for c in kept)


def settled(given: dict[str, Any], keeper: Any, pid: int) -> bool:
    """Whether the same process runs and, where it is asked, says that the reload worked."""
    deadline = time.monotonic() + given["settle_seconds"]
    while True:
        state = keeper.read(given["name"])
        said = last_reload(given["metric_url"])
        if not state["active"] or state["pid"] != pid:
            return False
        if said or not given["metric_url"]:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.5)


def why(given: dict[str, Any], loaded: float) -> str:
    """Why it must be loaded, in words; empty where what is loaded is what is there."""
    said = last_reload(given["metric_url"])
    if said is False:
        return "its last reload failed"
    if changed_at(given["files"]) >= loaded:
        return "its configuration is newer than what it has loaded"
    if said is None and not given["files"]:
        return "nobody knows whether it has loaded its configuration"
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "check": {"type": "list", "elements": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "metric_url": {"type": "str", "default": ""},
            "check_timeout": {"type": "int", "default": 30},
            "settle_seconds": {"type": "int", "default": 5},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given, keeper = module.params, manager(module)
    name = given["name"]
    unit = keeper.read(name)
    if not unit["known"]:
        module.fail_json(msg=f"{given['manager']} has no unit {name} ({unit['name']}).")
    if not unit["active"]:
        module.fail_json(msg=f"{name} does not run ({unit['name']}), and a reload starts nothing.")
    before = why(given, keeper.loaded_at(name, unit["pid"]))
    if not before:
        fine = "it has loaded its configuration"
        module.exit_json(changed=False, before=fine, loaded=True, said="")
    try:
        if not given["check"]:
            raise Refused("no command checks its configuration")
        said = checked(given["check"], unit["pid"], given["check_timeout"])
    except Refused as problem:
        module.fail_json(msg=f"{name}: {problem}; nothing was loaded.", before=before)
    found = {"before": before, "said": said}
    diff = {"before": f"{name}: {before}\n", "after": f"{name}: loaded, as its check accepts it\n"}
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, loaded=False, **found)
    if problem := keeper.reload(name):
        module.fail_json(msg=f"{name} was not reloaded: {short(problem)}", **found)
    loaded = settled(given, keeper, unit["pid"])
    module.exit_json(changed=True, diff=diff, loaded=loaded, **found)


if __name__ == "__main__":
    main()
