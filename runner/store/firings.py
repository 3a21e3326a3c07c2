"""What we know of each alert's firing, a row for each fingerprint."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.incident.firing import Firing
from runner.store.clock import Moment
from runner.store.database import insert
from runner.store.tables import firings, incidents

#: Fingerprints that one question names.
_PIECE = 500


def find(tx: sa.Connection, fingerprints: Collection[str]) -> dict[str, Firing]:
    """The records of these fingerprints that there are."""
    found: dict[str, Firing] = {}
    wanted = sorted(fingerprints)
    for begin in range(0, len(wanted), _PIECE):
        some = firings.c.fingerprint.in_(wanted[begin : begin + _PIECE])
        for row in tx.execute(sa.select(firings).where(some)).mappings():
            found[row["fingerprint"]] = _firing(row)
    return found


def take(tx: sa.Connection, fingerprints: Collection[str], now: datetime) -> dict[str, Firing]:
    """The records of these fingerprints, new ones among them, for this transaction alone.

    They are locked in one order, before anything else that the transaction locks, so that two
    processes that take in the same alerts wait for each other and open one incident.
    """
    wanted = sorted(fingerprints)
    if not wanted:
        return {}
    empty = {"told": {}, "ended": [], "changed_at": now}
    new = insert(tx, firings).on_conflict_do_nothing(index_elements=["fingerprint"])
    tx.execute(new, [{"fingerprint": each, **empty} for each in wanted])
    query = sa.select(firings).where(firings.c.fingerprint.in_(wanted))
    rows = tx.execute(query.order_by(firings.c.fingerprint).with_for_update()).mappings()
    return {row["fingerprint"]: _firing(row) for row in rows}


def put(tx: sa.Connection, records: Iterable[Firing], now: datetime) -> None:
    """Keep these records, which were taken in this transaction."""
    rows = [
        {
            "of": record.fingerprint,
            "fires": record.fires,
            "told": {each: at.isoformat() for each, at in record.told.items()},
            "ended": list(record.ended),
            "quiet_at": record.quiet_at,
            "heard_at": record.heard_at,
            "listed_at": record.listed_at,
            "pause_seconds": record.pause.total_seconds(),
            "gone": record.gone,
            "looks": record.looks,
            "again_at": record.again_at,
            "changed_at": now,
        }
        for record in records
    ]
    if rows:
        same = firings.c.fingerprint == sa.bindparam("of")
        values: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name != "of"}
        tx.execute(firings.update().where(same).values(values), rows)


def due(tx: sa.Connection, now: datetime, limit: int = 100) -> tuple[str, ...]:
    """Fingerprints that are to be looked at although no message comes."""
    return tuple(tx.execute(due_query(now).limit(limit)).scalars())


def due_query(now: Moment) -> sa.Select[Any]:
    """Their rows."""
    return sa.select(firings.c.fingerprint).where(firings.c.again_at <= now)


def listed(tx: sa.Connection) -> tuple[str, ...]:
    """Fingerprints that fire, and that Alertmanager listed when it was last asked."""
    query = sa.select(firings.c.fingerprint).where(
        firings.c.fires, firings.c.listed_at.is_not(None), sa.not_(firings.c.gone)
    )
    return tuple(tx.execute(query).scalars())


def forget(tx: sa.Connection, before: datetime, limit: int = 500) -> int:
    """Remove what nothing was heard of for long and no incident is left of."""
    left = sa.exists().where(incidents.c.fingerprint == firings.c.fingerprint)
    old = sa.select(firings.c.fingerprint).where(firings.c.changed_at < before, ~left).limit(limit)
    return tx.execute(firings.delete().where(firings.c.fingerprint.in_(old))).rowcount


def _firing(row: Any) -> Firing:
    return Firing(
        fingerprint=row["fingerprint"],
        told={each: datetime.fromisoformat(at) for each, at in row["told"].items()},
        ended=tuple(row["ended"]),
        quiet_at=row["quiet_at"],
        heard_at=row["heard_at"],
        listed_at=row["listed_at"],
        pause=timedelta(seconds=row["pause_seconds"]),
        gone=row["gone"],
        looks=row["looks"],
        again_at=row["again_at"],
    )
