#!/usr/bin/python
"""Drops one replication slot of PostgreSQL that nobody uses and that keeps too much WAL."""

from __future__ import annotations

DOCUMENTATION = """
module: replication_slot
short_description: Drops one replication slot of PostgreSQL that nobody uses
description:
  - A slot is dropped if it is not active, is still so at the end of O(window), moved nothing on in
    the meantime, and keeps at least O(min_bytes) of WAL. Where the server knows since when it is
    inactive (PostgreSQL 17), that must be O(min_inactive) or longer ago.
  - Whoever reads from the slot later finds none. A replica has to be built anew, and a subscriber
    has lost what the slot kept for it.
  - A slot that does not exist is fine. One that is temporary, or that a standby keeps in step with
    its primary, is refused.
options:
  name: {description: The slot., type: str, required: true}
  min_bytes: {description: A slot that keeps less WAL is refused., type: int, required: true}
  min_inactive: {description: Seconds that it must be inactive., type: int, default: 900}
  window: {description: Seconds to watch it., type: int, default: 10}
extends_documentation_fragment: [runner.remediation.postgres, runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Drop the slot of a replica that is gone
  runner.remediation.replication_slot:
    name: replica2
    min_bytes: 10737418240
  become: true
"""

RETURN = """
slot:
  description: The slot before, with C(type), C(database), C(active), C(kept_bytes) and more.
  type: dict
  returned: when there is one
dropped: {description: Whether it is gone at the end., type: bool, returned: always}
kept_bytes: {description: Bytes of WAL that it kept., type: int, returned: always}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.postgres import ARGUMENTS, ask

#: As a whole row, since later releases know more of a slot than earlier ones.
_FOUND = """
SELECT coalesce((
    SELECT json_build_object(
        'type', s.slot_type, 'database', s.database, 'active', s.active,
        'temporary', s.temporary, 'restart_lsn', s.restart_lsn::text,
        'kept_bytes', coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
            THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn), 0)::bigint,
        'state', to_jsonb(s) ->> 'wal_status',
        'in_step', coalesce((to_jsonb(s) ->> 'synced')::boolean, false) AND pg_is_in_recovery(),
        'inactive_seconds', floor(extract(epoch FROM
            clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz))::bigint)
    FROM pg_replication_slots AS s WHERE s.slot_name = :'name'), 'null');
"""
#: It is only dropped as it was looked at; PostgreSQL itself refuses one that is in use.
_DROP = """
SELECT count(*) FROM (
    SELECT s.slot_name FROM pg_replication_slots AS s
    WHERE s.slot_name = :'name' AND NOT s.active AND s.restart_lsn::text = :'restart_lsn'
    OFFSET 0
) AS still, LATERAL (SELECT pg_drop_replication_slot(still.slot_name) OFFSET 0) AS done;
"""


def found(module: Any) -> dict[str, Any] | None:
    """The slot as it is now."""
    slot: dict[str, Any] | None = ask(module, _FOUND, name=module.params["name"])
    return slot


def refusal(slot: dict[str, Any], later: dict[str, Any] | None, given: dict[str, Any]) -> str:
    """Why it is not dropped, a predicate; empty where it may be. `later`: the slot once more."""
    if slot["active"]:
        return "is in use"
    if slot["temporary"]:
        return "is temporary, and goes with its session"
    if slot["in_step"]:
        return "is kept in step with the primary; drop it there"
    if slot["kept_bytes"] < given["min_bytes"]:
        return f"keeps {slot['kept_bytes']} bytes of WAL, less than {given['min_bytes']}"
    since = slot["inactive_seconds"]
    if since is not None and since < given["min_inactive"]:
        return f"is inactive for {since} s only, less than {given['min_inactive']}"
    if later is None or later["active"] or later["restart_lsn"] != slot["restart_lsn"]:
        return f"was used or dropped within {given['window']} s"
    return ""


def difference(name: str, slot: dict[str, Any], least: int) -> dict[str, str]:
    """Without the bytes, which grow, so that a dry run and its run agree."""
    of = f" of {slot['database']}" if slot["database"] else ""
    what = f"{name}: {slot['type']} slot{of}, inactive, keeps more than {least} bytes of WAL\n"
    return {"before": what, "after": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "min_bytes": {"type": "int", "required": True},
            "min_inactive": {"type": "int", "default": 900},
            "window": {"type": "int", "default": 10},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = module.params
    name = given["name"]
    slot = found(module)
    if slot is None:
        module.exit_json(changed=False, dropped=True, kept_bytes=0)
    result = {"slot": slot, "kept_bytes": slot["kept_bytes"]}
    why = refusal(slot, slot, given)
    if not why:  # what reconnects every few seconds is not gone
        time.sleep(given["window"])
        why = refusal(slot, found(module), given)
    if why:
        module.fail_json(msg=f"the slot {name} {why}, and is not dropped.", **result)
    diff = difference(name, slot, given["min_bytes"])
    if module.check_mode:
        module.exit_json(changed=True, dropped=False, diff=diff, **result)
    # A logical slot has to be dropped from its own database.
    place = slot["database"] or "postgres"
    if not ask(module, _DROP, place, name=name, restart_lsn=slot["restart_lsn"]):
        module.fail_json(msg=f"the slot {name} was used just now, and is not dropped.", **result)
    module.exit_json(changed=True, dropped=found(module) is None, diff=diff, **result)


if __name__ == "__main__":
    main()
