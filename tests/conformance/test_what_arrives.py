"""Alertmanager's contract, 5.1: the message. Each test is a row of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from runner.intake.payload import parse
from runner.intake.simulate.bodies import NEVER, Maker, message
from runner.intake.simulate.rows import BY_NAME
from tests.conformance.lab import TOKEN, Site, quiet_for, told

pytestmark = pytest.mark.real


def test_fields_of_version_4(site: Site) -> None:
    """Fields: version "4", groupKey, truncatedAlerts, status, receiver, groupLabels … alerts[]."""
    site.alertmanager.fire(alertname="Fields", instance="web1", annotations={"summary": "s"})
    post = site.wait("Fields", told("firing"))
    content = post.content
    assert content["version"] == "4"
    assert content.keys() >= {"groupKey", "truncatedAlerts", "commonLabels", "externalURL"}
    (alert,) = content["alerts"]
    (read,) = parse(post.body).alerts
    assert (read.fingerprint, read.labels) == (alert["fingerprint"], alert["labels"])
    (incident,) = site.opened("Fields")
    assert incident.alert == read


@pytest.mark.parametrize("reason", ["first notification", "repeat interval elapsed", 7, None])
def test_new_fields_are_never_required(site: Site, reason: object) -> None:
    """New: notification_reason and routeLabels (0.34): parse leniently; never require them."""
    make = Maker(row=f"new-{reason}")
    body = message(make.alert(), notification_reason=reason, routeLabels={"team": "infra"})
    assert site.post(body).status_code == 200
    assert len(site.opened(make.alert()["labels"]["alertname"])) == 1


def test_a_custom_payload_is_refused_with_a_short_text(site: Site) -> None:
    """Since 0.32 users may set a custom payload: reject with 400 and a short text."""
    (body,) = BY_NAME["custom-payload"].bodies(Maker(row="custom"))
    answer = site.post(body)
    assert answer.status_code == 400
    assert len(answer.content) < 400 and "payload" in answer.text


def test_the_receiver_is_quoted_as_a_regular_expression(site: Site) -> None:
    r"""receiver is regexp-quoted: ok.rcv arrives as ok\.rcv."""
    site.alertmanager.fire(alertname="Quoted", t="both")
    post = site.wait("Quoted", lambda post: "ok" in post.content["receiver"])
    assert post.content["receiver"] == r"ok\.rcv"
    assert parse(post.body).receiver == "ok.rcv"


def test_a_group_is_mixed_and_says_firing(site: Site) -> None:
    """status is firing if any alert fires; groups are mixed: each alert counts by itself."""
    for number in "12":
        site.alertmanager.fire(alertname="Mixed", n=number)
    site.wait("Mixed", lambda post: post.delivered and len(post.content["alerts"]) == 2)
    site.alertmanager.resolve(alertname="Mixed", n="1")
    post = site.wait("Mixed", told("resolved"))
    assert post.content["status"] == "firing"
    site.settle()
    states = {one.alert.labels["n"]: site.firing(one) for one in site.incidents("Mixed")}
    assert states == {"1": False, "2": True}


def test_a_firing_alert_has_ended_in_the_year_1(site: Site) -> None:
    """firing alerts have endsAt in the year 0001 in the webhook, but in the future in the API."""
    site.alertmanager.fire(alertname="YearOne")
    (alert,) = site.wait("YearOne", told("firing")).content["alerts"]
    assert alert["endsAt"] == NEVER
    (held,) = [a for a in site.alertmanager.alerts() if a["labels"]["alertname"] == "YearOne"]
    assert datetime.fromisoformat(held["endsAt"]) > datetime.now(UTC)
    (incident,) = site.opened("YearOne")
    assert incident.alert.ends_at is None and site.firing(incident)


def test_the_fingerprint_is_of_the_labels_only(site: Site) -> None:
    """fingerprint = hash of labels only: an annotation changes neither it nor notifies."""
    site.alertmanager.fire(alertname="Annotated", annotations={"summary": "one"})
    first = site.wait("Annotated", told("firing"))
    site.alertmanager.fire(alertname="Annotated", annotations={"summary": "two"})
    quiet_for(2.2)
    assert len(site.gate.posts["Annotated"]) == 1
    (held,) = [a for a in site.alertmanager.alerts() if a["labels"]["alertname"] == "Annotated"]
    assert held["annotations"] == {"summary": "two"}
    assert held["fingerprint"] == first.content["alerts"][0]["fingerprint"]
    assert len(site.incidents("Annotated")) == 1


def test_one_alert_has_several_group_keys(site: Site) -> None:
    """groupKey is opaque; one alert routed by continue: true has several: one incident."""
    site.alertmanager.fire(alertname="Several", t="both")
    for receiver in (r"ok\.rcv", "runner"):
        site.wait("Several", lambda p, name=receiver: p.delivered and p.content["receiver"] == name)
    site.settle()
    assert len({post.content["groupKey"] for post in site.gate.posts["Several"]}) == 2
    assert site.deliveries("Several") == [2]


def test_the_rest_of_a_cut_group_is_fetched(site: Site) -> None:
    """max_alerts truncates to the first N: the same alerts are missing; only the count is told."""
    now = datetime.now(UTC)
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
    labels = [{"alertname": "Cut", "t": "capped", "n": str(number)} for number in range(5)]
    site.alertmanager.post([{"labels": one, **times} for one in labels])
    post = site.wait("Cut", lambda post: post.content["truncatedAlerts"] > 0)
    assert len(post.content["alerts"]) == 2 and post.content["truncatedAlerts"] == 3
    found = site.opened("Cut", 5)
    assert {one.alert.labels["n"] for one in found} == set("01234")


def test_there_is_no_signature_but_a_token(site: Site) -> None:
    """No signature. Auth = authorization; redirects are followed: so we never send one."""
    make = Maker(row="signed")
    body = message(make.alert())
    assert site.post(body, token="").status_code == 401
    assert site.post(body, token="wrong").status_code == 401
    login = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/", "?x=1"):
        url = site.url + path
        answer = httpx.post(url, content=body, headers=login, trust_env=False)
        assert not answer.is_redirect
    assert site.post(body).status_code == 200
