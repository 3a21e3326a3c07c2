"""PostgreSQL of this host, asked by psql, over its socket.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import shown

#: How the server is reached.
ARGUMENTS = {
    "socket": {"type": "path", "default": "/var/run/postgresql"},
    "port": {"type": "int", "default": 5432},
    "role": {"type": "str", "default": "postgres"},
    "system_user": {"type": "str", "default": "postgres"},
}
#: Whoever can make functions in a database must not lead a superuser to them by their names.
_OPTIONS = "-c search_path=pg_catalog -c statement_timeout=20s -c lock_timeout=5s"
_LONGEST = 300  #: characters of what psql says


def ask(module: Any, statement: str, database: str = "postgres", **values: str) -> Any:
    """The one value that the statement gives, read as JSON; `:'name'` in it is a quoted value.

    Fails the module with what psql said. Variables of the environment that lead psql elsewhere
    count for nothing.
    """
    given = module.params
    command = [module.get_bin_path("psql", required=True), "--no-psqlrc", "--no-password"]
    command += ["--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    command += [f"--set={name}={value}" for name, value in values.items()]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PGHOST": given["socket"],
        "PGPORT": given["port"],
        "PGUSER": given["role"],
        # By its own variable: in an option it could be a whole connection string.
        "PGDATABASE": database,
        "PGAPPNAME": "runner",
        "PGCONNECT_TIMEOUT": 10,
        "PGCLIENTENCODING": "UTF8",
        "PGOPTIONS": _OPTIONS,
    }
    closed = [module.get_bin_path("env", required=True), "-i"]
    command = [*closed, *(f"{name}={value}" for name, value in environment.items()), *command]
    if given["system_user"] and os.geteuid() == 0:
        become = [module.get_bin_path("runuser", required=True), "-u", given["system_user"], "--"]
        command = [*become, *command]
    status, out, err = module.run_command(command, data=statement, cwd="/")
    if status:
        said = shown(" ".join((err or out).split()))[:_LONGEST]
        place = f"PostgreSQL at {given['socket']}, port {given['port']}"
        module.fail_json(msg=f"{place}, was asked by psql as {given['role']} and failed: {said}")
    return json.loads(out)
