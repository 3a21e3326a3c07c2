"""`runner model`: what the model was used for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from runner.cli import Noun, option
from runner.cli.session import Session
from runner.store import model_calls


@click.group(cls=Noun)
def model() -> None:
    """Show what the model was used for, and what it cost."""


@model.command()
@option("--days", type=click.IntRange(1, 400), default=14, show_default=True,
        help="Number of days, including today.")  # fmt: skip
@click.pass_obj
def usage(session: Session, days: int) -> None:
    """Show calls, tokens and cost per day (UTC), newest first."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with session.project.database.read() as tx:
        found = model_calls.usage(tx, today - timedelta(days=days - 1))
    if session.json:
        session.answer([vars(day) for day in found])
    elif not found:
        session.note("No model calls in this period.")
    else:
        columns = ("day", "model", "calls", "failed", "reused", "tokens in", "out", "money", "mean")
        rows = []
        for day in found:
            mean = f"{day.seconds / day.calls:.1f}s" if day.calls else "-"
            counts = (day.calls, day.failed, day.reused, day.input_tokens, day.output_tokens)
            who, money = f"{day.provider} {day.model}", f"{day.money:.4f}"
            rows.append((str(day.day), who, *map(str, counts), money, mean))
        session.screen.table(columns, rows)
