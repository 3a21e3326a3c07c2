"""Whether a host may be broken on purpose, and what became of the fault: a game day's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from runner.errors import Refused
from runner.incident import Incident, State, Transition
from runner.incident_report import Bundle
from runner.inventory import Inventory

#: The inventory variable that allows drills on a host; only `true` does.
VARIABLE = "runner_drill"
#: An id above that of every incident.
NEWEST = 2**62
#: The parts of the time from fault to end, in their order.
PHASES = ("detect", "decide", "run", "verify")
#: How a game ends when no incident came of the fault.
UNDETECTED = "undetected"


def seconds_variable(role: str) -> str:
    """The variable in which a drill's role takes its time: `fault_seconds` for `fault` and for
    `runner.remediation.fault`."""
    return f"{role.rpartition('.')[2]}_seconds"


def check(inventory: Inventory, hosts: Sequence[str]) -> None:
    """Raise Refused unless every host allows drills."""
    for host in hosts:
        if host not in inventory.hosts:
            raise Refused(f"the drill also acts on {host}, which the inventory does not have")
        if inventory.hosts[host].variables.get(VARIABLE) is not True:
            raise Refused(
                f"{host} does not allow drills; set {VARIABLE}: true for it in the inventory"
            )


@dataclass(frozen=True, kw_only=True)
class Game:
    """One fault on one host, and what the runner made of it."""

    drill: str  #: the entry that injected it
    host: str
    result: str  #: undetected, or the state in which the incident ended: fixed, escalated …
    reason: str
    injected_at: datetime
    incident: int | None = None  #: that the fault led to
    alert: str = ""
    entry: str | None = None  #: that was chosen
    phases: Mapping[str, float]  #: seconds; a phase that was never reached is left out
    total: float | None = None  #: seconds from fault to end


def game(*, drill: str, host: str, injected_at: datetime, found: Bundle | None) -> Game:
    """The figures of one fault; `found` is the incident that came of it, at its end."""
    if found is None:
        reason = "no alert of the fault led to an incident in time"
        return Game(
            drill=drill,
            host=host,
            result=UNDETECTED,
            reason=reason,
            injected_at=injected_at,
            phases={},
        )
    incident = found.incident
    return Game(
        drill=drill,
        host=host,
        result=str(incident.state),
        reason=incident.reason,
        injected_at=injected_at,
        incident=incident.id,
        alert=incident.alert.name,
        entry=incident.entry,
        phases=phases(injected_at, found.transitions),
        total=_seconds(incident.updated_at - injected_at),
    )


def phases(injected_at: datetime, transitions: Sequence[Transition]) -> dict[str, float]:
    """Seconds of each phase that was reached.

    Detection ends with the incident, the decision with the start of the run or with the end of
    an incident in which nothing ran, verification with the incident's end.
    """
    if not transitions:
        return {}
    first = {row.action: row.at for row in reversed(transitions)}
    opened, ended = transitions[0].at, transitions[-1].at
    running, verifying = first.get(State.RUNNING), first.get(State.VERIFYING)
    spans = {"detect": opened - injected_at, "decide": (running or ended) - opened}
    if running:
        spans["run"] = (verifying or ended) - running
    if verifying:
        spans["verify"] = ended - verifying
    return {name: _seconds(span) for name, span in spans.items()}


def _seconds(span: timedelta) -> float:
    """Not below zero: an alert may arrive before the play has said when it broke the host."""
    return round(max(0.0, span.total_seconds()), 2)


def led_to(incidents: Sequence[Incident], host: str, since: datetime) -> Incident | None:
    """The incident that a fault on `host` led to; None when there is none yet.

    What joined another incident or was suppressed is not the answer to the fault.
    """
    fitting = [
        incident
        for incident in incidents
        if host in incident.hosts
        and incident.created_at >= since
        and incident.requested_by is None
        and incident.state is not State.SUPPRESSED
    ]
    return min(fitting, key=lambda incident: incident.id, default=None)


def medians(games: Sequence[Game]) -> dict[str, float]:
    """The median of each phase, over the games that reached it."""
    found = {phase: [g.phases[phase] for g in games if phase in g.phases] for phase in PHASES}
    found["total"] = [game.total for game in games if game.total is not None]
    return {name: round(median(values), 2) for name, values in found.items() if values}
