"""Labels of an alert that name another host than the one it is taken to be about."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog.entry import Entry
from runner.incident import Incident
from runner.inventory import Inventory, locate
from runner.text import brief

#: Labels that name the host of an alert, wherever they come from.
HOST_LABELS = (
    "instance",
    "exported_instance",
    "host",
    "hostname",
    "exported_host",
    "node",
    "nodename",
    "fqdn",
    "machine",
    "server",
)


def other_hosts(incident: Incident, entry: Entry, inventory: Inventory) -> Iterator[str]:
    """A sentence for each label that names an inventory host which is not the incident's.

    Where the entry goes by another label, `instance` only says what was scraped.
    """
    if incident.requested_by is not None or not incident.hosts:
        return
    labels = incident.alert.labels
    for name in HOST_LABELS:
        if name not in labels or (name == "instance" and entry.target.label != "instance"):
            continue
        found = locate(labels, name, inventory).hosts
        if found and not set(found) <= set(incident.hosts):
            hosts = ", ".join(incident.hosts)
            yield f'The label {name}="{brief(labels[name], 60)}" names {found[0]}, not {hosts}'
