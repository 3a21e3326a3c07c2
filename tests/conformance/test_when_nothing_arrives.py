"""Alertmanager's contract, 5.3 and 5.4: when nothing is heard, and how to ask. Rows as tests."""

from __future__ import annotations

import pytest

from runner.intake.alertmanager import Standing
from runner.store import audit_log
from tests.conformance.lab import Site, quiet_for, told
from tests.real_alertmanager import eventually

pytestmark = pytest.mark.real


def test_a_group_is_told_again_when_an_alert_joins_it(site: Site) -> None:
    """New notification only if: new firing alert, new resolved, all resolved, or repeat."""
    site.alertmanager.fire(alertname="Grows", n="1")
    site.wait("Grows", told("firing"))
    site.alertmanager.fire(alertname="Grows", n="2")
    site.wait("Grows", lambda post: post.delivered and len(post.content["alerts"]) == 2)
    site.opened("Grows", 2)
    site.settle()
    assert site.deliveries("Grows") == [2, 1]


def test_a_short_recovery_is_not_told_but_found(site: Site) -> None:
    """Resolve + re-fire inside one group_interval: no message, although startsAt changed."""
    site.alertmanager.fire(alertname="Refires", t="long")
    site.wait("Refires", told("firing"))
    site.alertmanager.resolve(alertname="Refires", t="long")
    quiet_for(0.3)
    site.alertmanager.fire(alertname="Refires", t="long")
    quiet_for(2.5)  # the flush that says nothing
    assert len(site.gate.posts["Refires"]) == 1
    site.end(site.incidents("Refires")[0])
    site.daemon.reconcile()
    first, second = site.opened("Refires", 2)
    assert second.alert.starts_at > first.alert.starts_at
    assert second.alert.source == "pull"


@pytest.mark.parametrize("by", ["silence", "inhibition"])
def test_the_end_of_a_quiet_alert_is_never_told(site: Site, by: str) -> None:
    """Alert silenced/inhibited after notification, then resolves: no resolved message ever."""
    name = f"Quiet{by.title()}"
    site.alertmanager.fire(alertname=name, t="inhibited")
    site.wait(name, told("firing"))
    if by == "silence":
        site.alertmanager.silence(alertname=name)
    else:
        site.alertmanager.fire(alertname="Cause")
    (incident,) = site.incidents(name)
    asked = site.project.alertmanagers
    assert asked is not None
    labels, key = incident.alert.labels, incident.alert.fingerprint
    wanted = Standing.SILENCED if by == "silence" else Standing.INHIBITED
    eventually(lambda: asked.state_of(key, labels).standing is wanted, "it is quiet")
    site.alertmanager.resolve(alertname=name, t="inhibited")
    quiet_for(2.2)
    site.alertmanager.resolve(alertname="Cause")
    assert len(site.gate.posts[name]) == 1
    assert asked.state_of(key, labels).standing is Standing.ABSENT
    assert not site.incidents(name)[0].state.ended  # no message is no proof


def test_what_ends_before_group_wait_is_never_told(site: Site) -> None:
    """Resolved before group_wait: never notified."""
    site.alertmanager.fire(alertname="Brief", t="waits")
    site.alertmanager.resolve(alertname="Brief", t="waits")
    quiet_for(1.6)
    assert site.gate.posts["Brief"] == [] and site.incidents("Brief") == []


def test_a_repeat_is_the_same_activation(site: Site) -> None:
    """repeat_interval is checked only at flush; a repeat increments a counter, nothing else."""
    site.alertmanager.fire(alertname="Repeats", t="repeat")
    eventually(lambda: len(site.gate.delivered("Repeats")) >= 2, "it is repeated")
    site.alertmanager.resolve(alertname="Repeats", t="repeat")
    site.settle()
    (incident,) = site.incidents("Repeats")
    assert site.deliveries("Repeats")[0] >= 2
    with site.project.database.read() as tx:
        actions = [each.action for each in audit_log.of_incident(tx, incident.id)]
    assert actions.count("admitted") == 1


def test_without_send_resolved_the_end_is_silent(site: Site) -> None:
    """send_resolved default true; with false the group still clears silently."""
    site.alertmanager.fire(alertname="Silent", t="quiet")
    site.wait("Silent", told("firing"))
    site.alertmanager.resolve(alertname="Silent", t="quiet")
    quiet_for(2.2)
    assert len(site.gate.posts["Silent"]) == 1
    assert not site.incidents("Silent")[0].state.ended
    site.end(site.incidents("Silent")[0])
    site.alertmanager.fire(alertname="Silent", t="quiet")
    site.opened("Silent", 2)  # the next activation is told


def test_a_route_that_polls_costs_a_counter(site: Site) -> None:
    """Keep's and autoheal's routes turn the receiver into a poller: expect it."""
    site.alertmanager.fire(alertname="Polls", t="repeat")
    site.opened("Polls")
    eventually(lambda: site.deliveries("Polls")[0] >= 2, "it is told again and again")
    site.alertmanager.resolve(alertname="Polls", t="repeat")
    assert len(site.incidents("Polls")) == 1


def test_the_api_is_asked_for_what_fires_and_is_not_quiet(site: Site) -> None:
    """GET /api/v2/alerts includes silenced and inhibited by default; resolved are absent."""
    for number in "123":
        site.alertmanager.fire(alertname="Asked", n=number, t="waits")
    site.alertmanager.silence(alertname="Asked", n="2")
    site.alertmanager.resolve(alertname="Asked", n="3", t="waits")
    held = [a for a in site.alertmanager.alerts() if a["labels"]["alertname"] == "Asked"]
    assert {alert["labels"]["n"] for alert in held} == {"1", "2"}
    assert site.project.alertmanagers is not None

    def active() -> list[str]:
        assert site.project.alertmanagers is not None
        found = site.project.alertmanagers.active_alerts(['alertname="Asked"'], "runner")
        return [alert.labels["n"] for alert in found]

    eventually(lambda: active() == ["1"], "only the first one is active")
