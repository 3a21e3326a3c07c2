"""`runner audit`: that nobody edited, removed or reordered rows of the audit log (invariant 12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from runner.cli import Noun, option
from runner.cli.report import counted
from runner.cli.session import OUTPUT, Session, written
from runner.store import audit_export as trail_file
from runner.store import audit_log


@click.group(cls=Noun)
def audit() -> None:
    """Verify or export the audit log."""


@audit.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
@option("--head", metavar="HASH", help="Head hash that you keep elsewhere.")
@click.pass_obj
def verify(session: Session, file: TextIO | None, head: str | None) -> int:
    """Verify the audit log in the store, or an export in FILE; the exit code is 1 if it is broken.

    Somebody who can write to the store could rewrite the whole log. To detect that, keep a head
    hash elsewhere and pass it here.
    """
    if file is not None:
        found = trail_file.verify_export(file, head=head)
    else:
        with session.project.database.read() as tx:
            found = audit_log.verify(tx)
            kept = head in (None, found.head) or any(row.hash == head for row in audit_log.walk(tx))
        if head is not None and not kept and found.broken is None:
            broken = f"{head[:12]}, the head that you keep, is not in the chain (retention may "
            "have cut it)"
            found = replace(found, broken=broken)
    if session.json:
        session.answer(found)
    else:
        session.screen.line(trail_file.explain(found), "" if found.broken is None else "red")
    return 0 if found.broken is None else 1


@audit.command()
@click.argument("file", type=OUTPUT, default="-")
@option("--incident", type=click.IntRange(min=1), help="Only rows of this incident.")
@option("--since", type=click.DateTime(), help="Only rows from this time (UTC) on.")
@click.pass_obj
def export(session: Session, file: Path, incident: int | None, since: datetime | None) -> None:
    """Export the audit log to FILE, or to standard output, one JSON object per line."""
    start = since.replace(tzinfo=UTC) if since else None
    with session.project.database.read() as tx, written(file) as out:
        rows = trail_file.export(tx, out, since=start, incident=incident)
    session.note(f"Exported {counted(rows, 'transition')}.")
