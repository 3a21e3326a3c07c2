"""Error budgets that are spent: the trail is told once when one is, and once when it is free."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from runner.store import audit_log
from runner.store.tables import budgets_spent


def spent(tx: sa.Connection) -> set[str]:
    """Names of the budgets that the trail was told are spent."""
    return set(tx.execute(sa.select(budgets_spent.c.name)).scalars())


def spend(tx: sa.Connection, name: str, text: str, tell: Sequence[str], at: datetime) -> bool:
    """Tell the trail and the receivers `tell`; False when they were told already."""
    if name in spent(tx):
        return False
    tx.execute(budgets_spent.insert().values(name=name, at=at))
    detail = {"budget": name, "tell": list(tell)}
    audit_log.append(tx, action="budget_spent", reason=text, detail=detail, at=at)
    return True


def free(tx: sa.Connection, name: str, at: datetime) -> bool:
    """Tell the trail that a budget is free again; False when it was told already."""
    gone = tx.execute(budgets_spent.delete().where(budgets_spent.c.name == name)).rowcount
    if gone:
        text = f"the error budget of {name} is free again: its failures are old enough"
        audit_log.append(tx, action="budget_free", reason=text, detail={"budget": name}, at=at)
    return bool(gone)
