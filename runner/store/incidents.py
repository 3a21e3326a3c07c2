"""Incident rows: opened once per activation, moved from state to state with a transition each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.errors import NotFound
from runner.incident import ENDED, HELD_AGAIN, Alert, AlertStatus, Incident, Level, State
from runner.store import approvals, audit_log, clock, memory, tables
from runner.store.database import insert
from runner.store.tables import incidents, transitions
from runner.text.duration import write

#: The shortest time for which an incident is held back.
SOONEST = timedelta(seconds=1)
_ENDED = [str(state) for state in ENDED]
_OPEN = [str(state) for state in State if not state.ended]
#: Open, and located by now: a flood of those that only just came need not be read through.
_LOCATED = [str(state) for state in State if not state.ended and state is not State.ADMITTED]


def open_incident(
    tx: sa.Connection,
    alert: Alert,
    *,
    environment: str,
    ceiling: Level,
    reason: str,
    delivery: int | None = None,
    sender: str | None = None,
    requested_by: str | None = None,
    request: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> int:
    """A new incident for an activation that begins now, with its first transition; its id.

    Now is by the database's clock, unless `now` says otherwise.
    """
    opened = now or clock.now(tx)
    values = dict(
        fingerprint=alert.fingerprint,
        alertname=alert.name,
        alert=alert_to_json(alert),
        firing=alert.status is AlertStatus.FIRING,
        state=State.ADMITTED,
        reason=reason,
        environment=environment,
        ceiling=ceiling,
        sender=sender,
        requested_by=requested_by,
        request=dict(request) if request is not None else None,
        hosts=[],
        delivery=delivery,
        created_at=opened,
        updated_at=opened,
    )
    added = _insert(tx, values, opened)
    audit_log.append(
        tx,
        incident=added,
        action=State.ADMITTED,
        reason=reason,
        actor=requested_by or "runner",
        detail={"alert": alert.name, "source": alert.source}
        | ({"sender": sender} if sender else {}),
        at=opened,
    )
    return added


def _insert(tx: sa.Connection, values: dict[str, Any], activation: datetime) -> int:
    """The row of a new activation. A clock that was set back must not make two of them one."""
    while True:
        new = insert(tx, incidents).values(values | {"activation": activation})
        added = tx.execute(
            new.on_conflict_do_nothing(index_elements=["fingerprint", "activation"]).returning(
                incidents.c.id
            )
        ).scalar()
        if added is not None:
            return int(added)
        activation += timedelta(microseconds=1)


def reopen(
    tx: sa.Connection,
    incident: Incident,
    *,
    reason: str,
    actor: str = "runner",
    delivery: int | None = None,
    alert: Alert | None = None,
    ceiling: Level | None = None,
    sender: str | None = None,
    proposal: Mapping[str, Any] | None = None,
) -> int:
    """A new incident on the same alert as one that has ended; its id.

    Where a message asks for it, `alert`, `ceiling` and `sender` are those of the message. With a
    `proposal`, a mapping of `entry` and `values`, that is what `actor` proposes for the alert.
    An earlier proposal counts for its own incident only.
    """
    now = clock.now(tx)
    row = tx.execute(sa.select(incidents).where(incidents.c.id == incident.id)).mappings().one()
    kept = ("fingerprint", "alertname", "alert", "firing", "environment", "ceiling", "request")
    values = {name: row[name] for name in (*kept, "sender")} | {
        "state": State.ADMITTED,
        "reason": reason,
        "requested_by": row["requested_by"],
        "hosts": [],
        "delivery": delivery,
        "created_at": now,
        "updated_at": now,
    }
    request = dict(row["request"] or {})
    if "proposed_by" in request:
        request = {key: value for key, value in request.items() if key == "retried_by"}
    if proposal is not None:
        request |= {**proposal, "proposed_by": actor}
    elif actor != "runner":
        request["retried_by"] = [*incident.retried_by, actor]
    values["request"] = request or None
    if alert is not None:
        values |= {"alert": alert_to_json(alert), "ceiling": ceiling, "sender": sender}
    added = _insert(tx, values, now)
    audit_log.append(
        tx,
        incident=added,
        action=State.ADMITTED,
        reason=reason,
        actor=actor,
        detail={"again": incident.id},
    )
    return added


def move(
    tx: sa.Connection,
    incident: int,
    to: State,
    reason: str,
    *,
    expected: Collection[State] | None = None,
    actor: str = "runner",
    detail: Mapping[str, Any] | None = None,
    action: str | None = None,
    **columns: Any,
) -> bool:
    """Change the state if it is one of `expected` (default: any that has not ended).

    False, and nothing written, when it is not: somebody else was first. The transition is
    called `action` where that is not the state. What ends an incident closes its questions.
    """
    before = tx.execute(
        sa.select(incidents.c.state).where(incidents.c.id == incident).with_for_update()
    ).scalar()
    if before is None:
        return False
    state = State(before)
    allowed = not state.ended if expected is None else state in expected
    if not allowed:
        return False
    columns = {"held_until": None, **columns}
    _set(tx, incident, state=to, reason=reason, **columns)
    audit_log.append(
        tx,
        incident=incident,
        action=action or to,
        reason=reason,
        actor=actor,
        previous=before,
        detail=detail,
    )
    if to.ended:
        approvals.close(tx, incident, f"incident {incident} has ended {to}: {reason}")
        memory.remember(tx, incident)
    return True


def _set(tx: sa.Connection, incident: int, **columns: Any) -> None:
    values = columns | {"updated_at": clock.now(tx)}
    tx.execute(incidents.update().where(incidents.c.id == incident).values(values))


def note(tx: sa.Connection, incident: int, action: str, reason: str) -> bool:
    """Say what an open incident does or waits for, without a change of its state.

    False, and nothing written, when it has ended.
    """
    state = tx.execute(sa.select(incidents.c.state).where(incidents.c.id == incident)).scalar()
    if state is None or State(state).ended:
        return False
    _set(tx, incident, reason=reason)
    audit_log.append(tx, incident=incident, action=action, reason=reason)
    return True


def hold(
    tx: sa.Connection,
    incident: int,
    reason: str,
    *,
    until: datetime,
    longest: timedelta,
    **columns: Any,
) -> bool:
    """Hold an incident back: it is looked at again at `until`. False when it has ended instead.

    In all it is held for `longest`: after that it is for a person. Receivers are told of the
    first time only.
    """
    now = clock.now(tx)
    since = tx.execute(sa.select(incidents.c.held_since).where(incidents.c.id == incident)).scalar()
    deadline = (since or now) + longest
    if now >= deadline:
        text = f"held back for {write(longest)}, and it still fires: {reason}"
        move(tx, incident, State.ESCALATED, text, **columns)
        return False
    until = min(max(until, now + SOONEST), deadline)
    return move(
        tx,
        incident,
        State.HELD,
        f"held until {until:%Y-%m-%d %H:%M:%S} UTC: {reason}",
        action=HELD_AGAIN if since else State.HELD,
        holds=incidents.c.holds + 1,
        held_since=since or now,
        held_until=until,
        **columns,
    )


def round_of(tx: sa.Connection, incident: int) -> int:
    """How often the incident was held back or asked about: each begins a round of its own, and
    what an earlier round still does with the incident no longer counts."""
    asked = sa.select(sa.func.count()).where(tables.approvals.c.incident == incident)
    query = sa.select(incidents.c.holds + asked.scalar_subquery())
    return int(tx.execute(query.where(incidents.c.id == incident)).scalar() or 0)


def held_over(tx: sa.Connection, limit: int = 100) -> tuple[Incident, ...]:
    """Incidents whose time of being held back is over."""
    query = held_over_query(clock.now(tx)).order_by(incidents.c.held_until).limit(limit)
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def held_over_query(now: clock.Moment) -> sa.Select[Any]:
    """The rows of incidents whose time of being held back is over."""
    return sa.select(incidents).where(
        incidents.c.state == State.HELD, incidents.c.held_until <= now
    )


def let_go(tx: sa.Connection, incident: int) -> bool:
    """Say that a held incident is looked at now; False when somebody else just did."""
    held = (
        (incidents.c.id == incident)
        & (incidents.c.state == State.HELD)
        & incidents.c.held_until.is_not(None)
    )
    values = {"held_until": None, "updated_at": clock.now(tx)}
    return tx.execute(incidents.update().where(held).values(values)).rowcount == 1


def lock(tx: sa.Connection, incident: int) -> None:
    """Let nobody else change the incident until the end of this transaction. Whoever changes its
    question as well does this first, so that no two wait for each other."""
    tx.execute(sa.select(incidents.c.id).where(incidents.c.id == incident).with_for_update())


def get(tx: sa.Connection, incident: int) -> Incident:
    """The incident; NotFound when there is none."""
    found = find_one(tx, incident)
    if found is None:
        raise NotFound(f"there is no incident {incident}; see `runner incident list`")
    return found


def find_one(tx: sa.Connection, incident: int) -> Incident | None:
    """The incident, or None."""
    row = tx.execute(sa.select(incidents).where(incidents.c.id == incident)).mappings().first()
    return from_row(row) if row else None


def latest_of(tx: sa.Connection, fingerprint: str) -> Incident | None:
    """The newest incident of a fingerprint."""
    query = (
        sa.select(incidents)
        .where(incidents.c.fingerprint == fingerprint)
        .order_by(incidents.c.id.desc())
        .limit(1)
    )
    row = tx.execute(query).mappings().first()
    return from_row(row) if row else None


def of_fingerprint(tx: sa.Connection, beginning: str, limit: int = 50) -> tuple[Incident, ...]:
    """Incidents whose fingerprint begins so, newest first."""
    query = (
        sa.select(incidents)
        .where(incidents.c.fingerprint.startswith(beginning, autoescape=True))
        .order_by(incidents.c.id.desc())
        .limit(limit)
    )
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def known(tx: sa.Connection, fingerprints: Collection[str]) -> dict[str, Incident]:
    """The newest incident of each of these fingerprints."""
    newest = (
        sa.select(sa.func.max(incidents.c.id))
        .where(incidents.c.fingerprint.in_(list(fingerprints)))
        .group_by(incidents.c.fingerprint)
    )
    query = sa.select(incidents).where(incidents.c.id.in_(newest))
    return {row["fingerprint"]: from_row(row) for row in tx.execute(query).mappings()}


def find(
    tx: sa.Connection,
    *,
    states: Collection[State] = (),
    ended: bool | None = None,
    since: datetime | None = None,
    limit: int = 50,
    before: int | None = None,
) -> tuple[Incident, ...]:
    """Incidents by state, newest first."""
    query = sa.select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if states:
        query = query.where(incidents.c.state.in_([str(state) for state in states]))
    if ended is not None:
        # By their names: an index finds what is in a list, and not what is in none.
        query = query.where(incidents.c.state.in_(_ENDED if ended else _OPEN))
    if since is not None:
        query = query.where(incidents.c.updated_at >= since)
    if before is not None:
        query = query.where(incidents.c.id < before)
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def delivered_again(tx: sa.Connection, incident: int) -> None:
    """Count a redelivery; nothing else happens."""
    tx.execute(
        incidents.update()
        .where(incidents.c.id == incident)
        .values(deliveries=incidents.c.deliveries + 1)
    )


def opened_since(tx: sa.Connection, fingerprint: str, since: datetime) -> int:
    """How many incidents of a fingerprint were opened since then."""
    query = sa.select(sa.func.count()).select_from(incidents)
    theirs = (incidents.c.fingerprint == fingerprint) & (incidents.c.created_at >= since)
    return int(tx.execute(query.where(theirs)).scalar_one())


def resolved(tx: sa.Connection, fingerprint: str) -> tuple[int, ...]:
    """Note that an alert fires no more; the incidents that it fired for."""
    theirs = (incidents.c.fingerprint == fingerprint) & incidents.c.firing
    ids = tuple(tx.execute(sa.select(incidents.c.id).where(theirs)).scalars())
    for each in ids:
        set_firing(tx, each, False)
    return ids


def over(tx: sa.Connection, fingerprint: str) -> None:
    """Note that what fires from now on is no longer what these incidents are about."""
    theirs = (incidents.c.fingerprint == fingerprint) & incidents.c.firing
    tx.execute(incidents.update().where(theirs).values(firing=False))


def set_firing(tx: sa.Connection, incident: int, firing: bool) -> None:
    """Remember what the last message said of the alert."""
    tx.execute(incidents.update().where(incidents.c.id == incident).values(firing=firing))
    if not firing:
        fresh = (incidents.c.id == incident) & incidents.c.cleared_at.is_(None)
        tx.execute(incidents.update().where(fresh).values(cleared_at=clock.now(tx)))


def set_alert(tx: sa.Connection, incident: int, alert: Alert) -> None:
    """Keep what is known of the alert by now."""
    kept = alert_to_json(alert)
    tx.execute(incidents.update().where(incidents.c.id == incident).values(alert=kept))


def still_firing(tx: sa.Connection, incident: int) -> bool:
    """What the last message said of the alert."""
    query = sa.select(incidents.c.firing).where(incidents.c.id == incident)
    return bool(tx.execute(query).scalar())


def request_cancel(tx: sa.Connection, incident: int) -> None:
    """Ask whoever works on the incident to stop."""
    tx.execute(incidents.update().where(incidents.c.id == incident).values(cancel_requested=True))


def labels_of(tx: sa.Connection, numbers: Collection[int]) -> dict[int, Mapping[str, str]]:
    """Incident → labels of its alert."""
    query = sa.select(incidents.c.id, incidents.c.alert).where(incidents.c.id.in_(list(numbers)))
    return {row.id: row.alert["labels"] for row in tx.execute(query)}


def left_joined(tx: sa.Connection, limit: int = 100) -> tuple[Incident, ...]:
    """Incidents that joined another one which nobody handles any more, though their alert still
    fires: it has ended, or is held back."""
    query = left_joined_query().order_by(incidents.c.id).limit(limit)
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def left_joined_query() -> sa.Select[Any]:
    """The rows of incidents that joined another one which nobody handles any more."""
    other = incidents.alias("other")
    return (
        sa.select(incidents)
        .join(other, other.c.id == incidents.c.joined)
        .where(
            incidents.c.state == State.SUPPRESSED,
            incidents.c.firing,
            other.c.state.in_([*_ENDED, State.HELD]),
        )
    )


def wake(tx: sa.Connection, incident: int, reason: str) -> bool:
    """Handle an incident by itself that had joined another one; False when somebody else just did.

    It is the same row again, and it wakes once: whatever is done from here on is done for it.
    """
    now = clock.now(tx)
    joined = (incidents.c.id == incident) & incidents.c.joined.is_not(None)
    if not tx.execute(incidents.update().where(joined).values(joined=None)).rowcount:
        return False
    return move(
        tx, incident, State.ADMITTED, reason, expected={State.SUPPRESSED}, woken_at=now, hosts=[]
    )


def firing_of(tx: sa.Connection, source: str, limit: int = 10_000) -> tuple[Incident, ...]:
    """The newest incident of each alert from `source` that no message said has resolved."""
    query = sa.select(incidents).where(incidents.c.firing).order_by(incidents.c.id.desc())
    found: dict[str, Incident] = {}
    for row in tx.execute(query.limit(limit)).mappings():
        if row["alert"]["source"] == source:
            found.setdefault(row["fingerprint"], from_row(row))
    return tuple(found.values())


def about(
    tx: sa.Connection, source: str, instance: str, *, since: datetime, limit: int = 100
) -> tuple[Incident, ...]:
    """Incidents of alerts from `source` on `instance` that were opened since then, newest first."""
    query = (
        sa.select(incidents).where(incidents.c.created_at >= since).order_by(incidents.c.id.desc())
    )
    found = (from_row(row) for row in tx.execute(query).mappings())
    fitting = (
        incident
        for incident in found
        if incident.alert.source == source and incident.alert.labels.get("instance") == instance
    )
    return tuple(itertools.islice(fitting, limit))


def of_delivery(tx: sa.Connection, delivery: int) -> tuple[int, ...]:
    """Incidents that this delivery opened."""
    query = sa.select(incidents.c.id).where(incidents.c.delivery == delivery)
    return tuple(tx.execute(query.order_by(incidents.c.id)).scalars())


def counts(tx: sa.Connection) -> dict[str, int]:
    """How many incidents are in each state."""
    query = sa.select(incidents.c.state, sa.func.count()).group_by(incidents.c.state)
    return {state: count for state, count in tx.execute(query)}


def last_change(tx: sa.Connection) -> int:
    """The newest transition's sequence number: changes whenever anything did."""
    return int(tx.execute(sa.select(sa.func.max(transitions.c.sequence))).scalar() or 0)


def alert_to_json(alert: Alert) -> dict[str, Any]:
    """The alert as it is kept with its incident."""
    return {
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "starts_at": alert.starts_at.isoformat(),
        "ends_at": alert.ends_at.isoformat() if alert.ends_at else None,
        "generator_url": alert.generator_url,
        "receiver": alert.receiver,
        "source": alert.source,
        "pair": alert.pair,
        "undated": alert.undated,
        "late": alert.late,
        "contradictions": list(alert.contradictions),
        "notes": list(alert.notes),
    }


def alert_from_json(content: Mapping[str, Any]) -> Alert:
    """The alert as `alert_to_json` wrote it."""
    times = {
        name: datetime.fromisoformat(content[name]) if content[name] else None
        for name in ("starts_at", "ends_at")
    }
    texts = {name: tuple(content.get(name, ())) for name in ("contradictions", "notes")}
    return Alert(**{**content, **times, **texts, "status": AlertStatus(content["status"])})


def from_row(row: Any) -> Incident:
    """The incident of a row."""
    request = row["request"] or {}
    return Incident(
        id=row["id"],
        alert=alert_from_json(row["alert"]),
        state=State(row["state"]),
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        environment=row["environment"],
        ceiling=Level(row["ceiling"]),
        sender=row["sender"],
        requested_by=row["requested_by"],
        requested_entry=request.get("entry"),
        requested_values=request.get("values", {}),
        requested_hosts=tuple(request.get("hosts", ())),
        proposed_by=request.get("proposed_by"),
        retried_by=tuple(request.get("retried_by", ())),
        hosts=tuple(row["hosts"]),
        part=row["part"],
        entry=row["entry"],
        chosen=row["chosen"] or {},
        level=Level(row["level"]) if row["level"] else None,
        deliveries=row["deliveries"],
        joined=row["joined"],
        woken=row["woken_at"] is not None,
        cancel_requested=row["cancel_requested"],
        holds=row["holds"],
        held_since=row["held_since"],
        held_until=row["held_until"],
    )


def open_on(tx: sa.Connection, hosts: Sequence[str], before: int) -> tuple[Incident, ...]:
    """Open incidents older than `before` that were located on one of `hosts`."""
    column = sa.cast(incidents.c.hosts, sa.Text)
    on_host = [column.contains(json.dumps(host), autoescape=True) for host in hosts]
    query = (
        sa.select(incidents)
        .where(incidents.c.state.in_(_LOCATED), incidents.c.id < before, sa.or_(*on_host))
        .order_by(incidents.c.id)
        .limit(100)
    )
    return tuple(from_row(row) for row in tx.execute(query).mappings()) if hosts else ()
