"""Numbered facts from the store, Alertmanager and Prometheus, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runner.errors import RemoteError
from runner.evidence.number import number
from runner.incident import Evidence, Incident, Labels, State
from runner.incident_report import Bundle
from runner.inventory import Inventory
from runner.inventory.location import locate
from runner.project import Project
from runner.store import approvals, incidents, switches
from runner.text import brief
from runner.text.duration import write

RECENT = timedelta(days=1)  #: how far back ended incidents are told
MOST = 15  #: facts of one kind
_TEXT = 300
_FINE = (State.FIXED, State.RESOLVED, State.OBSERVED, State.DRY_RUN, State.SUPPRESSED)
_BAD = tuple(state for state in State if state.ended and state not in _FINE)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that is so, where it was read, and which hosts it is about."""

    number: int
    kind: str  #: approval, incident, alert, target, pause, missing, reason, evidence
    source: str
    text: str  #: masked and harmless to show
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Piece:
    kind: str
    source: str
    text: str
    hosts: tuple[str, ...] = ()


def of_project(project: Project, inventory: Inventory | None) -> tuple[Fact, ...]:
    """How everything is now. A source that does not answer is a fact, too. Raises StoreError."""
    now = datetime.now(UTC)
    pieces = [
        *_recorded(project, now),
        *_alerts(project, inventory, now),
        *_targets(project, inventory),
    ]
    return _numbered(pieces, project.mask, now)


def of_incident(
    found: Bundle, why: Sequence[tuple[str, str]], project: Project
) -> tuple[Fact, ...]:
    """What is recorded of one incident: how it went, why, and its evidence."""
    incident = found.incident
    pieces = [_incident(incident, datetime.now(UTC))]
    pieces += [_Piece("reason", f"incident {incident.id}", f"{a}: {t}") for a, t in why]
    pieces += [
        _Piece("evidence", item.source, f"{item.title}: {item.text}", incident.hosts)
        for item in found.evidence
    ]
    return _numbered(pieces, project.mask, datetime.now(UTC))


def by_host(facts: Sequence[Fact]) -> list[tuple[str, tuple[int, ...]]]:
    """The hosts that facts are about with their numbers, those with most facts first."""
    hosts: dict[str, list[int]] = {}
    for fact in facts:
        for host in fact.hosts:
            hosts.setdefault(host, []).append(fact.number)
    ordered = sorted(hosts.items(), key=lambda item: (-len(item[1]), item[1], item[0]))
    return [(host, tuple(numbers)) for host, numbers in ordered]


def _numbered(
    pieces: Sequence[_Piece], mask: Callable[[str], str], at: datetime
) -> tuple[Fact, ...]:
    """As evidence is: masked, made harmless, within its bounds."""
    given = [
        Evidence(number=0, kind=p.kind, source=p.source, title=p.kind, text=p.text, at=at)
        for p in pieces
    ]
    return tuple(
        Fact(
            number=item.number,
            kind=item.kind,
            source=item.source,
            text=brief(item.text, _TEXT),
            hosts=piece.hosts,
        )
        for item, piece in zip(number(given, mask), pieces, strict=False)
    )


def _recorded(project: Project, now: datetime) -> Iterator[_Piece]:
    with project.database.read() as tx:
        paused = switches.paused(tx)
        waiting = approvals.open_approvals(tx)
        about = {each.incident: incidents.find_one(tx, each.incident) for each in waiting[:MOST]}
        open_ones = incidents.find(tx, ended=False, limit=MOST)
        bad = incidents.find(tx, states=_BAD, since=now - RECENT, limit=MOST)
        good = incidents.find(tx, states=_FINE, since=now - RECENT, limit=MOST)
    if paused:
        yield _Piece("pause", "store", f"the runner is paused: {paused}")
    for approval in waiting[:MOST]:
        hosts = _hosts(about[approval.incident])
        left = write(timedelta(seconds=max(0, int((approval.expires_at - now).total_seconds()))))
        text = f"approval {approval.id} of incident {approval.incident} is pending, {left} left"
        yield _Piece("approval", "store", text, hosts)
    recent = (*bad, *good)[:MOST]
    yield from (_incident(each, now) for each in (*open_ones, *recent))


def _incident(found: Incident, now: datetime) -> _Piece:
    ago = write(timedelta(seconds=max(0, int((now - found.updated_at).total_seconds()))))
    where = ", ".join(found.hosts) or found.alert.labels.get("instance", "no known host")
    did = found.entry or "no entry"
    text = f"incident {found.id}, {found.alert.name} on {where}: {found.state} {ago} ago, {did}"
    return _Piece("incident", "store", f"{text}: {found.reason}", _hosts(found))


def _hosts(found: Incident | None) -> tuple[str, ...]:
    return found.hosts if found is not None else ()


def _alerts(project: Project, inventory: Inventory | None, now: datetime) -> Iterator[_Piece]:
    """What fires at Alertmanager, or at Prometheus itself where no Alertmanager is configured."""
    if project.alertmanagers is None:
        yield from _rules(project, inventory)
        return
    try:
        firing = project.alertmanagers.active_alerts()
    except RemoteError as error:
        yield _Piece("missing", "Alertmanager", f"what fires is not known: {error}")
        return
    for each in firing[:MOST]:
        age = write(timedelta(seconds=max(0, int((now - each.starts_at).total_seconds()))))
        text = f"{each.name} has fired for {age}, {_named(each.labels)}"
        if said := each.annotations.get("summary") or each.annotations.get("description"):
            text += f": {said}"
        yield _Piece("alert", "Alertmanager", text, _where(each.labels, inventory))
    yield from _more("alert", "Alertmanager", len(firing), "alerts fire")


def _rules(project: Project, inventory: Inventory | None) -> Iterator[_Piece]:
    if project.prometheus is None:
        yield _Piece("missing", "configuration", "no Alertmanager and no Prometheus can be asked")
        return
    try:
        firing = [each for each in project.prometheus.alerts() if each.state == "firing"]
    except RemoteError as error:
        yield _Piece("missing", project.prometheus.name, f"what fires is not known: {error}")
        return
    for each in firing[:MOST]:
        text = f"{each.labels.get('alertname', 'unnamed')} fires, {_named(each.labels)}"
        yield _Piece("alert", project.prometheus.name, text, _where(each.labels, inventory))
    yield from _more("alert", project.prometheus.name, len(firing), "alerts fire")


def _targets(project: Project, inventory: Inventory | None) -> Iterator[_Piece]:
    """Targets that Prometheus cannot read."""
    if project.prometheus is None:
        return
    name = project.prometheus.name
    try:
        down = project.prometheus.query("up == 0")
    except RemoteError as error:
        yield _Piece("missing", name, f"which targets are down is not known: {error}")
        return
    for sample in down[:MOST]:
        text = f"target is down: {_named(sample.labels)}"
        yield _Piece("target", name, text, _where(sample.labels, inventory))
    yield from _more("target", name, len(down), "targets are down")


def _more(kind: str, source: str, count: int, what: str) -> Iterator[_Piece]:
    if count > MOST:
        yield _Piece(kind, source, f"{count} {what}, {MOST} of them are shown")


def _named(labels: Labels) -> str:
    shown = ("instance", "service", "job", "severity", "mountpoint")
    return ", ".join(f"{name} {brief(labels[name])}" for name in shown if labels.get(name))


def _where(labels: Labels, inventory: Inventory | None) -> tuple[str, ...]:
    return locate(labels, "instance", inventory).hosts if inventory is not None else ()
