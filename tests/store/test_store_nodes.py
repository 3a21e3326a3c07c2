"""What is kept of nodes, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runner.config import Retention
from runner.store import nodes, retention, workers
from runner.store.database import Database
from runner.store.nodes import Member

pytestmark = pytest.mark.store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def said(database: Database, at: datetime, node: str = "n1", tier: str = "none") -> None:
    with database.write() as tx:
        nodes.add_prediction(
            tx, at=at, node=node, by="rules", tier=tier, ahead=(DAY, None, 2 * DAY),
            reasons=["because"], findings=[{"signal": "fill"}],
        )  # fmt: skip


def test_a_prediction_reads_back(database: Database) -> None:
    said(database, NOW, tier="warning")
    with database.read() as tx:
        (found,) = nodes.history(tx, "n1")
        assert nodes.latest(tx) == {"n1": found}
        assert nodes.tiers(tx) == {"warning": 1}
    assert (found.at, found.tier, found.expected, found.soonest) == (NOW, "warning", DAY, None)
    assert (found.reasons, found.findings) == (("because",), ({"signal": "fill"},))


def test_alarms_are_concluded_once_and_counted(database: Database) -> None:
    for tier in ("none", "warning", "critical"):
        said(database, NOW, tier=tier)
    with database.write() as tx:
        assert nodes.conclude(tx, "n1", NOW - DAY, nodes.FALSE_ALARM) == 2
        assert nodes.conclude(tx, "n1", NOW - DAY, nodes.CONFIRMED) == 0
        assert nodes.counted(tx) == {"false_alarm": 2}


def test_retention_keeps_the_newest_of_each_node(database: Database) -> None:
    """Invariant 14: what grows has an end."""
    for days in (400, 300, 200):
        said(database, NOW - days * DAY)
    said(database, NOW, node="n2")
    with database.write() as tx:
        assert retention.sweep(tx, Retention(), NOW) == {"predictions": 2}
        assert len(nodes.history(tx, "n1")) == 1


def test_a_member_reads_back_and_is_settled_once(database: Database) -> None:
    member = Member(
        node="n1", tier="warning", joined_at=NOW, since=NOW, looked_at=NOW,
        above_warning=timedelta(hours=3), why="fill",
    )  # fmt: skip
    with database.write() as tx:
        nodes.put(tx, member)
        nodes.put(tx, Member(node="n2", tier="none", looked_at=NOW))
        assert nodes.members(tx) == (member,)
        assert set(nodes.standings(tx)) == {"n1", "n2"}
        assert not nodes.settle(tx, "n2", by="user:ann", at=NOW), "it is only on its way there"
        assert nodes.settle(tx, "n1", by="user:ann", at=NOW)
        assert not nodes.settle(tx, "n1", by="user:bob", at=NOW)


def test_a_round_is_claimed_once_until_it_is_due_again(database: Database) -> None:
    def claim(at: datetime, name: str = "predict") -> bool:
        with database.write() as tx:
            return workers.claim_round(tx, name, at, DAY)

    assert claim(NOW) and not claim(NOW) and claim(NOW, "other")
    assert not claim(NOW + DAY / 2) and claim(NOW + DAY)


def test_a_round_leaves_a_note(database: Database) -> None:
    with database.write() as tx:
        assert workers.round_note(tx, "spares") == ""
        workers.put_round_note(tx, "spares", "empty", NOW)
        assert workers.round_note(tx, "spares") == "empty"
