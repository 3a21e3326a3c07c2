"""The one clock that orders what several workers write."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

#: A time in a query, or the place in a query that is made once where a time will be.
Moment = datetime | sa.BindParameter[datetime]


def now(tx: sa.Connection) -> datetime:
    """The database's time at this moment of the transaction, so that workers with different
    clocks agree. On SQLite, which one process writes at a time, it is that process's own."""
    if tx.dialect.name == "sqlite":
        return datetime.now(UTC)
    return tx.execute(sa.select(sa.func.clock_timestamp())).scalar_one().astimezone(UTC)  # type: ignore[no-any-return]
