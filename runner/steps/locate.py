"""From labels to exact inventory hosts, and whether another incident handles them already."""

from __future__ import annotations

from runner.incident import Incident, State
from runner.inventory import Inventory
from runner.inventory import locate as locate_host
from runner.project import Project
from runner.steps.progress import advance, escalate, load, passed
from runner.store import incidents
from runner.text import visible


def locate(project: Project, incident_id: int) -> bool:
    """Labels to exact inventory hosts; none or several is for a person."""
    incident = load(project, incident_id)
    if passed(incident, State.LOCATED):
        return not incident.state.ended
    inventory = project.inventory()
    if incident.requested_hosts:
        return _locate_requested(project, incident, inventory)
    labels = incident.alert.labels
    place = locate_host(labels, project.catalog.target_labels(labels), inventory)
    if not place.hosts:
        return escalate(project, incident_id, f"not located: {place.reason}")
    if not _join(project, incident, place.hosts):
        return False
    return advance(project, incident_id, State.LOCATED, place.reason, hosts=list(place.hosts))


def _locate_requested(project: Project, incident: Incident, inventory: Inventory) -> bool:
    unknown = [host for host in incident.requested_hosts if not inventory.exact(host)]
    if unknown:
        return escalate(project, incident.id, f"not in the inventory: {', '.join(unknown)}")
    hosts = sorted(incident.requested_hosts)
    reason = f"asked for {', '.join(hosts)}"
    return advance(project, incident.id, State.LOCATED, reason, hosts=hosts)


def _join(project: Project, incident: Incident, hosts: tuple[str, ...]) -> bool:
    """False when another incident handles this one too: same host and service, or its cause.

    One that waited for another incident does so once, and is then handled by itself: alerts that
    joined one another in turn would be taken up all together each time.
    """
    if incident.woken:
        return True
    correlation = project.config.correlation
    needs = _needed_hosts(project.inventory(), hosts, correlation.topology)
    since = incident.created_at - correlation.window
    with project.database.write() as tx:
        for other in incidents.open_on(tx, [*hosts, *needs], incident.id):
            if other.state is State.HELD:  # nobody handles it now
                continue
            if other.created_at < since or other.requested_by or incident.requested_by:
                continue
            if reason := _related(incident, other, hosts, needs, correlation.same_host):
                incidents.move(tx, incident.id, State.SUPPRESSED, reason, joined=other.id)
                return False
    return True


def _needed_hosts(inventory: Inventory, hosts: tuple[str, ...], variable: str) -> list[str]:
    """Hosts that `hosts` depend on, as their inventory variable says."""
    needed: list[str] = []
    for host in hosts:
        value = inventory.hosts[host].variables.get(variable, [])
        needed += [value] if isinstance(value, str) else [str(name) for name in value or ()]
    return [name for name in needed if name in inventory.hosts and name not in hosts]


def _related(
    incident: Incident, other: Incident, hosts: tuple[str, ...], needs: list[str], same_host: bool
) -> str | None:
    shared = sorted(set(hosts) & set(other.hosts))
    service = incident.alert.labels.get("service")
    if same_host and shared and service == other.alert.labels.get("service"):
        what = f" and service {visible(service)}" if service else ""
        return f"joined incident {other.id}: same host {shared[0]}{what}"
    cause = sorted(set(needs) & set(other.hosts))
    if cause:
        return f"joined incident {other.id}: {hosts[0]} depends on {cause[0]}"
    return None
