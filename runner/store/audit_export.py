"""The audit log as a file that proves itself (invariant 12).

One JSON object a line. The first is the header: which part of the chain follows
and where it starts and ends. A whole export, or one since a time, is a piece of
the chain. An export of one incident has gaps, so that each of its lines carries
the hash before it, and the header a digest over all of them.

A file cannot prove more than itself: who can rewrite all of it can make a new,
consistent one. Keep the head that `export` writes somewhere else, or compare it
with the store, and give it to `verify_export`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import sqlalchemy as sa

from runner.incident import Transition
from runner.store import audit_log
from runner.store.audit_log import GENESIS, Finding, digest
from runner.store.tables import chain, transitions
from runner.text import brief

FORMAT = "runner-audit/1"
_HEADER = {"format", "incident", "first", "before", "last", "head", "rows", "digest", "check"}
_ROW = {"sequence", "incident", "at", "actor", "action", "previous", "reason", "detail", "hash"}


def export(
    tx: sa.Connection,
    out: TextIO,
    *,
    since: datetime | None = None,
    incident: int | None = None,
) -> int:
    """Write the audit log, or its part since a time or of one incident; returns the rows written.

    It writes what the store holds, edited or not: a broken chain is exported as it is.
    """
    if incident is not None:
        return _export_incident(tx, out, incident, since)
    end = tx.execute(sa.select(chain)).first()
    if end is None:
        out.write(_sealed(_header(None, 1, GENESIS, 0, GENESIS)))
        return 0
    first = end.first
    if since is not None:
        later = sa.select(sa.func.min(transitions.c.sequence)).where(transitions.c.at >= since)
        first = int(tx.execute(later).scalar() or end.last + 1)
    before = end.before if first == end.first else _hash_of(tx, first - 1)
    out.write(_sealed(_header(None, first, before, end.last, end.head)))
    written = 0
    for row in _between(tx, first, end.last):
        out.write(_dump(_fields(row)))
        written += 1
    return written


def _export_incident(tx: sa.Connection, out: TextIO, incident: int, since: datetime | None) -> int:
    rows = [row for row in audit_log.rows_of(tx, incident) if since is None or row.at >= since]
    lines = [_fields(row) | {"before": _hash_of(tx, row.sequence - 1)} for row in rows]
    ends = (rows[0].sequence, rows[-1].sequence) if rows else (1, 0)
    before = str(lines[0]["before"]) if lines else GENESIS
    header = _header(incident, ends[0], before, ends[1], rows[-1].hash if rows else GENESIS)
    header |= {"rows": len(rows), "digest": _digest(row.hash for row in rows)}
    out.write(_sealed(header))
    out.writelines(map(_dump, lines))
    return len(rows)


def _hash_of(tx: sa.Connection, sequence: int) -> str:
    """The hash of a row; of the chain's beginning when the row was cut off by retention."""
    query = sa.select(transitions.c.hash).where(transitions.c.sequence == sequence)
    found = tx.execute(query).scalar()
    return str(found or tx.execute(sa.select(chain.c.before)).scalar() or GENESIS)


def _between(tx: sa.Connection, first: int, last: int) -> Iterator[Transition]:
    """Rows from `first` to `last`, a page at a time; later ones are not in the header."""
    position = first - 1
    while page := audit_log.after(tx, position):
        position = page[-1].sequence
        yield from (row for row in page if row.sequence <= last)
        if position >= last:
            return


def _header(incident: int | None, first: int, before: str, last: int, head: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "incident": incident,
        "first": first,
        "before": before,
        "last": last,
        "head": head,
        "rows": last - first + 1,
        "digest": None,
    }


def _fields(row: Transition) -> dict[str, Any]:
    return vars(row) | {"at": row.at.astimezone(UTC).isoformat(timespec="microseconds")}


def _dump(content: Mapping[str, Any]) -> str:
    """The one way to write a line: any other spelling of the same content is an edit."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


def _sealed(header: dict[str, Any]) -> str:
    """The header's line, with a hash of itself: it is in no chain."""
    return _dump(header | {"check": _digest([_dump(header)])})


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()


class _Broken(Exception):
    """The export was changed; the message says where."""


def verify_export(lines: Iterable[str], *, head: str | None = None) -> Finding:
    """Whether an export is as it was written; `head` is the one that was kept elsewhere."""
    each = enumerate(lines, 1)
    hashes: list[str] = []  # of the rows so far, which are in order
    last = GENESIS
    try:
        header = _parse(1, next(each, (1, ""))[1], _HEADER)
        if header.pop("check") != _digest([_dump(header)]):
            raise _Broken("the header was changed after it was written")
        if header["format"] != FORMAT:
            raise _Broken(
                f"the export is not of the format {FORMAT}; use the version that wrote it"
            )
        whole = header["incident"] is None
        last, expected = header["before"], header["first"]
        for number, line in each:
            row = _parse(number, line, _ROW if whole else _ROW | {"before"})
            place = row["sequence"]
            if whole and place != expected:
                raise _Broken(f"transition {expected} is missing: line {number} has {place}")
            at = datetime.fromisoformat(row["at"])
            same_time = at.astimezone(UTC).isoformat(timespec="microseconds") == row["at"]
            before = last if whole else row["before"]
            if not same_time or digest(before, row | {"at": at}) != row["hash"]:
                raise _Broken(f"transition {place} was changed after it was written")
            last, expected = row["hash"], place + 1
            hashes.append(last)
        # The rows of one incident have gaps, so that only together they show that none is missing.
        if not whole and _digest(hashes) != header["digest"]:
            raise _Broken("a row of the incident was removed, added or moved")
        rows = len(hashes)
        if (rows, last) != (header["rows"], header["head"]):
            raise _Broken(f"the export ends after {rows} rows, but {header['rows']} were written")
        if head is not None and head != header["head"]:
            raise _Broken(
                f"the export ends with hash {brief(str(header['head']), 12)}, not {head[:12]}"
            )
    except _Broken as broken:
        return Finding(rows=len(hashes), head=last, broken=str(broken))
    return Finding(rows=len(hashes), head=last)


def _parse(number: int, line: str, keys: set[str]) -> dict[str, Any]:
    try:
        content = json.loads(line)
        if not isinstance(content, dict) or set(content) != keys:
            raise ValueError
        if "at" in content:
            datetime.fromisoformat(content["at"])
        for name in ("sequence", "first", "last", "rows"):
            if not isinstance(content.get(name, 0), int):
                raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise _Broken(f"line {number} is not a line of an audit export") from None
    if _dump(content) != line.rstrip("\r\n") + "\n":
        raise _Broken(f"line {number} was changed after it was written")
    return content


def explain(finding: Finding) -> str:
    """What was found, in a sentence or two for a person."""
    rows = "1 entry" if finding.rows == 1 else f"{finding.rows} entries"
    if finding.broken is None:
        return f"Audit log intact: {rows}, head {finding.head}."
    return (
        f"Audit log broken: {finding.broken}. The {rows} before it are intact, up to hash "
        f"{finding.head[:12]}. Compare with an earlier export or backup, and find out who can "
        f"write to the database."
    )
