"""The audit log: transitions, each hashed together with the one before (invariant 12)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from runner.incident import Transition
from runner.store import clock
from runner.store.database import insert
from runner.store.tables import chain, transitions

GENESIS = "0" * 64
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What `verify` saw: `broken` is None, or a sentence naming the first bad row."""

    rows: int
    head: str
    broken: str | None = None


def append(
    tx: sa.Connection,
    *,
    action: str,
    reason: str,
    incident: int | None = None,
    actor: str = "runner",
    previous: str | None = None,
    detail: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> Transition:
    """Add one transition to the chain, in the caller's transaction.

    Its time is read while nobody else can add one, so that times are in the order of the chain.
    """
    end = _end(tx)
    row = {
        "sequence": end.last + 1,
        "incident": incident,
        "at": at or clock.now(tx),
        "actor": actor,
        "action": action,
        "previous": previous,
        "reason": reason,
        "detail": json.loads(json.dumps(dict(detail or {}), default=str)),
    }
    row["hash"] = digest(end.head, row)
    tx.execute(transitions.insert().values(row))
    tx.execute(chain.update().values(last=row["sequence"], head=row["hash"]))
    return Transition(**row)


def lock(tx: sa.Connection) -> None:
    """Let nobody else write the audit log until this transaction ends: what is read now about what
    it was told stays true until it is told more."""
    _end(tx)


def _end(tx: sa.Connection) -> Any:
    # The row is the lock: on PostgreSQL two writers of the chain queue up here.
    end = tx.execute(sa.select(chain).with_for_update()).first()
    if end is None:
        # Two writers may both find a new store empty; the second waits here for the first.
        first = insert(tx, chain).values(id=1, first=1, before=GENESIS, last=0, head=GENESIS)
        tx.execute(first.on_conflict_do_nothing())
        end = tx.execute(sa.select(chain).with_for_update()).one()
    return end


def digest(before: str, row: Mapping[str, Any]) -> str:
    """The hash of a row that follows the row whose hash is `before`."""
    content = [
        before,
        row["sequence"],
        row["incident"],
        row["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        row["actor"],
        row["action"],
        row["previous"],
        row["reason"],
        row["detail"],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def of_incident(tx: sa.Connection, incident: int) -> tuple[Transition, ...]:
    """The transitions of one incident, oldest first, in the words of this release."""
    return tuple(row.in_todays_words() for row in rows_of(tx, incident))


def rows_of(tx: sa.Connection, incident: int) -> tuple[Transition, ...]:
    """The transitions of one incident, oldest first, word for word as they were hashed."""
    query = (
        sa.select(transitions)
        .where(transitions.c.incident == incident)
        .order_by(transitions.c.sequence)
    )
    return tuple(Transition(**row) for row in tx.execute(query).mappings())


def reached_at(tx: sa.Connection, incident: int, state: str) -> datetime | None:
    """When the incident last came to this state; None when its row is gone."""
    query = sa.select(sa.func.max(transitions.c.at)).where(
        transitions.c.incident == incident, transitions.c.action == state
    )
    return tx.execute(query).scalar()


def of_actions(
    tx: sa.Connection, actions: Sequence[str], limit: int = _PAGE
) -> tuple[Transition, ...]:
    """The newest transitions with one of these actions, oldest first, at most `limit`."""
    query = (
        sa.select(transitions)
        .where(transitions.c.action.in_(list(actions)))
        .order_by(transitions.c.sequence.desc())
        .limit(limit)
    )
    return tuple(Transition(**row) for row in reversed(tx.execute(query).mappings().all()))


def after(tx: sa.Connection, sequence: int, limit: int = _PAGE) -> tuple[Transition, ...]:
    """Transitions that follow `sequence`, oldest first, at most `limit`."""
    query = (
        sa.select(transitions)
        .where(transitions.c.sequence > sequence)
        .order_by(transitions.c.sequence)
        .limit(limit)
    )
    return tuple(Transition(**row) for row in tx.execute(query).mappings())


def walk(tx: sa.Connection) -> Iterator[Transition]:
    """The whole audit log, oldest first, a page at a time."""
    last = 0
    while page := after(tx, last):
        yield from page
        last = page[-1].sequence


def verify(tx: sa.Connection) -> Finding:
    """Whether no row was edited, removed or reordered since it was written."""
    end = tx.execute(sa.select(chain)).first()
    if end is None:
        extra = tx.execute(sa.select(sa.func.count()).select_from(transitions)).scalar_one()
        broken = f"the chain's ends are gone but {extra} rows are there" if extra else None
        return Finding(rows=0, head=GENESIS, broken=broken)
    before, expected, rows = end.before, end.first, 0
    for row in walk(tx):
        if row.sequence != expected:
            return Finding(
                rows=rows,
                head=before,
                broken=f"transition {expected} is missing: the next row is {row.sequence}",
            )
        if digest(before, vars(row)) != row.hash:
            broken = f"transition {row.sequence} was changed after it was written"
            return Finding(rows=rows, head=before, broken=broken)
        before, expected, rows = row.hash, expected + 1, rows + 1
    if (expected - 1, before) != (end.last, end.head):
        broken = f"the audit log ends at transition {expected - 1} but {end.last} were written"
        return Finding(rows=rows, head=before, broken=broken)
    return Finding(rows=rows, head=before)


def cut(tx: sa.Connection, before: datetime) -> int:
    """Remove the oldest transitions, older than `before`, and move the chain's beginning.

    Returns how many rows went. Those that a receiver has still to be told of stay.
    """
    end = _end(tx)
    keep = tx.execute(
        sa.select(sa.func.min(transitions.c.sequence)).where(transitions.c.at >= before)
    ).scalar()
    first = min(keep if keep is not None else end.last, end.notified + 1, end.last)
    if first <= end.first:
        return 0
    hashed = sa.select(transitions.c.hash).where(transitions.c.sequence == first - 1)
    start = tx.execute(hashed).scalar_one()
    gone = tx.execute(transitions.delete().where(transitions.c.sequence < first))
    tx.execute(chain.update().values(first=first, before=start))
    return int(gone.rowcount)
