"""Earlier incidents that are like one."""

from __future__ import annotations

import sqlalchemy as sa

from runner.incident import Incident
from runner.store import incidents, memory
from runner.store import tables as t


def find_similar(tx: sa.Connection, incident: Incident, limit: int = 5) -> tuple[Incident, ...]:
    """Earlier incidents that are like this one, the most alike first.

    The same alert name comes before any other; then the rank of the words; then the newest.
    """
    labels = incident.alert.labels
    ranks = memory.search(
        tx,
        [
            incident.alert.name,
            *incident.hosts,
            *(value for name, value in sorted(labels.items()) if name != "alertname"),
            *incident.alert.annotations.values(),
        ],
        before=incident.id,
    )
    # Those of `ranks` with the alert name of `incident`, and the newest others that have it.
    named = (t.incidents.c.alertname == incident.alert.name) & (t.incidents.c.id < incident.id)
    ranked = sa.select(t.incidents.c.id).where(named, t.incidents.c.id.in_(ranks))
    newest = (
        sa.select(t.incidents.c.id)
        .join(t.memory, t.memory.c.incident == t.incidents.c.id)
        .where(named)
        .order_by(t.incidents.c.id.desc())
        .limit(memory.CANDIDATES)
    )
    same = {*tx.execute(ranked).scalars(), *tx.execute(newest).scalars()}
    order = sorted({*ranks, *same}, key=lambda id: (id not in same, ranks.get(id, 0.0), -id))[
        :limit
    ]
    rows = tx.execute(sa.select(t.incidents).where(t.incidents.c.id.in_(order))).mappings()
    found = {past.id: past for past in map(incidents.from_row, rows)}
    return tuple(found[id] for id in order if id in found)
