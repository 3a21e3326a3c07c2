"""Work that one process of many does at a time: whoever claims a round does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.store.tables import rounds


def claim(tx: sa.Connection, name: str, now: datetime, every: timedelta) -> bool:
    """Whether the round `name` is due and now this caller's; the next is due after `every`."""
    tx.execute(_insert(tx).values(name=name, due_at=now).on_conflict_do_nothing())
    due = (rounds.c.name == name) & (rounds.c.due_at <= now)
    return tx.execute(rounds.update().where(due).values(due_at=now + every)).rowcount == 1


def note(tx: sa.Connection, name: str) -> str:
    """What the last round left behind; empty when nothing."""
    return str(tx.execute(sa.select(rounds.c.note).where(rounds.c.name == name)).scalar() or "")


def put_note(tx: sa.Connection, name: str, text: str, now: datetime) -> None:
    """Leave something behind for the next round."""
    tx.execute(_insert(tx).values(name=name, due_at=now).on_conflict_do_nothing())
    tx.execute(rounds.update().where(rounds.c.name == name).values(note=text))


def _insert(tx: sa.Connection) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(rounds)
