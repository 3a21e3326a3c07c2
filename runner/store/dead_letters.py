"""What could not be read: kept so that people can see it and hand it in again, and bounded.

Equal content of one sender is one row that counts. Each sender has so many rows; older ones
make room, so that nobody fills the disk and nobody pushes out what another one sent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runner.errors import NotFound
from runner.incident import Level
from runner.store.tables import dead_letters

KEPT = 64 * 1024  #: bytes of a body; of a longer one only the beginning is kept
MOST = 200  #: rows of one sender


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A body, or an alert of one, that could not be read."""

    id: int
    received_at: datetime
    last_at: datetime  #: when the same came once more
    times: int
    source: str
    sender: str  #: empty when it is not known
    ceiling: Level
    delivery: int | None  #: whose other alerts were stored; None for a whole body
    position: int | None  #: of the alert in its body, from 0
    reason: str
    hash: str  #: SHA-256 of all that came
    size: int  #: bytes of all that came
    body: bytes  #: at most KEPT bytes of it
    replayed_at: datetime | None = None
    replayed_by: str | None = None
    replayed_as: int | None = None  #: the delivery

    @property
    def whole(self) -> bool:
        """Whether all of it was kept."""
        return len(self.body) == self.size

    @property
    def text(self) -> str:
        """What was kept, as text."""
        return self.body.decode(errors="replace")


def described(letter: DeadLetter) -> dict[str, Any]:
    """All but the body, for a list of many."""
    return {name: value for name, value in vars(letter).items() if name != "body"} | {
        "whole": letter.whole
    }


def add(
    tx: sa.Connection,
    *,
    body: bytes,
    reason: str,
    source: str,
    sender: str | None,
    ceiling: Level,
    at: datetime,
    delivery: int | None = None,
    position: int | None = None,
) -> None:
    """Keep what could not be read."""
    rows, digest = dead_letters.c, hashlib.sha256(body).hexdigest()
    theirs = (rows.source == source) & (rows.sender == (sender or ""))
    same = theirs & (rows.hash == digest) & rows.replayed_at.is_(None)
    again = {"times": rows.times + 1, "last_at": at, "reason": reason}
    if tx.execute(dead_letters.update().where(same).values(again)).rowcount:
        return
    tx.execute(
        dead_letters.insert().values(
            received_at=at,
            last_at=at,
            source=source,
            sender=sender or "",
            ceiling=ceiling,
            delivery=delivery,
            position=position,
            reason=reason,
            hash=digest,
            size=len(body),
            body=body[:KEPT],
        )
    )
    kept = sa.select(rows.id).where(theirs).order_by(rows.last_at.desc(), rows.id.desc())
    tx.execute(dead_letters.delete().where(theirs, rows.id.not_in(kept.limit(MOST))))


def get(tx: sa.Connection, number: int) -> DeadLetter:
    """The dead letter; NotFound when there is none."""
    query = sa.select(dead_letters).where(dead_letters.c.id == number)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no dead letter {number}; see `runner delivery list`")
    return _letter(row)


def find(
    tx: sa.Connection, *, replayed: bool = False, limit: int = 50, before: int | None = None
) -> tuple[DeadLetter, ...]:
    """Dead letters, newest first; with `replayed` also those that were handed in again."""
    query = sa.select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit)
    if not replayed:
        query = query.where(dead_letters.c.replayed_at.is_(None))
    if before is not None:
        query = query.where(dead_letters.c.id < before)
    return tuple(_letter(row) for row in tx.execute(query).mappings())


def replayed(tx: sa.Connection, number: int, *, by: str, delivery: int, at: datetime) -> bool:
    """Note who handed it in again, and as which delivery; False when somebody just did."""
    done = {"replayed_at": at, "replayed_by": by, "replayed_as": delivery}
    open_ = (dead_letters.c.id == number) & dead_letters.c.replayed_at.is_(None)
    return tx.execute(dead_letters.update().where(open_).values(done)).rowcount == 1


def waiting(tx: sa.Connection, since: datetime) -> int:
    """How many came since then and were not handed in again."""
    rows = dead_letters.c
    lately = rows.replayed_at.is_(None) & (rows.last_at >= since)
    query = sa.select(sa.func.count()).select_from(dead_letters).where(lately)
    return int(tx.execute(query).scalar_one())


def forget(tx: sa.Connection, before: datetime) -> int:
    """Remove what did not come since then."""
    return tx.execute(dead_letters.delete().where(dead_letters.c.last_at < before)).rowcount


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(**{**row, "ceiling": Level(row["ceiling"])})
