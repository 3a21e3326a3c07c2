"""Is an alert still ours to handle when its turn comes?"""

from __future__ import annotations

from dataclasses import replace

from runner.errors import RemoteError
from runner.incident import OWN_SOURCES, State
from runner.intake.alertmanager import RELEARNS, Standing
from runner.project import Project
from runner.steps.progress import end, load
from runner.store import incidents

#: How Alertmanager may hold an alert so that it is not ours to handle.
QUIET = frozenset({Standing.SILENCED, Standing.INHIBITED})

#: Why nothing runs for a message that came after the firing it tells of was over.
NOT_LISTED = (
    "a message said before that this firing is over, and Alertmanager does not list the alert, "
    "so nothing was run"
)


def admit(project: Project, incident_id: int) -> bool:
    """Is it ours to handle now? Not what resolved meanwhile, nor what somebody wants quiet.

    Asked of a new incident, and again of one that was held back.
    """
    incident = load(project, incident_id)
    if incident.state not in (State.ADMITTED, State.HELD) or incident.requested_by:
        return not incident.state.ended
    with project.database.read() as tx:
        firing = incidents.still_firing(tx, incident_id)
    if not firing:
        reason = "the alert resolved by itself before anything ran"
        return end(project, incident_id, State.RESOLVED, reason)
    if incident.alert.source in OWN_SOURCES or project.alertmanagers is None:
        return True
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
        return True  # the pre-flight asks again, and then silence is a no
    if incident.state is State.HELD and alert.standing is Standing.ABSENT:
        return end(project, incident_id, State.RESOLVED, "Alertmanager no longer has the alert")
    if alert.standing in QUIET:
        return end(project, incident_id, State.SUPPRESSED, f"{alert.standing}: {alert.reason}")
    if incident.alert.late and alert.standing is Standing.ABSENT:
        return end(project, incident_id, State.RESOLVED, NOT_LISTED)
    if incident.alert.late and alert.firing:
        with project.database.write() as tx:
            incidents.set_alert(tx, incident_id, replace(incident.alert, late=False))
    return True
