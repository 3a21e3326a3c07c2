#!/usr/bin/python
"""Ends sessions of PostgreSQL that have been idle in a transaction for too long."""

from __future__ import annotations

DOCUMENTATION = """
module: idle_sessions
short_description: Ends sessions of PostgreSQL that have been idle in a transaction for too long
description:
  - Looks for client sessions that are C(idle in transaction), aborted ones too, since more than
    O(age) seconds. What they did in their transaction is rolled back.
  - Sessions of superusers and of roles that may replicate, WAL senders, and what O(protected) names
    are never ended. A session is only ended if it is still idle in the same transaction.
  - It fails before it ends anything where none of them may be ended, or where they are too many.
options:
  age: {description: Seconds a session may be idle in its transaction., type: int, required: true}
  database: {description: Only sessions of this database; empty means all., type: str, default: ""}
  databases:
    description: The databases whose sessions may be ended; empty means all.
    type: list
    elements: str
    default: []
  protected:
    description: Regular expressions of roles and application names that are left alone.
    type: list
    elements: str
    default: []
  max: {description: More sessions than this are ended by nobody., type: int, default: 50}
  grace: {description: Seconds within which they must be gone., type: int, default: 10}
extends_documentation_fragment: [runner.remediation.postgres, runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: End what has been idle in a transaction for ten minutes
  runner.remediation.idle_sessions:
    age: 600
    protected: [pg_dump, pgbackrest]
  become: true
"""

RETURN = """
sessions:
  description: Those over the age, with role, database, application, client, seconds, how many
    others wait for them, and C(kept), why they are not ended, which is empty where they may be.
  type: list
  elements: dict
  returned: always
ended: {description: How many were ended., type: int, returned: always}
left:
  description: How many that may be ended are over the age at the end.
  type: int
  returned: always
"""

import json
import re
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.postgres import ARGUMENTS, ask
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import shown

_FOUND = """
SELECT coalesce(json_agg(found ORDER BY found.seconds DESC), '[]') FROM (
    SELECT s.pid, s.backend_start::text AS began, s.state_change::text AS since,
        s.usename AS role, coalesce(s.datname, '') AS database, s.application_name AS application,
        coalesce(host(s.client_addr), 'local') AS client,
        floor(extract(epoch FROM clock_timestamp() - s.state_change))::int AS seconds,
        r.rolsuper AS superuser,
        r.rolreplication OR s.backend_type <> 'client backend' AS replication,
        (SELECT count(*)::int FROM pg_stat_activity AS w
            WHERE w.wait_event_type = 'Lock' AND s.pid = ANY (pg_blocking_pids(w.pid))) AS blocking
    FROM pg_stat_activity AS s JOIN pg_roles AS r ON r.oid = s.usesysid
    WHERE s.state LIKE 'idle in transaction%' AND s.pid <> pg_backend_pid()
        AND clock_timestamp() - s.state_change > make_interval(secs => :'age'::int)
) AS found;
"""
#: OFFSET 0 keeps the function behind the conditions: a planner may else end whoever comes first.
_END = """
SELECT count(*) FROM (
    SELECT s.pid FROM json_to_recordset(:'chosen') AS c(pid int, began text, since text)
    JOIN pg_stat_activity AS s
        ON s.pid = c.pid AND s.backend_start::text = c.began AND s.state_change::text = c.since
    JOIN pg_roles AS r ON r.oid = s.usesysid AND NOT r.rolsuper AND NOT r.rolreplication
    WHERE s.state LIKE 'idle in transaction%' AND s.backend_type = 'client backend'
    OFFSET 0
) AS still WHERE pg_terminate_backend(still.pid);
"""


def found(module: Any) -> list[dict[str, Any]]:
    """The sessions over the age in the database that was asked for, the oldest first."""
    given = module.params
    every = ask(module, _FOUND, age=str(given["age"]))
    for one in every:
        one["kept"] = kept(one, given)
    return [one for one in every if given["database"] in ("", one["database"])]


def kept(session: dict[str, Any], given: dict[str, Any]) -> str:
    """Why it is not ended; empty where it may be."""
    if session["superuser"]:
        return "a superuser's"
    if session["replication"]:
        return "of replication"
    if given["databases"] and session["database"] not in given["databases"]:
        return "in another database"
    names = (session["role"], session["application"])
    if any(re.fullmatch(pattern, name) for pattern in given["protected"] for name in names):
        return "protected"
    return ""


def named(session: dict[str, Any]) -> str:
    """One line of printable characters; who connects chooses some of these words."""
    who = f"{shown(session['role'])}@{shown(session['database'])}"
    by = f" by {shown(session['application'])}" if session["application"] else ""
    return f"{who}{by} from {session['client']}"


def difference(sessions: list[dict[str, Any]], age: int) -> dict[str, str]:
    """Whose they are; without processes and numbers, so that a dry run and its run agree."""
    whose = sorted({named(one) for one in sessions})
    lines = [f"{one}: idle in a transaction for more than {age} s\n" for one in whose]
    return {"before": "".join(lines), "after": ""}


def refusal(sessions: list[dict[str, Any]], most: int) -> str:
    """A sentence; empty where some may be ended, or where there are none."""
    free = [one for one in sessions if not one["kept"]]
    if sessions and not free:
        whose = ", ".join(dict.fromkeys(f"{named(one)} ({one['kept']})" for one in sessions[:9]))
        return f"nothing that is idle in a transaction may be ended: {whose}."
    if len(free) > most:
        what = "sessions are idle in a transaction"
        return f"{len(free)} {what}, more than {most}; a person must look."
    return ""


def end(module: Any, sessions: list[dict[str, Any]]) -> int:
    """End them and wait until they are gone; how many still were what was looked at."""
    chosen = [{name: one[name] for name in ("pid", "began", "since")} for one in sessions]
    ended: int = ask(module, _END, chosen=json.dumps(chosen))
    deadline = time.monotonic() + module.params["grace"]
    while _free(found(module)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return ended


def _free(sessions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in sessions if not one["kept"]]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "age": {"type": "int", "required": True},
            "database": {"type": "str", "default": ""},
            "databases": {"type": "list", "elements": "str", "default": []},
            "protected": {"type": "list", "elements": "str", "default": []},
            "max": {"type": "int", "default": 50},
            "grace": {"type": "int", "default": 10},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    for pattern in module.params["protected"]:
        try:
            re.compile(pattern)
        except re.error as error:
            why = f"protected: {pattern!r} is no regular expression ({error}); nothing was ended."
            module.fail_json(msg=why)
    sessions = found(module)
    if why := refusal(sessions, module.params["max"]):
        module.fail_json(msg=why, sessions=sessions)
    ending = _free(sessions)
    if not ending:
        module.exit_json(changed=False, sessions=sessions, ended=0, left=0)
    whose = difference(ending, module.params["age"])
    if module.check_mode:
        module.exit_json(changed=True, sessions=sessions, ended=0, left=len(ending), diff=whose)
    ended = end(module, ending)
    left = len(_free(found(module)))
    module.exit_json(changed=True, sessions=sessions, ended=ended, left=left, diff=whose)


if __name__ == "__main__":
    main()
