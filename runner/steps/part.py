"""The part of its hosts that an entry acts on, where it counts as a key of locks and limits.

It counts only in its one spelling, and only when the inventory or a probe of each host lists it.
Otherwise, and where the play acts on further hosts as well, the whole host is the key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from runner.catalog import parameters
from runner.catalog.entry import Entry
from runner.errors import RunnerError
from runner.evidence import probe
from runner.incident import Incident
from runner.incident.part import canonical
from runner.inventory.parts import listed
from runner.plan import chosen_of
from runner.project import Project
from runner.store import clock, runs

#: How old a probe may be that knows the parts of its host.
KNOWN_FOR = timedelta(days=1)


def part_of(
    project: Project,
    incident: Incident,
    entry: Entry,
    hosts: Sequence[str],
    touched: Collection[str],
    variables: Mapping[str, Any] | None = None,
) -> str | None:
    """The part of `hosts` that the entry acts on; None for the whole hosts.

    `variables` are those of the plan. Without a plan the value is sought as a plan would.
    """
    if entry.target.part is None or not hosts or set(touched) != set(hosts):
        return None
    if variables is None:
        variables = _sought(project, incident, entry, hosts)
    value = variables.get(entry.target.part_parameter)
    part = canonical(entry.target.part_kind, value) if isinstance(value, str) else ""
    if not part:
        return None
    with project.database.read() as tx:
        return part if all(_has(project, tx, host, part) for host in hosts) else None


def part_of_alert(project: Project, incident: Incident, hosts: Sequence[str]) -> str | None:
    """The part that the alert is about, by the entries that match it; None when they say none, or
    several."""
    eligible = project.catalog.eligible(incident.alert.labels)
    found = {part_of(project, incident, entry, hosts, hosts) for entry in eligible}
    return found.pop() if len(found) == 1 else None


def _has(project: Project, tx: sa.Connection, host: str, part: str) -> bool:
    """Whether the inventory, or the newest probe that lists parts of the host, has it."""
    if part in listed(project.inventory(), host):
        return True
    brought = runs.probed(tx, host, clock.now(tx) - KNOWN_FOR)
    return part in next(filter(None, map(probe.parts, brought)), frozenset())


def _sought(
    project: Project, incident: Incident, entry: Entry, hosts: Sequence[str]
) -> Mapping[str, Any]:
    """The one parameter that names the part, as far as it is known before there is a plan."""
    inventory, name = project.inventory(), entry.target.part_parameter
    only = entry.model_copy(update={"parameters": {name: entry.parameters[name]}})
    labels, given = incident.alert.labels, chosen_of(incident, entry)
    known = [inventory.hosts[host].variables for host in hosts if host in inventory.hosts]
    try:
        return parameters.resolve(
            only,
            project.catalog.schema(entry.id),
            labels=labels,
            hostvars=parameters.agreed(only, known),
            chosen={name: given[name]} if name in given else {},
            meant=inventory.services.meant_on(labels, hosts),
        )
    except RunnerError:  # the plan says what is wrong with it
        return {}
