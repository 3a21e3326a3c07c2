"""The plan: what would run, exactly. Its hash is what a person approves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.catalog import Catalog, parameters
from runner.catalog.content import content_hash
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import Refused
from runner.incident import Incident, Plan
from runner.inventory import Inventory


def draft(incident: Incident, entry: Entry, catalog: Catalog, inventory: Inventory) -> Plan:
    """The plan of running `entry` for this incident, not rehearsed yet.

    Raises Refused or UsageError when a value cannot be had or a host is gone.
    """
    gone = [host for host in incident.hosts if host not in inventory.hosts]
    if gone or not incident.hosts:
        raise Refused(f"no longer in the inventory: {', '.join(gone) or 'any host'}")
    variables = parameters.resolve(
        entry,
        catalog.schema(entry.id),
        labels=incident.alert.labels,
        hostvars=parameters.agreed(
            entry, (inventory.hosts[host].variables for host in incident.hosts)
        ),
        chosen=_chosen(incident, entry),
    )
    hosts = tuple(sorted(incident.hosts))
    found = scan(entry, catalog.roles)
    plan = Plan(
        entry=entry.id,
        hosts=hosts,
        delegates=tuple(host for host in found.delegates if host not in hosts),
        variables=variables,
        content=content_hash(catalog, entry),
        diff="",
        hash="",
    )
    return hashed(plan, "")


def _chosen(incident: Incident, entry: Entry) -> Mapping[str, Any]:
    """The values that a person asked for, or a decision gave, for this very entry."""
    if entry.id == incident.requested_entry:
        return incident.requested_values
    return incident.chosen if entry.id == incident.entry else {}


def hashed(plan: Plan, diff: str) -> Plan:
    """The same plan with the hash of its rehearsal's diff, and its own hash anew."""
    content = {
        "entry": plan.entry,
        "hosts": plan.hosts,
        "delegates": plan.delegates,
        "variables": plan.variables,
        "content": plan.content,
        "diff": diff,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    return replace(plan, diff=diff, hash=digest.hexdigest())


def difference(before: Plan, now: Plan) -> str:
    """What changed between two plans, for a person: `playbook or role, variables`."""
    names = {
        "entry": before.entry != now.entry,
        "hosts": (before.hosts, before.delegates) != (now.hosts, now.delegates),
        "variables": before.variables != now.variables,
        "playbook or role": before.content != now.content,
        "what check mode would change": before.diff != now.diff,
    }
    return ", ".join(name for name, changed in names.items() if changed)
