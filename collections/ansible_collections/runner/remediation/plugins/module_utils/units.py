"""How a unit is: read from systemd or from supervisord, by their own programs.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Untrusted,
    check,
)

STATES = "STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN"
_LINE = re.compile(rf"^(?P<name>\S+)\s+(?P<state>{STATES})\b(?:\s+pid (?P<pid>\d+))?")
_NO_SUCH = "ERROR (no such"
_MISSING_PROGRAM = 4  #: supervisorctl status: unknown name, or supervisord does not answer
_PROPERTIES = "--property=LoadState,ActiveState,SubState,MainPID"
_RUNS = ("active", "reloading")

#: What is asked of a unit besides its name.
ARGUMENTS = {
    "manager": {"type": "str", "choices": ["systemd", "supervisord"], "default": "systemd"},
    "supervisor_config": {"type": "path", "default": "/etc/supervisor/supervisord.conf"},
    "supervisorctl": {"type": "str", "default": "supervisorctl"},
}

#: known, active, name (in the manager's words) and pid (0 without a process).
State = "dict[str, Any]"


class Systemd:
    """The systemd of this host; one that is missing knows no unit."""

    def __init__(self, module: Any) -> None:
        self._run: Callable[..., tuple[int, str, str]] = module.run_command
        self._program: str | None = module.get_bin_path("systemctl")

    def read(self, unit: str) -> State:
        """How the unit is now."""
        if not self._program:
            return parse_show("")
        return parse_show(self._run([self._program, "show", _PROPERTIES, "--", unit])[1])

    def names(self) -> list[str]:
        """Every loaded unit of this host that can be started again, each by one name: of what
        lies in files, nobody says on every systemd which is an alias of another."""
        if not self._program:
            return []
        plain = ["--type=service,socket,timer,path", "--plain", "--no-legend", "--no-pager"]
        said = self._run([self._program, "list-units", "--all", *plain])[1]
        rows = (line.split() for line in said.splitlines())
        return sorted(row[0] for row in rows if row[1:2] == ["loaded"])

    def restart(self, unit: str) -> str:
        """Restart it; what systemctl said against it, empty where it went well."""
        return self._call("restart", unit)

    def start(self, unit: str, *limit: str) -> str:
        """Start it, by a program that bounds how long that takes, if any; the same."""
        return self._call("start", unit, *limit)

    def stop(self, unit: str) -> str:
        """Stop it; the same."""
        return self._call("stop", unit)

    def reload(self, unit: str) -> str:
        """Let it read its configuration again; what systemctl said against it."""
        return self._call("reload", unit)

    def _call(self, verb: str, unit: str, *limit: str) -> str:
        if not self._program:
            return "this host has no systemd"
        status, out, err = self._run([*limit, self._program, verb, "--", unit])
        return (err or out).strip() or f"exit status {status}" if status else ""

    def loaded_at(self, unit: str, pid: int) -> float:
        """When it was started or reloaded last, in seconds since 1970."""
        query = "--property=StateChangeTimestampMonotonic"
        said = self._run([self._program, "show", query, "--", unit])[1].strip().rpartition("=")[2]
        if not said.isdigit() or said == "0":
            return started_at(pid)
        return time.time() - time.monotonic() + int(said) / 1e6


class Supervisord:
    """The supervisord of this configuration. Fails the module where others may change that."""

    def __init__(self, module: Any) -> None:
        self._run = module.run_command
        self._config = module.params["supervisor_config"]
        try:
            check(self._config)  # what supervisorctl reads there may run as root
        except Untrusted as why:
            module.fail_json(msg=f"{why}; supervisorctl is not asked.")
        # In PATH, or beside the interpreter, as in a virtual environment.
        beside = [os.path.dirname(sys.executable)]
        self._program = module.get_bin_path(
            module.params["supervisorctl"], required=True, opt_dirs=beside
        )

    def read(self, unit: str) -> State:
        """How the program is; UNKNOWN without such a one, NO ANSWER without a supervisord."""
        status, text = self._call("status", unit)
        found = parse_status(unit, text)
        if status == _MISSING_PROGRAM and _NO_SUCH not in text:
            found["name"] = "NO ANSWER"
        return found

    def names(self) -> list[str]:
        """Every program; one that is alone in its group is called by the group."""
        found = map(_LINE.match, self._call("status")[1].splitlines())
        parts = (one["name"].partition(":") for one in found if one)
        return sorted({name if own in ("", name) else f"{name}:{own}" for name, _, own in parts})

    def programs(self) -> dict[str, int]:
        """The process of each program that runs."""
        found = map(_LINE.match, self._call("status")[1].splitlines())
        return {one["name"]: int(one["pid"]) for one in found if one and one["pid"]}

    def restart(self, unit: str) -> str:
        """Restart it; what supervisorctl said where it does not run afterwards."""
        _, text = self._call("restart", unit)
        return "" if self.read(unit)["active"] else text

    def reload(self, unit: str) -> str:
        """Send it SIGHUP; what supervisorctl said against it."""
        status, text = self._call("signal", "HUP", unit)
        return text or f"exit status {status}" if status else ""

    def loaded_at(self, unit: str, pid: int) -> float:
        """When it was started, in seconds since 1970; nobody notes when it was reloaded."""
        return started_at(pid)

    def start(self, unit: str) -> str:
        """Start it; what supervisorctl said where it does not run afterwards."""
        _, text = self._call("start", unit)
        return "" if self.read(unit)["active"] else text

    def stop(self, unit: str) -> str:
        """Stop it; what supervisorctl said where it still runs."""
        _, text = self._call("stop", unit)
        return text if self.read(unit)["active"] else ""

    def _call(self, *words: str) -> tuple[int, str]:
        status, out, err = self._run([self._program, "-c", self._config, *words])
        return status, f"{out}{err}".strip()


def manager(module: Any) -> Systemd | Supervisord:
    """The one that the module was told. A name that is an option, or no single unit, fails it."""
    name = module.params["name"]
    if name.startswith("-") or name == "all" or name.endswith(":*"):
        module.fail_json(msg=f"{name!r} is not the name of one unit.")
    return Systemd(module) if module.params["manager"] == "systemd" else Supervisord(module)


def parse_show(text: str) -> State:
    """A unit in the output of `systemctl show`; empty output means that there is no systemd."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    words = [said.get("LoadState", "no systemd"), said.get("ActiveState"), said.get("SubState")]
    pid = said.get("MainPID", "0")
    return {
        "known": said.get("LoadState") == "loaded",
        "active": said.get("ActiveState") in _RUNS,
        "name": "/".join(word for word in words if word),
        "pid": int(pid) if pid.isdigit() else 0,
    }


def parse_status(name: str, text: str) -> State:
    """The state of `name` in the output of `supervisorctl status`; UNKNOWN where it is absent."""
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and found["name"] in (name, f"{name}:{name}"):
            state = found["state"]
            pid = int(found["pid"] or 0)
            return {"known": True, "active": state == "RUNNING", "name": state, "pid": pid}
    return {"known": False, "active": False, "name": "UNKNOWN", "pid": 0}


def started_at(pid: int) -> float:
    """When the process was started, in seconds since 1970; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime") as file:
            up = float(file.read().split()[0])
    except (OSError, IndexError, ValueError):
        return 0.0
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


def busiest(module: Any, most: int) -> list[str]:
    """The first lines of ps, busiest processes first; nothing where there is no ps."""
    program = module.get_bin_path("ps")
    if not program:
        return []
    columns = "pid,ppid,stat,pcpu,pmem,etimes,comm"
    _, out, _ = module.run_command([program, "-e", "-o", columns, "--sort=-pcpu"])
    return list(out.splitlines()[:most])
