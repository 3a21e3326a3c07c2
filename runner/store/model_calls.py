"""Calls of a model: kept before they are made, so that every bound holds for all workers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from runner.incident.model_call import Failure, ModelCall, Round
from runner.store.tables import model_calls

#: Calls of a day that bounds look at; far more than any bound allows.
_MOST = 20_000
_LOCK = 7_242_002


@dataclass(frozen=True, kw_only=True)
class Day:
    """What calls of one model came to on one day, in UTC."""

    day: date
    provider: str
    model: str
    calls: int  #: made, whatever came of them
    reused: int  #: answers that counted again
    failed: int  #: made, without a usable answer
    input_tokens: int
    output_tokens: int
    money: float
    seconds: float  #: of all calls together


def lock(tx: sa.Connection) -> None:
    """Let no other process look at the bounds until this transaction ends.

    SQLite's writers wait for one another anyway.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text(f"select pg_advisory_xact_lock({_LOCK})"))


def put(tx: sa.Connection, call: ModelCall) -> int:
    """Keep a call; its id."""
    row = _to_row(call)
    return int(
        tx.execute(model_calls.insert().values(row).returning(model_calls.c.id)).scalar_one()
    )


def replace(tx: sa.Connection, call: ModelCall) -> None:
    """Write what came of a call that was kept before."""
    tx.execute(model_calls.update().where(model_calls.c.id == call.id).values(_to_row(call)))


def since(tx: sa.Connection, start: datetime) -> tuple[ModelCall, ...]:
    """Calls after `start`, oldest first, without their texts."""
    query = sa.select(*_figures()).where(model_calls.c.at > start)
    query = query.order_by(model_calls.c.at.desc(), model_calls.c.id.desc()).limit(_MOST)
    found = [_from_row(row) for row in tx.execute(query).mappings()]
    return tuple(reversed(found))


def of_incident(tx: sa.Connection, incident: int) -> tuple[ModelCall, ...]:
    """The calls of an incident, oldest first."""
    query = sa.select(model_calls).where(model_calls.c.incident == incident)
    rows = tx.execute(query.order_by(model_calls.c.id)).mappings()
    return tuple(_from_row(row) for row in rows)


def answered(tx: sa.Connection, question: str, start: datetime) -> ModelCall | None:
    """The newest call since `start` that answered this very question well; None without one."""
    query = (
        sa.select(model_calls)
        .where(
            model_calls.c.question == question,
            model_calls.c.at >= start,
            model_calls.c.failure.is_(None),
            model_calls.c.round != Round.REUSED,
            model_calls.c.answer != "",
        )
        .order_by(model_calls.c.id.desc())
        .limit(1)
    )
    row = tx.execute(query).mappings().first()
    return _from_row(row) if row else None


def usage(tx: sa.Connection, start: datetime) -> tuple[Day, ...]:
    """What was used since `start`, by day and model, the newest day first."""
    found: dict[tuple[date, str, str], list[ModelCall]] = {}
    query = sa.select(*_figures()).where(model_calls.c.at >= start)
    for row in tx.execute(query.execution_options(yield_per=1000)).mappings():
        call = _from_row(row)
        day = call.at.astimezone(UTC).date()
        found.setdefault((day, call.provider, call.model), []).append(call)
    days = []
    for key in sorted(found, reverse=True):
        day, provider, model = key
        every = found[key]
        made = [call for call in every if call.requests]
        days.append(
            Day(
                day=day,
                provider=provider,
                model=model,
                calls=len(made),
                reused=sum(call.round is Round.REUSED for call in every),
                failed=sum(call.failure is not None for call in made),
                input_tokens=sum(call.input_tokens for call in made),
                output_tokens=sum(call.output_tokens for call in made),
                money=sum(call.money for call in made),
                seconds=round(sum(call.seconds for call in made), 3),
            )
        )
    return tuple(days)


def results(tx: sa.Connection, start: datetime) -> dict[str, int]:
    """How often each came of a call since `start`: a failure, `answered` or `reused`."""
    rows = model_calls.c
    kind = sa.case(
        (rows.failure.is_not(None), rows.failure),
        (rows.round == Round.REUSED, Round.REUSED.value),
        else_="answered",
    )
    query = sa.select(kind, sa.func.count(rows.id)).where(rows.at >= start).group_by(kind)
    return {str(result): int(count) for result, count in tx.execute(query)}


def money(tx: sa.Connection, start: datetime) -> float:
    """What calls since `start` cost, by `model.prices`."""
    total = sa.func.coalesce(sa.func.sum(model_calls.c.money), 0.0)
    return float(tx.execute(sa.select(total).where(model_calls.c.at >= start)).scalar_one())


def _figures() -> list[sa.Column[Any]]:
    return [column for column in model_calls.c if column.name not in ("prompt", "answer")]


def _to_row(call: ModelCall) -> dict[str, Any]:
    return {field.name: getattr(call, field.name) for field in fields(call) if field.name != "id"}


def _from_row(row: Any) -> ModelCall:
    given = {"prompt": "", "answer": "", **row}
    failure = Failure(given["failure"]) if given["failure"] else None
    return ModelCall(**given | {"failure": failure, "round": Round(given["round"])})
