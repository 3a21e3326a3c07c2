"""What is known of nodes: predictions with what came of them, and the greylist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.store.tables import greylist, predictions

FALSE_ALARM = "false_alarm"  #: the node got well again by itself
CONFIRMED = "confirmed"  #: it was replaced, and that was verified, or a person said so


@dataclass(frozen=True, kw_only=True)
class Said:
    """One stored prediction."""

    id: int
    at: datetime
    node: str
    by: str
    tier: str
    expected: timedelta | None
    soonest: timedelta | None
    latest: timedelta | None
    reasons: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...]
    outcome: str | None


@dataclass(frozen=True, kw_only=True)
class Member:
    """One node's row of the greylist; `tier` is none for one that is only on its way there."""

    node: str
    tier: str
    joined_at: datetime | None = None
    since: datetime | None = None
    looked_at: datetime | None = None
    above_warning: timedelta | None = None
    above_critical: timedelta | None = None
    below_warning: timedelta | None = None
    below_critical: timedelta | None = None
    why: str = ""
    reminded_at: datetime | None = None
    settled_at: datetime | None = None
    settled_by: str | None = None


_TIMES = ("above_warning", "above_critical", "below_warning", "below_critical")
_AHEAD = ("expected", "soonest", "latest")


def add_prediction(
    tx: sa.Connection,
    *,
    at: datetime,
    node: str,
    by: str,
    tier: str,
    ahead: Sequence[timedelta | None],
    reasons: Sequence[str],
    findings: Sequence[Mapping[str, Any]],
) -> None:
    """Keep what was said of a node; `ahead` is expected, soonest and latest."""
    times = {name: _seconds(span) for name, span in zip(_AHEAD, ahead, strict=True)}
    row = {"at": at, "node": node, "by": by, "tier": tier, "reasons": list(reasons)}
    tx.execute(predictions.insert().values(row | times | {"findings": list(findings)}))


def latest(tx: sa.Connection, by: str = "rules") -> dict[str, Said]:
    """Node → the newest prediction of it."""
    newest = (
        sa.select(sa.func.max(predictions.c.id))
        .where(predictions.c.by == by)
        .group_by(predictions.c.node)
    )
    query = sa.select(predictions).where(predictions.c.id.in_(newest))
    return {row["node"]: _said(row) for row in tx.execute(query).mappings()}


def tiers(tx: sa.Connection, by: str = "rules") -> dict[str, int]:
    """Tier → how many nodes the newest prediction puts there."""
    newest = (
        sa.select(sa.func.max(predictions.c.id))
        .where(predictions.c.by == by)
        .group_by(predictions.c.node)
    )
    query = sa.select(predictions.c.tier, sa.func.count()).group_by(predictions.c.tier)
    return {tier: n for tier, n in tx.execute(query.where(predictions.c.id.in_(newest)))}


def history(tx: sa.Connection, node: str, limit: int = 50) -> tuple[Said, ...]:
    """Predictions of one node, newest first."""
    query = sa.select(predictions).where(predictions.c.node == node)
    query = query.order_by(predictions.c.id.desc()).limit(limit)
    return tuple(_said(row) for row in tx.execute(query).mappings())


def conclude(tx: sa.Connection, node: str, since: datetime, outcome: str) -> int:
    """Note what came of the alarms that were raised for a node since then; how many."""
    alarms = (
        (predictions.c.node == node)
        & (predictions.c.at >= since)
        & predictions.c.tier.in_(["warning", "critical"])
        & predictions.c.outcome.is_(None)
    )
    return int(tx.execute(predictions.update().where(alarms).values(outcome=outcome)).rowcount)


def standings(tx: sa.Connection) -> dict[str, Member]:
    """Node → its row, of every node that is a member or on its way there."""
    rows = tx.execute(sa.select(greylist).order_by(greylist.c.node)).mappings()
    return {
        row["node"]: Member(**{**row, **{name: _span(row[name]) for name in _TIMES}})
        for row in rows
    }


def members(tx: sa.Connection) -> tuple[Member, ...]:
    """Who is on the greylist, by name."""
    return tuple(one for one in standings(tx).values() if one.joined_at is not None)


def put(tx: sa.Connection, member: Member) -> None:
    """Keep where a node stands."""
    drop(tx, member.node)
    times = {name: _seconds(getattr(member, name)) for name in _TIMES}
    tx.execute(greylist.insert().values(vars(member) | times))


def drop(tx: sa.Connection, node: str) -> None:
    """Forget a node."""
    tx.execute(greylist.delete().where(greylist.c.node == node))


def settle(tx: sa.Connection, node: str, *, by: str, at: datetime) -> bool:
    """Note that somebody took care of a member; False when it is none, or settled already."""
    open_ = (
        (greylist.c.node == node)
        & greylist.c.joined_at.is_not(None)
        & greylist.c.settled_at.is_(None)
    )
    changed = tx.execute(greylist.update().where(open_).values(settled_at=at, settled_by=by))
    return changed.rowcount == 1


def reminded(tx: sa.Connection, node: str, at: datetime) -> None:
    """People were told again."""
    tx.execute(greylist.update().where(greylist.c.node == node).values(reminded_at=at))


def counted(tx: sa.Connection) -> dict[str, int]:
    """Outcome → how many alarms of the rules came to it, an alarm being one change to a tier."""
    query = sa.select(predictions.c.outcome, sa.func.count()).group_by(predictions.c.outcome)
    ours = predictions.c.outcome.is_not(None) & (predictions.c.by == "rules")
    rows = tx.execute(query.where(ours))
    return {outcome: count for outcome, count in rows}


def forget(tx: sa.Connection, before: datetime) -> int:
    """Remove predictions older than `before`, but for the newest of each node; how many."""
    newest = sa.select(sa.func.max(predictions.c.id)).group_by(predictions.c.node, predictions.c.by)
    old = (predictions.c.at < before) & predictions.c.id.not_in(newest)
    return int(tx.execute(predictions.delete().where(old)).rowcount)


def _said(row: Any) -> Said:
    spans = {name: _span(row[name]) for name in _AHEAD}
    lists = {"reasons": tuple(row["reasons"]), "findings": tuple(row["findings"])}
    return Said(**{**row, **spans, **lists})


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
