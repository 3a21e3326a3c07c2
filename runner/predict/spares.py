"""Who could take the place of a node, and the page when nobody can."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from runner.inventory import Inventory
from runner.predict.outlook import Outlook, group_of
from runner.project import Project
from runner.store import audit_log, nodes, workers

SPARES = "spares"


def free_spares(
    inventory: Inventory, group: str, serving: Collection[str], greylisted: Collection[str]
) -> tuple[str, ...]:
    """Spares that could take the place of a node now."""
    spares = group_of(inventory, group)
    return tuple(host for host in spares if host not in serving and host not in greylisted)


def count_spares(tx: sa.Connection, project: Project, outlook: Outlook) -> None:
    """Page once when the last spare is gone, and say when there is one again."""
    settings = project.config.nodes
    if settings.spares is None or (outlook.serving is None and settings.members is not None):
        return  # not known is not empty
    grey = [member.node for member in nodes.members(tx)]
    free = free_spares(project.inventory(), settings.spares, outlook.serving or (), grey)
    was_empty = workers.round_note(tx, SPARES) == "empty"
    if bool(free) != was_empty:
        return
    workers.put_round_note(tx, SPARES, "" if free else "empty", outlook.at)
    said = f"{len(free)} free: {', '.join(free)}" if free else "no node can be added or replaced"
    audit_log.append(
        tx,
        action="spares_back" if free else "spares_empty",
        reason=f"group {settings.spares} has {'spares again' if free else 'no free spare'}: {said}",
        detail={"group": settings.spares, "free": list(free)},
        at=outlook.at,
    )
