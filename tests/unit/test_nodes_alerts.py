from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner.config import Nodes
from runner.incident import AlertStatus
from runner.intake.payload import compose, parse
from runner.nodes.greylist import Held, alert_of, difference

SINCE = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
NOW = SINCE + timedelta(hours=1)
NODES = Nodes(group="storage")


def held(tier: str = "warning", node: str = "db1") -> Held:
    return Held(node=node, tier=tier, since=SINCE, why="fill is past its warning bound.")


def test_a_member_s_alert_reads_back_from_its_delivery() -> None:
    alert = alert_of(held(), NODES)
    body = compose([alert], source="prediction").raw
    (read,) = parse(body, source="prediction").alerts
    assert read.fingerprint and read.labels == alert.labels and read.starts_at == alert.starts_at
    assert read.labels["alertname"] == "StorageNodeWarning"
    assert (read.labels["instance"], read.labels["tier"], read.labels["group"]) == (
        "db1", "warning", "storage",
    )  # fmt: skip


def test_what_is_told_is_the_difference_to_what_is_known() -> None:
    warning, critical = alert_of(held(), NODES), alert_of(held("critical"), NODES)
    assert difference([warning], [], NOW) == (warning,)
    assert difference([warning], [warning], NOW) == (), "told once"
    ended, fired = difference([critical], [warning], NOW)
    assert fired == critical
    assert (ended.name, ended.status) == ("StorageNodeWarning", AlertStatus.RESOLVED)
    assert [one.status for one in difference([], [warning], NOW)] == [AlertStatus.RESOLVED]


def test_a_member_that_joined_again_is_a_new_activation() -> None:
    before = alert_of(held(), NODES)
    again = alert_of(Held(node="db1", tier="warning", since=NOW, why=""), NODES)
    assert difference([again], [before], NOW) == (again,)
    assert difference([before], [again], NOW) == (), "an older message is no news"
