"""What people and other programs may do; the command line and the web both call these."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from runner import drill, plan
from runner.autonomy.record import Earned, Feedback, Key, Setting
from runner.catalog import parameters
from runner.catalog.entry import PLACES, Entry
from runner.catalog.scan import scan
from runner.config import Sender
from runner.errors import BadDelivery, NotFound, Refused, UsageError
from runner.incident import SOURCES, Alert, AlertStatus, Approval, Labels, Level, State
from runner.intake import senders
from runner.intake.admit import BEFORE_RUN
from runner.intake.payload import Delivery, Unread, parse
from runner.inventory import Inventory
from runner.plan.places import in_order
from runner.plan.reach import refuse_unreached
from runner.policy import approve
from runner.project import Project
from runner.steps import learn
from runner.store import (
    approvals,
    audit_log,
    clock,
    dead_letters,
    deliveries,
    incidents,
    learning,
    records,
    switches,
)
from runner.text import storable, visible

_NAME = re.compile(r"user:[^\x00-\x1f\x7f]{1,64}")
#: How long a reason or comment of a person may be.
MAX_TEXT = 2000
#: Labels that every request has, of which no value of a person takes the place.
_OWN_LABELS = ("alertname", "entry", "instance")


@dataclass(frozen=True, kw_only=True)
class Received:
    """What became of a body that was handed in."""

    delivery: int  #: its number in the store
    alerts: tuple[Alert, ...]  #: stored; never lost from here on
    unread: tuple[Unread, ...] = ()  #: kept as dead letters
    quiet: int = 0  #: silenced or inhibited, and left out


def deliver(
    project: Project,
    body: bytes,
    *,
    source: str,
    ceiling: Level = Level.AUTO,
    sender: str | None = None,
) -> Received:
    """Store a delivery. Once this returns, it is never lost (invariant 1).

    What cannot be read is kept as a dead letter: single alerts, or the body, for which it
    raises BadDelivery. Raises StoreError when nothing can be stored. `sender` is whose
    credential brought it.
    """
    at = datetime.now(UTC)
    origin: dict[str, Any] = {"source": source, "sender": sender, "ceiling": ceiling, "at": at}
    try:
        found = _read(project, body, source, at)
    except BadDelivery as error:
        refuse(project, body, reason=str(error), **origin)
        raise
    with project.database.write() as tx:
        delivery = _keep(tx, found, **origin)
    project.delivered()
    return Received(delivery=delivery, alerts=found.alerts, unread=found.unread, quiet=found.quiet)


def deliver_own(project: Project, found: Delivery) -> None:
    """Store a delivery that the runner has composed itself. Raises StoreError."""
    sender = None if found.source in SOURCES else f"source:{found.source}"
    origin: dict[str, Any] = {"source": found.source, "sender": sender, "ceiling": Level.AUTO}
    with project.database.write() as tx:
        _keep(tx, found, **origin, at=datetime.now(UTC))
    project.delivered()


def _read(
    project: Project, body: bytes, source: str, at: datetime, *, single: bool = False
) -> Delivery:
    """What a body brings; with `single`, one alert of a body. Raises BadDelivery."""
    if source in SOURCES:
        whole = b'{"version": "4", "alerts": [' + body + b"]}" if single else body
        return parse(whole, source=source, at=at)
    return senders.read(body, sender_called(project, source), at, single=single)


def sender_called(project: Project, name: str) -> Sender:
    """The sender of this name. Raises NotFound."""
    found = project.config.intake.source(name)
    if found is None:
        raise NotFound(f"there is no source {visible(name)} in intake.sources of runner.yml")
    return found


def _keep(
    tx: Any, found: Delivery, *, source: str, sender: str | None, ceiling: Level, at: datetime
) -> int:
    delivery = deliveries.add(
        tx,
        body=found.raw,
        alerts=found.alerts,
        source=source,
        sender=sender,
        ceiling=ceiling,
        at=at,
    )
    for each in found.unread:
        dead_letters.add(
            tx,
            body=each.content,
            reason=each.reason,
            source=source,
            sender=sender,
            ceiling=ceiling,
            at=at,
            delivery=delivery,
            position=each.position,
        )
    return delivery


def refuse(
    project: Project,
    body: bytes,
    *,
    reason: str,
    source: str,
    sender: str | None = None,
    ceiling: Level = Level.AUTO,
    at: datetime | None = None,
) -> None:
    """Keep a body that was refused, so that people can see it and hand it in again."""
    with project.database.write() as tx:
        dead_letters.add(
            tx,
            body=body,
            reason=reason,
            source=source,
            sender=sender,
            ceiling=ceiling,
            at=at or datetime.now(UTC),
        )


def replay(project: Project, letter: int, *, by: str) -> Received:
    """Hand a dead letter in again, in the name of who sent it.

    Raises Refused when it was replayed already, is not whole, or still cannot be read.
    """
    check_actor(by)
    now = datetime.now(UTC)
    with project.database.write() as tx:
        found = dead_letters.get(tx, letter)
        if found.replayed_at is not None:
            raise Refused(f"dead letter {letter} was replayed as delivery {found.replayed_as}")
        if not found.whole:
            raise Refused(
                f"dead letter {letter} had {found.size} bytes, of which only the first "
                f"{len(found.body)} were kept; let its sender send it again"
            )
        single = found.position is not None
        try:
            read = _read(project, found.body, found.source, now, single=single)
        except BadDelivery as error:
            raise Refused(f"dead letter {letter} still cannot be read: {error}") from None
        if read.unread:
            still = f"{len(read.unread)} of its alerts"
            raise Refused(f"{still} still cannot be read: {read.unread[0].reason}")
        delivery = _keep(
            tx,
            read,
            source=found.source,
            # Neither who sent it nor who hands it in again approves what comes of it.
            sender=", ".join(dict.fromkeys(filter(None, [found.sender, by]))),
            ceiling=found.ceiling,
            at=now,
        )
        if not dead_letters.replayed(tx, letter, by=by, delivery=delivery, at=now):
            raise Refused(f"dead letter {letter} was replayed by somebody else just now")
        said = f"dead letter {letter} replayed as delivery {delivery}"
        audit_log.append(tx, action="replay", reason=said, actor=by, at=now)
    project.delivered()
    return Received(delivery=delivery, alerts=read.alerts, quiet=read.quiet)


def request_run(
    project: Project,
    *,
    entry: str,
    hosts: Sequence[str],
    values: Mapping[str, Any],
    by: str,
    ceiling: Level = Level.AUTO,
) -> int:
    """Open an incident for a run that a person asks for, under the same rails; its id.

    Raises NotFound for an unknown entry, UsageError for values it does not take, and
    Refused for a host that is not an exact inventory name or a drill or probe that is not.
    """
    check_actor(by)
    chosen = project.catalog.get(entry)
    if chosen.kind == "drill":
        raise Refused(f"{entry} is a drill; `runner drill run {entry}` injects it")
    refuse_unattended(project, chosen)
    inventory = project.inventory()
    check_hosts(inventory, hosts)
    if not chosen.placed:
        found = scan(chosen, project.catalog.roles)
        refuse_unreached(chosen, found, set(hosts), inventory)
    # Labels that a person's values stand for, and values of `choice` parameters.
    labels, choices = {}, {}
    for name, value in values.items():
        parameter = chosen.parameters.get(name)
        if parameter is not None and parameter.kind == "label":
            free = [label for label in parameter.labels if label not in _OWN_LABELS]
            if not free:
                raise UsageError(f"{entry}: {name} comes from the run itself; leave it out")
            labels[free[-1]] = str(value)
        else:
            choices[name] = value
    labels |= {"alertname": "ByHand", "entry": entry, "instance": hosts[0]}
    _refuse_values(project, chosen, hosts, labels, choices)
    request = {"entry": entry, "hosts": sorted(set(hosts)), "values": choices}
    return _open(project, labels, request, by, ceiling, project.queue.remediate)


def request_drill(project: Project, *, entry: str, host: str, span: timedelta, by: str) -> int:
    """Open the incident of a drill, which injects a fault on one host for a while; its id.

    Raises what `check_drill` raises.
    """
    check_actor(by)
    values = check_drill(project, entry=entry, host=host, span=span)
    labels = _drill_labels(entry, host)
    request = {"entry": entry, "hosts": [host], "values": values}
    return _open(project, labels, request, by, Level.AUTO, project.queue.drill)


def check_drill(project: Project, *, entry: str, host: str, span: timedelta) -> dict[str, Any]:
    """The values of a drill that may be injected on a host now.

    Raises NotFound for an unknown drill, UsageError for a time that it does not take, and
    Refused for what is no drill, for a host whose inventory does not say `runner_drill: true`,
    while everything is paused, and while an incident is open on the host.
    """
    chosen = project.catalog.drill(entry)
    refuse_unattended(project, chosen)
    inventory = project.inventory()
    check_hosts(inventory, [host])
    drill.check(inventory, touched(project, chosen, [host]))
    values = {drill.seconds_variable(chosen.role or ""): int(span.total_seconds())}
    labels = _drill_labels(entry, host)
    hostvars = parameters.agreed(chosen, [inventory.hosts[host].variables])
    schema = project.catalog.schema(entry)
    parameters.resolve(chosen, schema, labels=labels, hostvars=hostvars, chosen=values)
    with project.database.read() as tx:
        if reason := switches.paused(tx):
            raise Refused(f"no drill now: {reason}")
        if at_work := incidents.open_on(tx, [host], drill.NEWEST):
            raise Refused(f"incident {at_work[0].id} is open on {host}; wait until it has ended")
    return values


def refuse_unattended(project: Project, entry: Entry) -> None:
    """Raise Refused for what can never be run, before there is an incident of it."""
    catalog = project.catalog
    for placed in in_order(entry, catalog) if entry.steps else ():
        plan.refuse_unattended(placed.entry, scan(placed.entry, catalog.roles))
    plan.refuse_unattended(entry, scan(entry, catalog.roles))


def _drill_labels(entry: str, host: str) -> dict[str, str]:
    return {"alertname": "Drill", "entry": entry, "instance": host}


def touched(project: Project, entry: Entry, hosts: Sequence[str]) -> tuple[str, ...]:
    """The hosts that an entry acts on when it is run on `hosts`: those, and its delegates."""
    found = scan(entry, project.catalog.roles)
    return tuple(sorted({*hosts, *found.delegates}))


def check_hosts(inventory: Inventory, hosts: Sequence[str]) -> None:
    """Raise UsageError for no host, Refused for what is none of the inventory."""
    if not hosts:
        raise UsageError("name at least one host with --host")
    for host in hosts:
        if host not in inventory.hosts:
            raise Refused(f"{visible(host)} is not a host of the inventory; give its exact name")


def _refuse_values(
    project: Project,
    entry: Entry,
    hosts: Sequence[str],
    labels: Labels,
    choices: Mapping[str, Any],
) -> None:
    """Raise what the plan would raise, while the person who typed it is still looking."""
    if entry.placed and len(set(hosts)) > 1:
        raise UsageError(f"{entry.id} acts for one host at a time; name one with --host")
    if entry.placed and not choices:
        return  # whose variables count is known when its places are filled
    inventory, specs = project.inventory(), project.catalog.schema(entry.id)
    # What an alert would tell by a label comes from the person, too: there is no alert.
    missing = [
        name
        for name, parameter in entry.parameters.items()
        if name in specs
        and specs[name].required
        and (
            (parameter.kind == "label" and not any(map(labels.get, parameter.labels)))
            or (parameter.kind == "services" and name not in choices)
            or (parameter.kind == "choice" and name not in choices and parameter.value is None)
        )
    ]
    if missing and not choices.keys() - entry.parameters.keys():  # a wrong name is told first
        needed = ", ".join(missing)
        given = " ".join(f"-p {name}=VALUE" for name in missing)
        raise UsageError(f"{entry.id} needs a value for {needed}: give it with {given}")
    parameters.resolve(
        entry,
        specs,
        labels=labels,
        hostvars=parameters.agreed(entry, (inventory.hosts[h].variables for h in hosts)),
        chosen=choices,
        places=dict.fromkeys(PLACES, hosts[0]),
        meant=inventory.services.meant_on(labels, hosts),
    )


def _open(
    project: Project,
    labels: Labels,
    request: Mapping[str, Any],
    by: str,
    ceiling: Level,
    start: Callable[[Any, int], None],
) -> int:
    """Open the incident of a request; `start` queues what shall happen with it."""
    now = datetime.now(UTC)
    mark = hashlib.sha256(f"{now.isoformat()} {by} {labels}".encode()).hexdigest()[:16]
    alert = Alert(
        fingerprint=f"hand-{mark}",
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={},
        starts_at=now,
        source="person",
    )
    with project.database.write() as tx:
        opened = incidents.open_incident(
            tx,
            alert,
            environment=project.config.environment,
            ceiling=ceiling,
            reason=f"{by} asked for {request['entry']} on {', '.join(request['hosts'])}",
            requested_by=by,
            request=request,
        )
        start(tx, opened)
    return opened


def answer(
    project: Project,
    approval: int,
    *,
    answer: str,
    by: str,
    comment: str = "",
    plan: str | None = None,
) -> Approval:
    """Write a person's answer and let the incident go on; the approval with its answer.

    Raises Refused when it does not count: late, second, by the wrong person, other plan.
    """
    check_actor(by)
    if answer not in ("approved", "denied"):
        raise UsageError(f"the answer is approved or denied, not {visible(answer)}")
    with project.database.write() as tx:
        now = clock.now(tx)
        question = approvals.get(tx, approval)
        incidents.lock(tx, question.incident)
        incident = incidents.get(tx, question.incident)
        current = records.plan_of(tx, incident.id)
        settings = project.config.approval
        approve.check(
            question,
            by=by,
            plan=plan,
            current_plan=current.hash if current else "",
            settings=settings,
            now=now,
        )
        if answer == "approved":
            approve.check_four_eyes(question, by=by, settings=settings)
        if incident.state is not State.WAITING:
            raise Refused(f"incident {incident.id} no longer waits: {incident.reason}")
        text = comment[:MAX_TEXT]
        if not approvals.answer(tx, approval, answer=answer, by=by, at=now, comment=text):
            raise Refused(f"approval {approval} was answered by somebody else just now")
        incidents.move(
            tx,
            incident.id,
            State.APPROVED if answer == "approved" else State.DENIED,
            f"{answer} by {by}" + (f": {text}" if text else ""),
            expected={State.WAITING},
            actor=by,
            detail={"approval": question.id, "plan": question.plan},
        )
        if answer == "approved":
            project.queue.proceed(tx, incident.id, question.id)
        return approvals.get(tx, approval)


def cancel(project: Project, incident: int, *, by: str, reason: str) -> None:
    """Stop an incident: at once when nothing runs, else as soon as the run has been ended."""
    check_actor(by)
    with project.database.write() as tx:
        found = incidents.get(tx, incident)
        if found.state.ended:
            raise Refused(f"incident {incident} has ended already: {found.state}")
        incidents.request_cancel(tx, incident)
        text = f"cancelled by {by}: {reason[:MAX_TEXT]}"
        if not incidents.move(tx, incident, State.CANCELLED, text, expected=BEFORE_RUN, actor=by):
            audit_log.append(tx, action="cancel", reason=text, incident=incident, actor=by)


def retry(project: Project, incident: int, *, by: str, reason: str) -> int:
    """Handle an ended incident again, as a new one on the same alert; its id."""
    check_actor(by)
    with project.database.write() as tx:
        found = incidents.get(tx, incident)
        if not found.state.ended:
            raise Refused(f"incident {incident} has not ended: {found.state}")
        if project.catalog.is_drill(found.requested_entry):
            raise Refused(f"incident {incident} is a drill; start a new one instead")
        if not incidents.still_firing(tx, incident) and found.requested_by is None:
            raise Refused(f"incident {incident}: its alert is no longer firing")
        text = f"incident {incident} again, asked by {by}: {reason[:MAX_TEXT]}"
        opened = incidents.reopen(tx, found, reason=text, actor=by)
        project.queue.remediate(tx, opened)
    return opened


def feedback(project: Project, incident: int, *, right: bool, by: str, reason: str) -> Feedback:
    """Keep a person's word on an incident; it counts in the record of its entry at once.

    Raises UsageError without a reason, and Refused while the incident goes on.
    """
    check_actor(by)
    text = reason.strip()[:MAX_TEXT]
    if not text:
        raise UsageError("give a reason; it is kept with the record")
    now = datetime.now(UTC)
    with project.database.write() as tx:
        found = incidents.get(tx, incident)
        if not found.state.ended:
            raise Refused(f"incident {incident} has not ended: {found.state}")
        word = Feedback(incident=incident, right=right, by=by, reason=storable(text), at=now)
        learning.say(tx, word)
    if found.entry is not None and found.requested_by is None:
        learn.note(project, learn.key_of(found, found.entry), now, by)
    return word


def set_autonomy(
    project: Project, key: Key, level: Level, *, by: str, reason: str = "", hold: bool = False
) -> Earned:
    """Give a record a level from which it goes on; what it has earned now.

    Raises Refused where nothing is earned or lost, NotFound for an unknown entry, and
    UsageError for a higher level without a reason. Every ceiling still holds.
    """
    check_actor(by)
    if not project.config.autonomy.earn:
        raise Refused("autonomy.earn is false in runner.yml, so records change no level")
    project.catalog.get(key.entry)
    if not all(0 < len(part) <= MAX_TEXT for part in (key.alertname, key.environment)):
        raise UsageError(f"alert and environment are names of 1 to {MAX_TEXT} characters")
    key = Key(key.entry, storable(key.alertname), storable(key.environment))
    now = datetime.now(UTC)
    text = storable(reason.strip()[:MAX_TEXT])
    learn.note(project, key, now)  # what it earned by itself is told first
    with project.database.write() as tx:
        before = learn.standing(project, tx, key, now)
        if level.rank > before.level.rank and not text:
            raise UsageError(f"{level} is above {before.level}, which was earned: give --reason")
        text = text or "no reason given"
        learning.give(tx, key, Setting(level=level, hold=hold, by=by, reason=text, at=now))
        why = f"{key} is {'held' if hold else 'set'}: {text}"
        learn.tell(tx, key, before.level, level, why, by, now)
        return learn.standing(project, tx, key, now)


def pause(project: Project, *, by: str, reason: str) -> None:
    """Make every incident `observe` until `resume`."""
    check_actor(by)
    with project.database.write() as tx:
        switches.pause(tx, actor=by, reason=reason[:MAX_TEXT] or "no reason given")


def resume(project: Project, *, by: str, reason: str = "") -> None:
    """End the pause. Raises Refused when the runner is not paused."""
    check_actor(by)
    with project.database.write() as tx:
        if not switches.resume(tx, actor=by, reason=reason[:MAX_TEXT] or "no reason given"):
            raise Refused("the runner is not paused")


def check_actor(by: str) -> None:
    """Raise UsageError unless `by` is a person."""
    if not _NAME.fullmatch(by):
        raise UsageError("the actor must be user:NAME, with a name of 1 to 64 characters")
