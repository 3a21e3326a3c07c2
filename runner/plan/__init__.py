"""The plan: what would run, exactly. Its hash is what a person approves."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from runner.catalog import Catalog, parameters
from runner.catalog.content import read
from runner.catalog.digest import of_collection
from runner.catalog.entry import Entry
from runner.catalog.loaded import called, loaded, outside_of
from runner.catalog.reads import digests
from runner.catalog.scan import Scan, scan
from runner.catalog.secret_values import secrets_of
from runner.errors import Refused
from runner.incident import Incident, Plan, Run
from runner.inventory import Inventory
from runner.plan.places import in_order
from runner.plan.reach import also_of, refuse_unreached
from runner.text import brief

_NOWHERE: Mapping[str, str] = MappingProxyType({})
#: Names of one kind that a person is told when a plan changed.
MOST_NAMED = 5
#: Characters of each; of a path it is the end that tells most.
MOST_OF_A_NAME = 250


def draft(
    incident: Incident,
    entry: Entry,
    catalog: Catalog,
    inventory: Inventory,
    places: Mapping[str, str] = _NOWHERE,
    *,
    key: str = "",
    like: Plan | None = None,
) -> Plan:
    """The plan of running `entry` for this incident, before its dry run.

    `places` says where the steps of a plan act. `key` is for the digests of inventory values.
    `like` is an earlier plan of the same: what its dry run was seen to load is looked at again.
    Raises Refused or UsageError when a value cannot be had, a place is not filled, or a host is
    gone.
    """
    key = like.key if like else key
    gone = [host for host in (*incident.hosts, *places.values()) if host not in inventory.hosts]
    if gone or not incident.hosts:
        raise Refused(f"no longer in the inventory: {', '.join(gone) or 'any host'}")
    if not entry.placed:
        known = like.loaded if like else ()
        return _part(incident, entry, catalog, inventory, incident.hosts, _NOWHERE, key, known)
    if len(incident.hosts) > 1:
        raise Refused(f"{entry.id} acts for one host at a time, not for {len(incident.hosts)}")
    steps: list[Plan] = []
    for placed in in_order(entry, catalog):
        if placed.place not in places:
            raise Refused(f"{placed.entry.id} runs on a {placed.place}, and none is chosen")
        hosts = (places[placed.place],)
        known = like.in_order[len(steps)].loaded if like and len(like.in_order) > len(steps) else ()
        step = _part(incident, placed.entry, catalog, inventory, hosts, places, key, known)
        # Who acts for another host also keeps every other run away from it.
        also = (*step.delegates, places["target"]) if placed.place == "peer" else step.delegates
        delegates = tuple(dict.fromkeys(host for host in also if host not in hosts))
        steps.append(hashed(replace(step, delegates=delegates, places=dict(places)), ""))
    return steps[0] if not entry.steps else _whole(entry, catalog, tuple(steps), places, key)


def _part(
    incident: Incident,
    entry: Entry,
    catalog: Catalog,
    inventory: Inventory,
    where: tuple[str, ...],
    places: Mapping[str, str],
    key: str,
    also: Iterable[str],
) -> Plan:
    """The plan of one role on `where`; `also` was seen to be loaded."""
    hostvars = (inventory.hosts[host].variables for host in where)
    if free := parameters.unbounded(entry, catalog.schema(entry.id)):
        raise Refused(f"{entry.id} can never be run: {'; '.join(free)}")
    variables = parameters.resolve(
        entry,
        catalog.schema(entry.id),
        labels=incident.alert.labels,
        hostvars=parameters.agreed(entry, hostvars),
        chosen=chosen_of(incident, entry),
        places=places,
        meant=inventory.services.meant_on(incident.alert.labels, where),
    )
    hosts = tuple(sorted(where))
    found = scan(entry, catalog.roles)
    refuse_unattended(entry, found)
    refuse_unreached(entry, found, hosts, inventory)
    secrets_of(entry)  # refuses what is missing while nothing is started
    delegates = tuple({*delegates_of(found, inventory), *also_of(entry, inventory)})
    content = read(catalog, entry)
    known = [inventory.hosts[h] for h in sorted({*hosts, *delegates}) if h in inventory.hosts]
    # The variables that choose Ansible's own plugins, as `ansible_connection` does.
    steering = [
        {name: value for name, value in host.variables.items() if name.startswith("ansible_")}
        for host in known
    ]
    plan = Plan(
        entry=entry.id,
        hosts=hosts,
        delegates=tuple(sorted(host for host in delegates if host not in hosts)),
        variables=variables,
        content=content.hash,
        diff="",
        hash="",
        files=content.files,
        inventory={host.name: digests(content, host.variables, key) for host in known},
        loaded=loaded(catalog, entry, content, variables=steering, also=also).names,
        key=key,
    )
    return hashed(plan, "")


def _whole(
    entry: Entry,
    catalog: Catalog,
    steps: tuple[Plan, ...],
    places: Mapping[str, str],
    key: str,
) -> Plan:
    hosts = {host for step in steps for host in step.hosts}
    content = read(catalog, entry)
    plan = Plan(
        entry=entry.id,
        hosts=tuple(sorted(hosts)),
        delegates=tuple(sorted({host for step in steps for host in step.delegates} - hosts)),
        variables={},
        content=content.hash,
        diff="",
        hash="",
        files=content.files,
        places=dict(places),
        steps=steps,
        key=key,
    )
    return hashed(plan, "")


def chosen_of(incident: Incident, entry: Entry) -> Mapping[str, Any]:
    """The values that a person asked for, or a decision gave, for this very entry."""
    if entry.id == incident.requested_entry:
        return incident.requested_values
    return incident.chosen if entry.id == incident.entry else {}


def refuse_unattended(entry: Entry, found: Scan) -> None:
    """Raise Refused for a play that waits for a person, would outlive its own run, or is for
    hosts that only a run knows."""
    if found.obstacles:
        raise Refused(f"{entry.id} can never be run: {'; '.join(found.obstacles)}")


def delegates_of(found: Scan, inventory: Inventory) -> tuple[str, ...]:
    """Further hosts that the play acts on: those it names, and all of the groups it names."""
    members = (host for group in found.groups for host in inventory.groups.get(group, ()))
    return tuple(sorted({*found.delegates, *members}))


def hashed(plan: Plan, diff: str) -> Plan:
    """The same plan with the hash of its dry run's diff, and its own hash anew."""
    content = {
        "entry": plan.entry,
        "hosts": plan.hosts,
        "delegates": plan.delegates,
        "variables": plan.variables,
        "content": plan.content,
        "inventory": plan.inventory,
        "diff": diff,
    }
    if plan.loaded:
        content["loaded"] = dict(plan.loaded)
    if plan.places:
        content |= {"places": dict(plan.places), "steps": [step.hash for step in plan.steps]}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    return replace(plan, diff=diff, hash=digest.hexdigest())


def watched(plan: Plan, run: Run | None, catalog: Catalog) -> Plan:
    """The plan with what the dry run of its first step was seen to load beside its files, and
    with what may be loaded and is not covered."""
    first = plan.in_order[0]
    further, changed = beyond(first, run.loaded, catalog) if run else ({}, ())
    open_ = [f"{path} changed while the dry run read it" for path in changed]
    for step in plan.in_order:
        seen = run if step is first else None
        entry = catalog.get(step.entry)
        for each in scan(entry, catalog.roles).templated:
            place = f"{each.file}: includes {brief(each.text)!r}"
            include = (os.path.realpath(each.file), each.text)
            if each.depends_on:
                open_.append(f"{place}, which depends on {each.depends_on}")
            elif seen is None or not (each.at_start or include in seen.included):
                open_.append(f"{place}, which no dry run has filled in")
        # Lookups that bring what no hash covers: of the entry, and beside it of what is loaded.
        content = read(catalog, entry)
        names = {*step.loaded, *(seen.loaded if seen else ())}
        beside = {os.path.realpath(name) for name in names if name[0] == "/"}
        beside -= set(map(os.path.realpath, content.paths.values()))
        for name, lookups in sorted({**content.outside, **outside_of(beside)}.items()):
            some = ", ".join(sorted(lookups))
            open_.append(f"{name}: lookup {some} reads from outside the plan's files")
    first = hashed(replace(first, loaded={**first.loaded, **further}), first.diff)
    if not plan.steps:
        return replace(first, uncovered=tuple(open_))
    whole = replace(plan, steps=(first, *plan.steps[1:]), uncovered=tuple(open_))
    return hashed(whole, plan.diff)


def beyond(
    plan: Plan, seen: Mapping[str, str], catalog: Catalog
) -> tuple[dict[str, str], tuple[str, ...]]:
    """(names that a dry run loaded and the plan lacks, with digests; files that differ from it)."""
    content = read(catalog, catalog.get(plan.entry))
    known = {os.path.realpath(path): plan.files.get(name) for name, path in content.paths.items()}
    known |= {os.path.realpath(name): d for name, d in plan.loaded.items() if name[0] == "/"}
    installed = catalog.roles.installed
    collections = installed.collections.values() if installed else ()
    folders = {f"{os.path.realpath(each.folder)}/": each for each in collections}
    further: dict[str, str] = {}
    changed = []
    for path, digest in seen.items():
        of = next((each for folder, each in folders.items() if path.startswith(folder)), None)
        if path in known:
            changed += [path] if known[path] != digest else []
        elif of is None:
            further[path] = digest
        elif called(of) not in plan.loaded:
            further[called(of)] = of_collection(of.folder)
    return further, tuple(sorted(changed))


def difference(before: Plan, now: Plan) -> str:
    """What changed between two plans, for a person, by its name.

    As in `playbook or role (roles/web/tasks/main.yml), variable service_restart_unit`.
    """
    pairs = [(before, now), *zip(before.steps, now.steps, strict=False)]
    absent = object()

    def differing(of: Callable[[Plan], Mapping[str, Any]]) -> set[str]:
        """Names whose values differ in the plan or in any of its steps."""
        return {
            name
            for one, other in ((of(earlier), of(later)) for earlier, later in pairs)
            for name in {*one, *other}
            if one.get(name, absent) != other.get(name, absent)
        }

    def inventory(plan: Plan) -> dict[str, str]:
        hosts = plan.inventory.items()
        return {f"{name} of {host}": digest for host, of in hosts for name, digest in of.items()}

    contents = [[plan.content, *(step.content for step in plan.steps)] for plan in (before, now)]
    found = [
        _names("entry", {before.entry} ^ {now.entry}),
        _names("hosts", {*before.hosts, *before.delegates} ^ {*now.hosts, *now.delegates}),
        _names("variable", differing(lambda plan: plan.variables)),
        _names(
            "playbook or role",
            differing(lambda plan: plan.files),
            changed=contents[0] != contents[1],
        ),
        _names("what Ansible loads", differing(lambda plan: plan.loaded)),
        _names("inventory variable", differing(inventory)),
        _names("steps", {s.entry for s in before.steps} ^ {s.entry for s in now.steps}),
        "what check mode would change" if before.diff != now.diff else "",
    ]
    return ", ".join(filter(None, found))


def _names(what: str, names: Iterable[str], *, changed: bool = False) -> str:
    """`what (first, second)`; empty when nothing changed. `changed`: even without names."""
    some = sorted(names)
    if not some:
        return what if changed else ""
    more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
    return f"{what} ({', '.join(brief(name, MOST_OF_A_NAME) for name in some[:MOST_NAMED])}{more})"
