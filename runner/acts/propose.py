"""A person proposes an entry for an alert that rules would not choose it for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.acts import MAX_TEXT, check_actor, refuse_unattended
from runner.catalog import parameters
from runner.catalog.choose import unfound, why_not
from runner.catalog.entry import Entry
from runner.errors import Refused
from runner.incident import Incident
from runner.inventory import Inventory
from runner.project import Project
from runner.steps.considered import BY_HAND
from runner.store import incidents
from runner.text import storable


def propose(
    project: Project,
    incident: int,
    entry: str,
    *,
    values: Mapping[str, Any],
    by: str,
    reason: str = "",
) -> int:
    """Handle the alert of an ended incident again, with this entry; the id of the new incident.

    It is handled as any alert is: located, judged, with a dry run and an approval, for which
    `by` is who asked. Raises NotFound for an unknown entry, UsageError for values that it does
    not take, and Refused for an entry that neither matches nor considers the alert, or whose
    values cannot be found, and for an alert that is over or is being handled.
    """
    check_actor(by)
    chosen = project.catalog.get(entry)
    if chosen.kind != "remediation":
        raise Refused(f"{entry} is a {chosen.kind}; only remediations are proposed for alerts")
    refuse_unattended(project, chosen)
    chosen_values = parameters.chosen(chosen, project.catalog.schema(entry), values)
    why = storable(reason.strip()[:MAX_TEXT])
    inventory = project.inventory()  # it may run Ansible, which nobody who writes shall wait for
    with project.database.write() as tx:
        found = incidents.get(tx, incident)
        if not found.state.ended:
            raise Refused(f"incident {incident} has not ended: {found.state}")
        if found.alert.source == BY_HAND:
            raise Refused(f"incident {incident} was a manual run; use `runner run {entry}`")
        if not incidents.still_firing(tx, incident):
            raise Refused(f"incident {incident}: its alert is no longer firing")
        latest = incidents.latest_of(tx, found.alert.fingerprint)
        if latest is not None and not latest.state.ended:
            raise Refused(f"incident {latest.id} handles this alert already: {latest.state}")
        _require_fit(project, found, chosen, inventory)
        text = f"{by} proposed {entry} for the alert of incident {incident}"
        opened = incidents.reopen(
            tx,
            found,
            reason=f"{text}: {why}" if why else text,
            actor=by,
            proposal={"entry": entry, "values": chosen_values},
        )
        project.queue.remediate(tx, opened)
    return opened


def _require_fit(project: Project, incident: Incident, entry: Entry, inventory: Inventory) -> None:
    """Raise Refused unless the entry may be proposed for the incident's alert."""
    labels = incident.alert.labels
    if not entry.eligible(labels) and not entry.considered(labels):
        raise Refused(
            f"{entry.id} neither matches nor considers this alert: {why_not(labels, entry)}; "
            f"widen its `consider`, or use `runner run {entry.id}`"
        )
    known = [host for host in incident.hosts if host in inventory.hosts]
    on = [inventory.hosts[host].variables for host in known]
    meant = inventory.services.meant_on(labels, known)
    if missing := unfound(entry, project.catalog, labels, on, meant):
        raise Refused(f"{entry.id} cannot be proposed here: {missing}")
