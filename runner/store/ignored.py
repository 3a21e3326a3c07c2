"""How many alerts were ignored, by what ignored them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import sqlalchemy as sa

from runner.incident import IGNORED, State
from runner.store.tables import incidents, transitions


def ignored_since(tx: sa.Connection, since: datetime) -> dict[str, int]:
    """Matchers → how many alerts they ignored since then, each once, the most frequent first."""
    by = transitions.c.detail["by"].as_string()
    query = (
        sa.select(by, sa.func.count(incidents.c.fingerprint.distinct()))
        .join(incidents, incidents.c.id == transitions.c.incident)
        .where(
            incidents.c.state == State.SUPPRESSED,
            incidents.c.updated_at >= since,
            transitions.c.action == IGNORED,
        )
        .group_by(by)
    )
    found = Counter({str(matchers): int(count) for matchers, count in tx.execute(query)})
    return dict(found.most_common())
