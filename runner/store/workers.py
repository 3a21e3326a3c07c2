"""Who works on this database, by heartbeat on the database's own clock; and rounds: work that one
of many processes does at a time, whoever claims it."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.store import clock
from runner.store.database import insert
from runner.store.tables import rounds, workers

_WATCH = "watch "  #: begins the name of a round in which a watch looks


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


def claim_round(tx: sa.Connection, name: str, now: datetime, every: timedelta) -> bool:
    """Whether the round `name` is due and now this caller's; the next is due after `every`."""
    tx.execute(insert(tx, rounds).values(name=name, due_at=now).on_conflict_do_nothing())
    due = (rounds.c.name == name) & (rounds.c.due_at <= now)
    return tx.execute(rounds.update().where(due).values(due_at=now + every)).rowcount == 1


def round_note(tx: sa.Connection, name: str) -> str:
    """What the last round left behind; empty when nothing."""
    return str(tx.execute(sa.select(rounds.c.note).where(rounds.c.name == name)).scalar() or "")


def put_failures(tx: sa.Connection, watch: str, failures: int, now: datetime) -> None:
    """How often in a row a watch could not look."""
    put_round_note(tx, f"{_WATCH}{watch}", str(failures), now)


def failures_of(tx: sa.Connection) -> dict[str, int]:
    """Watch → how often in a row it could not look."""
    rows = tx.execute(
        sa.select(rounds.c.name, rounds.c.note).where(rounds.c.name.startswith(_WATCH))
    )
    return {row.name.removeprefix(_WATCH): int(row.note or 0) for row in rows}


def forget_failures(tx: sa.Connection) -> None:
    """The watches of runner.yml may be others now."""
    tx.execute(rounds.delete().where(rounds.c.name.startswith(_WATCH)))


def put_round_note(tx: sa.Connection, name: str, text: str, now: datetime) -> None:
    """Leave something behind for the next round."""
    tx.execute(insert(tx, rounds).values(name=name, due_at=now).on_conflict_do_nothing())
    tx.execute(rounds.update().where(rounds.c.name == name).values(note=text))
