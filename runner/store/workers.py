"""Who works on this database, by heartbeat on the database's own clock."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from runner.store import clock
from runner.store.tables import workers


def join(tx: sa.Connection, worker: str, host: str) -> None:
    """Add this worker, alive; on SQLite the one worker comes back to life."""
    now = clock.now(tx)
    tx.execute(workers.delete().where(workers.c.id == worker))
    tx.execute(workers.insert().values(id=worker, host=host, started_at=now, beat_at=now))


def beat(tx: sa.Connection, worker: str) -> bool:
    """Say that this worker lives; False when it was marked dead and must stop at once."""
    alive = (workers.c.id == worker) & workers.c.dead_at.is_(None)
    return tx.execute(workers.update().where(alive).values(beat_at=clock.now(tx))).rowcount == 1


def reap(tx: sa.Connection, ttl: timedelta) -> tuple[str, ...]:
    """Mark workers dead that have not been heard of for `ttl`; returns every dead one.

    One that is just writing its intent to run, or was frozen in the middle of that, is left
    for the next time: who waits for its row could not beat meanwhile.
    """
    now = clock.now(tx)
    silent = workers.c.dead_at.is_(None) & (workers.c.beat_at < now - ttl)
    query = sa.select(workers.c.id).where(silent).with_for_update(skip_locked=True)
    found = list(tx.execute(query).scalars())
    tx.execute(workers.update().where(workers.c.id.in_(found)).values(dead_at=now))
    return tuple(
        tx.execute(sa.select(workers.c.id).where(workers.c.dead_at.is_not(None))).scalars()
    )


def leave(tx: sa.Connection, worker: str) -> None:
    """Mark this worker dead after a clean stop, so that others take over at once."""
    alive = (workers.c.id == worker) & workers.c.dead_at.is_(None)
    tx.execute(workers.update().where(alive).values(dead_at=clock.now(tx)))


def count_alive(tx: sa.Connection, ttl: timedelta) -> int:
    """How many workers were heard of within `ttl`."""
    fresh = workers.c.dead_at.is_(None) & (workers.c.beat_at >= clock.now(tx) - ttl)
    return int(tx.execute(sa.select(sa.func.count()).where(fresh)).scalar_one())
