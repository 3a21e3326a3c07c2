"""Why the host of an incident may be another one than its alert is about."""

from __future__ import annotations

from runner.catalog.entry import Entry
from runner.config import Locate
from runner.incident import Incident
from runner.inventory import Inventory
from runner.inventory.location import find


def other_hosts(
    incident: Incident, entry: Entry, inventory: Inventory, settings: Locate
) -> list[str]:
    """A clause for each label that names another inventory host than the incident's, and where
    no label names that one: a series of Prometheus did."""
    if incident.requested_by is not None or not incident.hosts:
        return []
    labels = incident.alert.labels
    return find(labels, inventory, settings, first=entry.target.first).doubts(incident.hosts)
