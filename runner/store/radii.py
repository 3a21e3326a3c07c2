"""The blast radius of an incident's plan, as policy saw it with the latest verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from runner.incident import BlastRadius, GroupReach
from runner.store.tables import blast_radii

_LISTS = ("touched", "staying")


def put(tx: sa.Connection, incident: int, radius: BlastRadius) -> None:
    """Keep the latest radius."""
    tx.execute(blast_radii.delete().where(blast_radii.c.incident == incident))
    tx.execute(blast_radii.insert().values(incident=incident, radius=asdict(radius)))


def of_incident(tx: sa.Connection, incident: int) -> BlastRadius | None:
    """The radius of an incident; None before policy has judged."""
    query = sa.select(blast_radii.c.radius).where(blast_radii.c.incident == incident)
    content = tx.execute(query).scalar()
    return from_json(content) if content else None


def of_incidents(tx: sa.Connection, incidents: list[int]) -> dict[int, BlastRadius]:
    """Incident → radius, for those that have one."""
    query = sa.select(blast_radii).where(blast_radii.c.incident.in_(incidents))
    return {row.incident: from_json(row.radius) for row in tx.execute(query)}


def from_json(content: Mapping[str, Any]) -> BlastRadius:
    """The radius as `put` wrote it."""
    groups = tuple(
        GroupReach(**{**group, **{name: tuple(group[name]) for name in _LISTS}})
        for group in content["groups"]
    )
    lists = {name: tuple(content[name]) for name in ("hosts", "delegates", "domains", "unknown")}
    return BlastRadius(**{**content, **lists, "groups": groups})
