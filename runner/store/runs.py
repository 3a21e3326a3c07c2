"""Runs: the intent comes before Ansible, with a lock on every host (invariants 2, 3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.errors import NotFound
from runner.incident import (
    ENDED,
    OLDER_WORDS,
    BlastRadius,
    Fidelity,
    Outcome,
    Purpose,
    Run,
    Shown,
    TaskFidelity,
)
from runner.incident.part import apart
from runner.store import clock
from runner.store.tables import host_locks, incidents, runs, workers


class NotNow(Exception):
    """A run may not start at this moment, but may a little later; the text says what for."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a host: a run, the incident it belongs to, and since when."""

    host: str
    part: str = ""  #: the only part of it that is held; empty: the whole
    run: str
    incident: int
    since: datetime

    def __str__(self) -> str:
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC"
        held = f"{self.part} of {self.host}" if self.part else self.host
        return f"{held}, held by run {self.run[:8]} of incident {self.incident} since {since}"


class HostsBusy(NotNow):
    """Another run is touching one of the hosts; `hosts` says which are taken."""

    def __init__(self, holders: Collection[Holder], why: str = "") -> None:
        held = "; ".join(map(str, sorted(holders, key=lambda holder: holder.host)))
        super().__init__(f"waits for {held}{f': {why}' if why else ''}")
        self.hosts = tuple(sorted({holder.host for holder in holders}))


class WorkerDead(Exception):
    """This worker was marked dead: another one has taken over and may already be running."""


def intend(
    tx: sa.Connection,
    run: Run,
    *,
    worker: str,
    lock: Sequence[str],
    part: str = "",
    radius: BlastRadius | None = None,
    allow: Callable[[sa.Connection, datetime], None] = lambda tx, now: None,
) -> bool:
    """Write the intent to run and lock every host of `lock`, all or nothing.

    With a `part` only that part of each is locked: runs on parts that are apart from it go on.

    `allow` is asked in between, when nobody else can take a host or start a run until this
    transaction ends: what it raises goes to the caller. Start and deadline of `run` are set
    anew by the database's clock, once the hosts are free (invariants 3 and 17).

    False when this very run (incident, purpose, attempt, step) was intended before: never start
    it again. Raises HostsBusy when a host is taken, or when other runs leave too little of a
    group of `radius`, and WorkerDead when this worker may not start anything any more; the
    caller's transaction must then be rolled back.
    """
    if find(tx, run.incident, run.purpose, run.attempt, run.step) is not None:
        return False
    require_alive(tx, worker)
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text("LOCK TABLE host_locks IN SHARE ROW EXCLUSIVE MODE"))
    if busy := holders(tx, lock, part):
        raise HostsBusy(busy)
    now = clock.now(tx)
    allow(tx, now)
    # Whether runs in flight and this one together leave too little (invariant 11).
    if radius is not None and radius.crowded(acting := acting_hosts(tx)):
        short = [reach for reach in radius.groups if reach.short(acting)]
        missed = {host for reach in short for host in acting & set(reach.staying)}
        groups = ", ".join(reach.group for reach in short)
        raise HostsBusy(holders(tx, missed), f"group {groups} would keep too few hosts")
    begun = replace(run, started_at=now, deadline=now + (run.deadline - run.started_at))
    tx.execute(runs.insert().values(_to_row(begun) | {"worker": worker}))
    row = {"part": part, "run": run.id, "taken_at": now}
    taken = [{"host": host, **row} for host in sorted(set(lock))]
    if taken:
        tx.execute(host_locks.insert(), taken)
    return True


def require_alive(tx: sa.Connection, worker: str) -> None:
    """Raise WorkerDead when this worker was marked dead."""
    alive = sa.select(workers.c.id).where(workers.c.id == worker, workers.c.dead_at.is_(None))
    # Locked against the reaper's update, so that it cannot be marked dead in between.
    if tx.execute(alive.with_for_update()).first() is None:
        raise WorkerDead(f"worker {worker} was taken over")


def acting_hosts(tx: sa.Connection) -> frozenset[str]:
    """Hosts that a run may be changing now. Check mode and probes take nothing out of service."""
    acting = [str(purpose) for purpose in Purpose if purpose.acts]
    query = (
        sa.select(host_locks.c.host)
        .join(runs, runs.c.id == host_locks.c.run)
        .where(runs.c.purpose.in_(acting))
    )
    return frozenset(tx.execute(query).scalars())


def holders(tx: sa.Connection, hosts: Collection[str], part: str = "") -> tuple[Holder, ...]:
    """Who keeps others away from which of these hosts, or from this part of them, in order."""
    query = (
        sa.select(host_locks, runs.c.incident)
        .join(runs, runs.c.id == host_locks.c.run)
        .where(host_locks.c.host.in_(list(hosts)))
        .order_by(host_locks.c.host, host_locks.c.part)
    )
    return tuple(
        Holder(host=row.host, part=row.part, run=row.run, incident=row.incident, since=row.taken_at)
        for row in tx.execute(query)
        if not apart(part, row.part)
    )


def busy_hosts(tx: sa.Connection) -> frozenset[str]:
    """Hosts that a run may be touching now."""
    return frozenset(tx.execute(sa.select(host_locks.c.host)).scalars())


def conclude(tx: sa.Connection, run: str, *, release: bool = True, **columns: Any) -> bool:
    """Write the outcome of a run that has none, and free its hosts unless `release` is False.

    It has ended now, by the database's clock and before its hosts are free. False when it had
    an outcome already, except that `unknown` may be replaced by a proof.
    """
    row = tx.execute(sa.select(runs.c.outcome).where(runs.c.id == run).with_for_update()).first()
    if row is None or row[0] not in (None, Outcome.UNKNOWN):
        return False
    ended = {"ended_at": clock.now(tx)} | columns
    tx.execute(runs.update().where(runs.c.id == run).values(ended))
    if release:
        tx.execute(host_locks.delete().where(host_locks.c.run == run))
    return True


def find(
    tx: sa.Connection, incident: int, purpose: Purpose, attempt: int, step: int = 1
) -> Run | None:
    """The run of this attempt at this step, if it was ever intended."""
    query = sa.select(runs).where(
        runs.c.incident == incident,
        runs.c.purpose.in_([purpose, *(old for old, new in OLDER_WORDS.items() if new == purpose)]),
        runs.c.attempt == attempt,
        runs.c.step == step,
    )
    row = tx.execute(query).mappings().first()
    return from_row(row) if row else None


def get(tx: sa.Connection, run: str) -> Run:
    """The run; NotFound when there is none."""
    row = tx.execute(sa.select(runs).where(runs.c.id == run)).mappings().first()
    if row is None:
        raise NotFound(f"there is no run {run}")
    return from_row(row)


def of_incident(tx: sa.Connection, incident: int) -> tuple[Run, ...]:
    """Every run of an incident, oldest first."""
    query = sa.select(runs).where(runs.c.incident == incident).order_by(runs.c.started_at)
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def since(tx: sa.Connection, start: datetime) -> tuple[Run, ...]:
    """Real runs (no dry runs, no probes) that started after `start`, oldest first."""
    query = (
        sa.select(runs)
        .where(runs.c.started_at >= start, runs.c.purpose.in_(["remediation", "undo"]))
        .order_by(runs.c.started_at)
    )
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def dry_runs_since(tx: sa.Connection, start: datetime) -> tuple[Run, ...]:
    """First dry runs that began after `start`, oldest first."""
    words = [Purpose.DRY_RUN, *(old for old, new in OLDER_WORDS.items() if new == Purpose.DRY_RUN)]
    query = (
        sa.select(runs)
        .where(runs.c.started_at >= start, runs.c.purpose.in_(words))
        .order_by(runs.c.started_at)
    )
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def probed(
    tx: sa.Connection, host: str, since: datetime, limit: int = 5
) -> tuple[dict[str, Any], ...]:
    """What the newest probes of this host alone that began since then brought back."""
    words = [str(outcome) for outcome in Outcome if outcome.completed]
    query = (
        sa.select(runs.c.id, runs.c.hosts)
        .where(
            runs.c.started_at >= since, runs.c.purpose == Purpose.PROBE, runs.c.outcome.in_(words)
        )
        .order_by(runs.c.started_at.desc())
        .limit(1000)
    )
    ids = [row.id for row in tx.execute(query) if row.hosts == [host]][:limit]
    found = sa.select(runs.c.id, runs.c.results).where(runs.c.id.in_(ids))
    results = {row.id: row.results or {} for row in tx.execute(found)}
    return tuple(results[id] for id in ids)


def outcomes(tx: sa.Connection, start: datetime) -> dict[tuple[str, str], int]:
    """(purpose, outcome) → how many runs that began since then have ended so."""
    kinds = (runs.c.purpose, runs.c.outcome)
    ended = (runs.c.started_at >= start) & runs.c.outcome.is_not(None)
    found = tx.execute(sa.select(*kinds, sa.func.count()).where(ended).group_by(*kinds))
    return {(purpose, outcome): count for purpose, outcome, count in found}


def locked(tx: sa.Connection) -> tuple[Run, ...]:
    """Runs that hold a host: those in flight, and those whose end is unknown."""
    return tuple(from_row(row) for row in tx.execute(locked_query()).mappings())


def locked_query() -> sa.Select[Any]:
    """The rows of runs that hold a host."""
    return sa.select(runs).where(runs.c.id.in_(sa.select(host_locks.c.run)))


def left_behind(tx: sa.Connection, worker: str, lease: timedelta) -> tuple[Run, ...]:
    """Runs without an outcome that nobody may be going to settle: their incident has ended, or
    their deadline was `lease` ago; and who started them is `worker` or no longer alive."""
    query = left_behind_query(worker, clock.now(tx) - lease)
    return tuple(from_row(row) for row in tx.execute(query).mappings())


def left_behind_query(worker: str | sa.BindParameter[str], before: clock.Moment) -> sa.Select[Any]:
    """The rows of such runs: `before` is when their deadline was at the latest."""
    over = sa.or_(
        incidents.c.id.is_(None),
        incidents.c.state.in_([str(state) for state in ENDED]),
        runs.c.deadline < before,
    )
    mine = sa.or_(runs.c.worker == worker, workers.c.id.is_(None), workers.c.dead_at.is_not(None))
    return (
        sa.select(runs)
        .outerjoin(incidents, incidents.c.id == runs.c.incident)
        .outerjoin(workers, workers.c.id == runs.c.worker)
        .where(runs.c.outcome.is_(None), over, mine)
    )


def release(tx: sa.Connection, run: str) -> None:
    """Free the hosts of a run."""
    tx.execute(host_locks.delete().where(host_locks.c.run == run))


def _to_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "incident": run.incident,
        "purpose": run.purpose,
        "attempt": run.attempt,
        "step": run.step,
        "entry": run.entry,
        "hosts": list(run.hosts),
        "part": run.part,
        "plan": run.plan,
        "artifacts": run.artifacts,
        "started_at": run.started_at,
        "deadline": run.deadline,
    }


#: Kinds as rows of an older version have them.
_OLDER = {"simulated": Shown.SHOWN, "really_ran": Shown.READ}


def from_row(row: Any) -> Run:
    """The run of a row."""
    return Run(
        id=row["id"],
        incident=row["incident"],
        purpose=Purpose(row["purpose"]),
        attempt=row["attempt"],
        step=row["step"],
        entry=row["entry"],
        hosts=tuple(row["hosts"]),
        part=row["part"],
        plan=row["plan"],
        started_at=row["started_at"],
        deadline=row["deadline"],
        ended_at=row["ended_at"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        reason=row["reason"],
        stats=row["stats"] or {},
        results=row["results"] or {},
        diff=row["diff"],
        diff_hash=row["diff_hash"],
        fidelity=Fidelity(
            tasks=tuple(
                TaskFidelity(
                    task=each["task"],
                    kind=_OLDER.get(each["kind"]) or Shown(each["kind"]),
                    hosts=each["hosts"],
                )
                for each in row["fidelity"] or ()
            )
        ),
        artifacts=row["artifacts"],
        seen=tuple(row["seen"] or ()),
        loaded=row["loaded"] or {},
        included=frozenset((file, what) for file, what in row["included"] or ()),
    )


def fidelity_to_json(fidelity: Fidelity) -> list[dict[str, Any]]:
    """The fidelity as it is kept with its run."""
    return [{"task": task.task, "kind": task.kind, "hosts": task.hosts} for task in fidelity.tasks]


def plain(value: Any) -> Any:
    """`value` as JSON can hold it; what it cannot becomes text."""
    return json.loads(json.dumps(value, default=str, allow_nan=True).replace("NaN", "null"))
