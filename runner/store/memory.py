"""Memory: the words of incidents that have ended, and a search for them.

SQLite searches with FTS5, PostgreSQL with its full text search. What an alert says is
only ever words to look for: it is cut into tokens, and each is quoted (invariant 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sqlalchemy as sa

from runner.incident import State
from runner.store.tables import feedback, incidents, memory

#: Words of one search, and characters of one word: more say nothing new.
MAX_WORDS = 48
MAX_LENGTH = 64
#: Characters of what is kept of one incident.
MAX_TEXT = 8000
#: Hits that are ranked; the best of them are returned.
CANDIDATES = 200
#: Incidents that make a word common on SQLite, which ranks every hit of a search: what so many
#: say costs much and tells little.
_MANY = 4_000
_WORD = re.compile(r"[^\W_]+")

_SQLITE = sa.text(
    "select rowid as incident, rank as distance from memory_index "
    "where memory_index match :words and rowid < :before order by rank limit :limit"
)
_HOW_OFTEN = sa.text(
    "select count(*) from (select 1 from memory_index "
    "where memory_index match :word and rowid < :before limit :limit)"
)
_POSTGRESQL = sa.text(
    "select incident, -ts_rank_cd(to_tsvector('simple'::regconfig, text), found) as distance "
    "from memory, to_tsquery('simple'::regconfig, :words) as found "
    "where to_tsvector('simple'::regconfig, text) @@ found and incident < :before "
    "order by distance limit :limit"
)


def remember(tx: sa.Connection, incident: int) -> None:
    """Keep the words of an incident that has ended, or that somebody said something of.

    What was suppressed is not remembered: nothing was decided or done.
    """
    row = tx.execute(sa.select(incidents).where(incidents.c.id == incident)).mappings().first()
    tx.execute(memory.delete().where(memory.c.incident == incident))
    if row is None or row["state"] == State.SUPPRESSED:
        return
    said = tx.execute(
        sa.select(feedback.c.right, feedback.c.reason).where(feedback.c.incident == incident)
    )
    parts = [
        row["alertname"],
        row["entry"] or "",
        row["state"],
        row["reason"],
        *(("right" if right else "wrong") + f" {reason}" for right, reason in said),
        *row["hosts"],
        *(f"{name} {value}" for name, value in sorted(row["alert"]["labels"].items())),
        *row["alert"]["annotations"].values(),
    ]
    # Only its words, so that both databases cut it at the same places.
    text = " ".join(_WORD.findall(" ".join(parts)[: 2 * MAX_TEXT]))[:MAX_TEXT]
    tx.execute(memory.insert().values(incident=incident, text=text))


def search(tx: sa.Connection, texts: Iterable[str], *, before: int) -> dict[int, float]:
    """Incident → distance (less is more alike) of those older than `before` with any word."""
    sqlite = tx.dialect.name == "sqlite"
    words = tokens(texts)
    if sqlite:
        # The words that few incidents say; the first of them all where each is said by many.
        kept = []
        for word in words:
            one = {"word": f'"{word}"', "before": before, "limit": _MANY}
            if int(tx.execute(_HOW_OFTEN, one).scalar_one()) < _MANY:
                kept.append(word)
        words = tuple(kept) or tuple(words[:1])
    if not words:
        return {}
    quote, either = ('"', " OR ") if sqlite else ("'", " | ")
    asked = either.join(f"{quote}{word}{quote}" for word in words)
    values = {"words": asked, "before": before, "limit": CANDIDATES}
    rows = tx.execute(_SQLITE if sqlite else _POSTGRESQL, values)
    return {int(row.incident): float(row.distance) for row in rows}


def tokens(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of `texts`, each once, in their order: letters and digits, nothing else."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _WORD.finditer(text[:MAX_TEXT]):
            found.setdefault(match[0][:MAX_LENGTH].casefold())
            if len(found) >= MAX_WORDS:
                return tuple(found)
    return tuple(found)
