"""Alertmanager's contract, 5.2: delivery, outage and retry. Each test is a row of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from runner.incident import State
from tests.conformance.lab import Site, quiet_for, told
from tests.real_alertmanager import RealAlertmanager, eventually

pytestmark = pytest.mark.real


def test_what_was_acknowledged_is_not_sent_again(site: Site) -> None:
    """2xx = delivered and logged; the body is ignored: one message within repeat_interval."""
    site.alertmanager.fire(alertname="Logged")
    site.wait("Logged", told("firing"))
    quiet_for(2.2)
    assert site.deliveries("Logged") == [1]


@pytest.mark.parametrize("outage", [503, "drop"])
def test_an_outage_is_retried_until_it_is_over(site: Site, outage: int | str) -> None:
    """5xx and transport errors: retried with exponential backoff until the context ends."""
    name = f"Outage{outage}"
    site.gate.refuses[name] = outage
    site.alertmanager.fire(alertname=name)
    eventually(lambda: len(site.gate.posts[name]) >= 2, "it is tried again")
    assert site.incidents(name) == []
    del site.gate.refuses[name]
    site.opened(name)
    assert site.deliveries(name) == [1]


@pytest.mark.parametrize("status", [400, 429])
def test_a_refusal_is_tried_again_at_the_next_flush(site: Site, status: int) -> None:
    """All other codes incl. 429 and 4xx: not retried now, but attempted at every next flush."""
    name = f"Refused{status}"
    site.gate.refuses[name] = status
    site.alertmanager.fire(alertname=name)
    eventually(lambda: len(site.gate.posts[name]) >= 3, "three flushes")
    times = [post.at for post in site.gate.posts[name]]
    assert all(later - earlier > 0.5 for earlier, later in pairwise(times))
    del site.gate.refuses[name]
    site.opened(name)
    assert site.deliveries(name) == [1]


@pytest.mark.slow
def test_a_lost_answer_brings_the_message_again(site: Site) -> None:
    """Context timeout = max(group_interval, 10 s); a slow receiver is cut and called again."""
    site.gate.holds["Slow"] = 10.5
    site.alertmanager.fire(alertname="Slow")
    site.opened("Slow")
    eventually(lambda: site.deliveries("Slow")[0] >= 2, "it is sent again")
    del site.gate.holds["Slow"]
    site.settle()
    assert len(site.incidents("Slow")) == 1


def test_a_retried_message_may_be_overtaken(site: Site) -> None:
    """The retry loop re-sends the snapshot of the flush: firing can arrive after it resolved."""
    site.gate.refuses["Stale"] = 503
    site.alertmanager.fire(alertname="Stale")
    site.wait("Stale")
    site.alertmanager.resolve(alertname="Stale")
    assert not [a for a in site.alertmanager.alerts() if a["labels"]["alertname"] == "Stale"]
    del site.gate.refuses["Stale"]
    site.wait("Stale", told("firing"))  # though it has resolved
    (incident,) = site.opened("Stale")
    eventually(lambda: site.incidents("Stale")[0].state is State.RESOLVED, "it is resolved")
    assert [one.id for one in site.incidents("Stale")] == [incident.id]


def test_what_fired_and_ended_in_an_outage_is_never_told(site: Site) -> None:
    """If an alert fires and resolves while every attempt fails, it is never notified."""
    site.gate.refuses["Missed"] = 400
    site.alertmanager.fire(alertname="Missed")
    site.wait("Missed")
    site.alertmanager.resolve(alertname="Missed")
    quiet_for(1.2)
    del site.gate.refuses["Missed"]
    quiet_for(1.5)
    site.daemon.reconcile()  # nobody knows of it any more, and nobody acknowledged it
    assert site.gate.delivered("Missed") == [] and site.incidents("Missed") == []


def fire_at_both(pair: tuple[RealAlertmanager, RealAlertmanager], name: str) -> None:
    """What Prometheus does: every peer is told, of the same activation."""
    began = datetime.now(UTC).isoformat()
    for peer in pair:
        peer.fire(starts_at=began, alertname=name)


def test_each_peer_of_a_cluster_may_deliver_after_an_outage(
    site: Site, pair: tuple[RealAlertmanager, RealAlertmanager]
) -> None:
    """Retries in HA: peers retry independently; after recovery each may deliver."""
    site.gate.refuses["Pair"] = 503
    fire_at_both(pair, "Pair")

    def senders() -> set[str]:
        return {post.content["externalURL"] for post in site.gate.posts["Pair"]}

    eventually(lambda: len(senders()) == 2, "both peers try")
    del site.gate.refuses["Pair"]
    site.opened("Pair")
    quiet_for(2.5)
    site.settle()
    assert len(site.incidents("Pair")) == 1
    assert site.deliveries("Pair")[0] == len(site.gate.delivered("Pair"))


def test_a_partition_brings_everything_twice(
    site: Site, pair: tuple[RealAlertmanager, RealAlertmanager]
) -> None:
    """HA is fail-open, at-least-once; partition means duplicates by design: one incident."""
    began = datetime.now(UTC) - timedelta(seconds=30)
    for one in (site.alertmanager, pair[0]):  # these two know nothing of one another
        one.fire(starts_at=began.isoformat(), alertname="Parted")
    eventually(lambda: len(site.gate.delivered("Parted")) == 2, "both deliver")
    site.settle()
    assert site.deliveries("Parted") == [2]


def test_a_receiver_that_was_away_longer_than_alertmanager(site: Site, tmp_path: Path) -> None:
    """Outage and restart: an Alertmanager that starts anew tells again what it logged before."""
    first = RealAlertmanager(tmp_path / "am", site.routes)
    first.fire(alertname="Restarted")
    site.wait("Restarted", told("firing"))
    began = site.opened("Restarted")[0].alert.starts_at
    first.stop()  # killed: its notification log was not written
    second = RealAlertmanager(tmp_path / "am", site.routes)
    second.fire(starts_at=began.isoformat(), alertname="Restarted")
    eventually(lambda: len(site.gate.delivered("Restarted")) == 2, "it is told again")
    site.settle()
    second.stop()
    assert site.deliveries("Restarted") == [2]
