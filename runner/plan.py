"""The plan: what would run, exactly. Its hash is what a person approves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from runner.catalog import Catalog, parameters
from runner.catalog.content import content_hash
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import Refused
from runner.incident import Incident, Plan
from runner.inventory import Inventory
from runner.places import parts

_NOWHERE: Mapping[str, str] = MappingProxyType({})


def draft(
    incident: Incident,
    entry: Entry,
    catalog: Catalog,
    inventory: Inventory,
    places: Mapping[str, str] = _NOWHERE,
) -> Plan:
    """The plan of running `entry` for this incident, not rehearsed yet.

    `places` says where the steps of a plan act. Raises Refused or UsageError when a value
    cannot be had, a place is not filled, or a host is gone.
    """
    gone = [host for host in (*incident.hosts, *places.values()) if host not in inventory.hosts]
    if gone or not incident.hosts:
        raise Refused(f"no longer in the inventory: {', '.join(gone) or 'any host'}")
    if not entry.placed:
        return _part(incident, entry, catalog, inventory, incident.hosts, _NOWHERE)
    if len(incident.hosts) > 1:
        raise Refused(f"{entry.id} acts for one host at a time, not for {len(incident.hosts)}")
    steps = []
    for part in parts(entry, catalog):
        if part.place not in places:
            raise Refused(f"{part.entry.id} runs on a {part.place}, and none is chosen")
        hosts = (places[part.place],)
        step = _part(incident, part.entry, catalog, inventory, hosts, places)
        # Who acts for another host also keeps every other run away from it.
        also = (*step.delegates, places["target"]) if part.place == "peer" else step.delegates
        delegates = tuple(dict.fromkeys(host for host in also if host not in hosts))
        steps.append(hashed(replace(step, delegates=delegates, places=dict(places)), ""))
    return steps[0] if not entry.steps else _whole(entry, catalog, tuple(steps), places)


def _part(
    incident: Incident,
    entry: Entry,
    catalog: Catalog,
    inventory: Inventory,
    where: tuple[str, ...],
    places: Mapping[str, str],
) -> Plan:
    """The plan of one role on `where`."""
    hostvars = (inventory.hosts[host].variables for host in where)
    variables = parameters.resolve(
        entry,
        catalog.schema(entry.id),
        labels=incident.alert.labels,
        hostvars=parameters.agreed(entry, hostvars),
        chosen=incident.requested_values if entry.id == incident.requested_entry else {},
        places=places,
    )
    hosts = tuple(sorted(where))
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


def _whole(
    entry: Entry, catalog: Catalog, steps: tuple[Plan, ...], places: Mapping[str, str]
) -> Plan:
    hosts = {host for step in steps for host in step.hosts}
    plan = Plan(
        entry=entry.id,
        hosts=tuple(sorted(hosts)),
        delegates=tuple(sorted({host for step in steps for host in step.delegates} - hosts)),
        variables={},
        content=content_hash(catalog, entry),
        diff="",
        hash="",
        places=dict(places),
        steps=steps,
    )
    return hashed(plan, "")


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
    if plan.places:
        content |= {"places": dict(plan.places), "steps": [step.hash for step in plan.steps]}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    return replace(plan, diff=diff, hash=digest.hexdigest())


def difference(before: Plan, now: Plan) -> str:
    """What changed between two plans, for a person: `playbook or role, variables`."""
    names = {
        "entry": before.entry != now.entry,
        "hosts": (before.hosts, before.delegates) != (now.hosts, now.delegates),
        "variables": _variables(before) != _variables(now),
        "playbook or role": before.content != now.content,
        "what check mode would change": before.diff != now.diff,
        "steps": [step.entry for step in before.steps] != [step.entry for step in now.steps],
    }
    return ", ".join(name for name, changed in names.items() if changed)


def _variables(plan: Plan) -> list[Mapping[str, object]]:
    return [part.variables for part in plan.parts]
