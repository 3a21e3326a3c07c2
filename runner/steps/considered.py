"""Entries that are only considered for an incident's alert: which, why not more, and how often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from runner.catalog.choose import Option, options, why_not
from runner.catalog.dry_run import really_done
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.errors import Refused
from runner.incident import Incident, State
from runner.plan.places import in_order
from runner.policy.considered import MOST, WITHIN
from runner.project import Project
from runner.store import incidents, runs
from runner.text.duration import write

#: The source of an alert that stands for a person's own request: nothing has to match it.
BY_HAND = "person"


def choosable(
    project: Project, incident: Incident, similar: Sequence[Incident]
) -> tuple[Option, ...]:
    """What may be chosen for an incident, best first; `similar` are earlier ones that count."""
    inventory = project.inventory()
    hosts, labels = inventory.hosts, incident.alert.labels
    named = (past for past in similar if past.alert.name == incident.alert.name)
    fixed = Counter(past.entry for past in named if past.entry and past.state is State.FIXED)
    return options(
        project.catalog,
        labels,
        [hosts[host].variables for host in incident.hosts if host in hosts],
        {entry: count for entry, count in fixed.items() if entry},
        inventory.services.meant_on(labels, incident.hosts),
    )


def only_considered(incident: Incident, entry: Entry) -> str | None:
    """Why `match` does not name the incident's alert, where its entry was chosen all the same."""
    chosen = incident.entry or incident.requested_entry
    if incident.alert.source == BY_HAND or chosen != entry.id:
        return None
    labels = incident.alert.labels
    return None if entry.eligible(labels) else why_not(labels, entry)


def may_really_do(project: Project, entry: Entry) -> tuple[str, ...]:
    """What a dry run of the entry may really do on a host, a sentence each."""
    roles = project.catalog.roles
    found = (placed.entry for placed in in_order(entry, project.catalog))
    return tuple(text for part in found for text in really_done(part, scan(part, roles)))


def looks(
    project: Project, tx: sa.Connection, hosts: Sequence[str], now: datetime
) -> Mapping[str, tuple[datetime, ...]]:
    """Host → when dry runs of considered entries began that nobody had asked for, of late."""
    begun: dict[str, list[datetime]] = defaultdict(list)
    found = runs.dry_runs_since(tx, now - WITHIN)
    known = {number: incidents.get(tx, number) for number in {run.incident for run in found}}
    for run in found:
        incident = known[run.incident]
        entry = project.catalog.entries.get(incident.entry or "")
        if incident.proposed_by or (entry and only_considered(incident, entry) is None):
            continue
        for host in set(run.hosts) & set(hosts):
            begun[host].append(run.started_at)
    return {host: tuple(times) for host, times in begun.items()}


def require_look(
    project: Project, tx: sa.Connection, incident: Incident, hosts: Sequence[str], now: datetime
) -> None:
    """Raise Refused when one more dry run by itself is too many, in the transaction that takes
    the hosts: incidents that are judged at one time cannot add up to more."""
    entry = project.catalog.get(incident.entry or "")
    if incident.proposed_by is not None or only_considered(incident, entry) is None:
        return
    for host, starts in looks(project, tx, hosts, now).items():
        if len(starts) >= MOST:
            raise Refused(
                f"{len(starts)} dry runs of considered entries began on {host} within "
                f"{write(WITHIN)}; a person may propose {entry.id}"
            )
