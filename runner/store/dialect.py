"""What SQLite and PostgreSQL say in the same words, though the library does not."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def insert(tx: sa.Connection, table: sa.Table) -> Any:
    """An insert into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if tx.dialect.name == "sqlite" else postgresql).insert(table)
