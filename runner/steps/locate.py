"""Whether an alert is still ours to handle, which exact inventory hosts it is about, and whether
another incident handles them already."""

from __future__ import annotations

from dataclasses import replace

from runner.errors import RemoteError
from runner.incident import IGNORED, OWN_SOURCES, Incident, State
from runner.intake.alertmanager import RELEARNS, Standing
from runner.intake.ignore import ignored_by
from runner.inventory.location import find
from runner.project import Project
from runner.steps.part import part_of_alert
from runner.steps.progress import Then, advance, end, escalate, load, passed
from runner.steps.series import by_series
from runner.store import incidents
from runner.text import visible

#: How Alertmanager may hold an alert so that it is not ours to handle.
QUIET = frozenset({Standing.SILENCED, Standing.INHIBITED})

#: Why nothing runs for a message that came after the firing it tells of was over.
NOT_LISTED = (
    "an earlier message said that this alert had resolved, and Alertmanager does not list it; "
    "nothing was run"
)


def admit(project: Project, incident_id: int) -> Then:
    """Is it ours to handle now? Not what resolved meanwhile, nor what somebody wants quiet.

    Asked of a new incident, and again of one that was held back.
    """
    incident = load(project, incident_id)
    if incident.state not in (State.ADMITTED, State.HELD) or incident.requested_by:
        return Then(not incident.state.ended)
    with project.database.read() as tx:
        firing = incidents.still_firing(tx, incident_id)
    if not firing:
        reason = "the alert resolved by itself before anything ran"
        return end(project, incident_id, State.RESOLVED, reason)
    # Alertmanager knows nothing of what the runner found itself, or of other senders' alerts.
    ours = incident.alert.source in OWN_SOURCES
    if ours or incident.alert.other_sender or project.alertmanagers is None:
        return Then.GO_ON
    # A peer that was restarted since cannot tell that an alert is gone. Of a late message, what
    # is asked is whether it fires at all.
    since = incident.created_at if incident.state is State.HELD else None
    if incident.alert.late:
        since = incident.created_at - RELEARNS
    try:
        alert = project.alertmanagers.state_of(
            incident.alert.fingerprint, incident.alert.labels, since=since
        )
    except RemoteError:
        return Then.GO_ON  # the pre-flight asks again, and then silence is a no
    if incident.state is State.HELD and alert.standing is Standing.ABSENT:
        return end(project, incident_id, State.RESOLVED, "Alertmanager no longer has the alert")
    if alert.standing in QUIET:
        return end(project, incident_id, State.SUPPRESSED, f"{alert.standing}: {alert.reason}")
    if incident.alert.late and alert.standing is Standing.ABSENT:
        return end(project, incident_id, State.RESOLVED, NOT_LISTED)
    if incident.alert.late and alert.firing:
        with project.database.write() as tx:
            incidents.set_alert(tx, incident_id, replace(incident.alert, late=False))
    return Then.GO_ON


def _ignored(project: Project, incident: Incident) -> bool:
    """Whether `ignore:` covers it, which then ends it. The transition has a name of its own: a
    receiver that is told of what is suppressed is not told of this."""
    by = ignored_by(incident.alert.labels, project.config.ignore)
    if by is None or incident.requested_by or incident.proposed_by:
        return False
    reason = f"ignored by {by}, under `ignore:` in runner.yml"
    with project.database.write() as tx:
        incidents.move(tx, incident.id, State.SUPPRESSED, reason, detail={"by": by}, action=IGNORED)
    return True


def locate(project: Project, incident_id: int) -> Then:
    """Labels to exact inventory hosts; none or several is for a person. What is ignored ends."""
    incident = load(project, incident_id)
    if passed(incident, State.LOCATED):
        return Then(not incident.state.ended)
    if _ignored(project, incident):
        return Then.STOP
    inventory = project.inventory()
    if incident.requested_hosts:
        unknown = [host for host in incident.requested_hosts if not inventory.exact(host)]
        if unknown:
            also = f"; {inventory.lacks}" if inventory.unread else ""
            text = f"not in the inventory: {', '.join(unknown)}{also}"
            return escalate(project, incident.id, text)
        hosts = sorted(incident.requested_hosts)
        reason = f"asked for {', '.join(hosts)}"
        return advance(project, incident.id, State.LOCATED, reason, hosts=hosts)
    labels = incident.alert.labels
    first = project.catalog.target_labels(labels)
    place = find(labels, inventory, project.config.locate, first=first)
    if not place.hosts and not place.gone:
        place = by_series(project, incident.alert, inventory) or place
    if not place.hosts:
        also = f" ({inventory.lacks})" if inventory.unread and not place.gone else ""
        return escalate(project, incident_id, f"not located: {place.reason}{also}")
    part = part_of_alert(project, incident, place.hosts)
    if _joined(project, incident, place.hosts, part):
        return Then.STOP
    hosts = list(place.hosts)
    return advance(project, incident_id, State.LOCATED, place.reason, hosts=hosts, part=part)


def _joined(project: Project, incident: Incident, hosts: tuple[str, ...], part: str | None) -> bool:
    """Whether another incident handles this one too: same host and service, or its cause.

    Where the part of both is known, it says whether they are about the same; else the label
    `service` does.

    What a person proposed is done for its own alert. One that waited for another incident does
    so once, and is then handled by itself: alerts that joined one another in turn would be taken
    up all together each time.
    """
    if incident.woken or incident.proposed_by:
        return False
    correlation = project.config.correlation
    # Hosts that `hosts` depend on, as their inventory variable says.
    inventory = project.inventory()
    needed: list[str] = []
    for host in hosts:
        value = inventory.hosts[host].variables.get(correlation.topology, [])
        needed += [value] if isinstance(value, str) else [str(name) for name in value or ()]
    needs = [name for name in needed if name in inventory.hosts and name not in hosts]
    service = incident.alert.labels.get("service")
    since = incident.created_at - correlation.window
    with project.database.write() as tx:
        for other in incidents.open_on(tx, [*hosts, *needs], incident.id):
            if other.state is State.HELD:  # nobody handles it now
                continue
            if other.created_at < since or other.requested_by or incident.requested_by:
                continue
            if other.alert.other_sender != incident.alert.other_sender:
                continue  # no sender's alert keeps another's from being handled
            shared = sorted(set(hosts) & set(other.hosts))
            cause = sorted(set(needs) & set(other.hosts))
            if part and other.part:
                same, what = part == other.part, f" and {part}"
            else:
                same = service == other.alert.labels.get("service")
                what = f" and service {visible(service)}" if service else ""
            if correlation.same_host and shared and same:
                why = f"same host {shared[0]}{what}"
            elif cause:
                why = f"{hosts[0]} depends on {cause[0]}"
            else:
                continue
            reason = f"joined incident {other.id}: {why}"
            incidents.move(tx, incident.id, State.SUPPRESSED, reason, joined=other.id)
            return True
    return False
