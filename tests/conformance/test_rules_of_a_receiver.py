"""Alertmanager's contract, 5.5: the twelve rules of a receiver. Each test is one of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from runner.daemon import Daemon
from runner.incident import Result, State
from runner.intake.advice import advise
from runner.intake.simulate.bodies import Maker, message
from runner.intake.simulate.route import route
from runner.project import Project
from runner.store import database
from runner.store.tables import deliveries
from runner.web import guard
from tests import small_project as small
from tests.acceptance.service_lab import soon
from tests.conformance.lab import TOKEN, Site, made, told
from tests.real_alertmanager import RealAlertmanager, eventually

pytest_plugins = ["tests.real_alertmanager"]
pytestmark = pytest.mark.real


def test_rule_1_the_raw_body_is_stored_before_the_answer(site: Site) -> None:
    """Rule 1: store the raw body, then 2xx; never run anything in the request."""
    body = message(Maker(row="rule-1").alert()).replace(b": ", b" :  ")
    answer = site.post(body)
    assert answer.status_code == 200
    query = sa.select(deliveries.c.body).where(deliveries.c.id == answer.json()["delivery"])
    with site.project.database.read() as tx:
        assert tx.execute(query).scalar_one() == body


def test_rule_2_only_a_store_that_is_down_is_503(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 2: 503 only if the store is down; never 429; 400, 401, 413 for what is wrong."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    site.project.database.engine.dispose()  # what is open waits for longer
    body = message(Maker(row="rule-2").alert())
    with other_connection(site) as held:
        held.execute("begin exclusive")
        assert site.post(body).status_code == 503
        held.execute("rollback")
    assert site.post(body).status_code == 200
    limit = site.project.config.listen.max_body
    assert site.post(b"x" * (limit + 1)).status_code == 413
    assert [site.post(b"{}").status_code, site.post(body, token="").status_code] == [400, 401]
    assert 429 not in site.metrics.statuses
    site.project.database.engine.dispose()


@contextmanager
def other_connection(site: Site) -> Iterator[sqlite3.Connection]:
    """Another connection to the store, as a backup or a person would open."""
    other = sqlite3.connect(site.project.database.file, isolation_level=None, timeout=30)
    try:
        yield other
    finally:
        other.close()


def test_rule_3_each_alert_is_decided_by_itself(site: Site) -> None:
    """Rule 3: iterate alerts[]; decide per alert; ignore group status."""
    make = Maker(row="rule-3")
    site.post(message(make.alert(1), make.alert(2, resolved=True), status="resolved"))
    (incident,) = site.opened(make.alert()["labels"]["alertname"])
    site.settle()
    assert incident.alert.labels["number"] == "1" and site.firing(incident)


def test_rule_4_the_key_is_fingerprint_and_activation(site: Site) -> None:
    """Rule 4: tolerate startsAt moving for the same firing; a redelivery is a counter."""
    make = Maker(row="rule-4")
    name = make.alert()["labels"]["alertname"]
    for began in (-60, -60, -30):
        site.post(message(make.alert(began=timedelta(seconds=began))))
    site.settle()
    assert site.deliveries(name) == [3]
    site.post(message(make.alert(resolved=True)))
    site.post(message(make.alert(began=timedelta(seconds=-5))))
    site.settle()
    assert site.deliveries(name) == [3, 1]


def test_rule_5_the_rest_of_a_truncated_group_is_asked_for(site: Site) -> None:
    """Rule 5: truncatedAlerts > 0: fetch the rest from the API by groupLabels."""
    name = Maker(row="rule-5").alert()["labels"]["alertname"]
    for number in "12":  # Alertmanager has both, and the message only one
        site.gate.refuses[name] = 400
        site.alertmanager.fire(alertname=name, number=number)
    post = site.wait(name, lambda post: len(post.content["alerts"]) == 2)
    first, _ = post.content["alerts"]
    labels = {"alertname": name}
    site.post(message(first, groupLabels=labels, truncatedAlerts=1))
    assert {one.alert.labels["number"] for one in site.opened(name, 2)} == {"1", "2"}
    for number in "12":
        site.alertmanager.resolve(alertname=name, number=number)


@contextmanager
def working(
    root: Path, alertmanager: RealAlertmanager, **options: object
) -> Iterator[tuple[Project, Daemon]]:
    """A runner that works, with a real play, and asks this Alertmanager."""
    settings = {"alertmanagers": [{"url": alertmanager.url}]}
    project = small.project(small.make(root, settings=settings, **options), None)  # type: ignore[arg-type]
    daemon = Daemon(project)
    daemon.start()
    try:
        yield project, daemon
    finally:
        daemon.stop()
        project.close()


def test_rule_6_before_a_run_the_api_is_asked(
    tmp_path: Path, alertmanager: RealAlertmanager
) -> None:
    """Rule 6: T-0 check before execution; absent, silenced, inhibited: cancel."""
    silenced = small.alert(service="silenced")
    alertmanager.fire(**silenced["labels"])
    alertmanager.silence(service="silenced")
    with working(tmp_path, alertmanager, entry={"dry_run": "none"}) as (project, _):
        small.deliver(project, silenced, small.alert(host="web2", service="absent"))
        states = [small.wait(project, number).incident.state for number in (1, 2)]
    assert states == [State.SUPPRESSED, State.RESOLVED]
    assert small.runs(tmp_path) + small.runs(tmp_path, "web2") == 0


@pytest.mark.parametrize("truth", ["still fires", "resolved"])
def test_rule_7_a_message_alone_fixes_nothing(
    tmp_path: Path, alertmanager: RealAlertmanager, truth: str
) -> None:
    """Rule 7: never infer "fixed" from a resolved message alone (here: while it runs)."""
    alert = small.alert()
    alertmanager.fire(**alert["labels"])
    verify = {"within": "2s", "hold": "0s", "checks": [{"alert": "cleared"}]}
    entry = {"verify": verify, "dry_run": "none"}
    with working(tmp_path, alertmanager, entry=entry, extra="sleep 1") as (project, _):
        small.deliver(project, alert)
        soon(lambda: small.runs(tmp_path) == 1, "the play runs", 90)
        if truth == "resolved":
            alertmanager.resolve(**alert["labels"])
        small.deliver(project, small.alert(status="resolved"))
        found = small.wait(project)
    (seen,) = found.verifications.values()
    fixed = truth == "resolved"
    assert seen.result is (Result.FIXED if fixed else Result.NOT_FIXED)
    assert found.incident.state is (State.FIXED if fixed else State.ESCALATED)
    assert small.runs(tmp_path) == 1


def test_rule_8_the_reason_is_a_hint(site: Site) -> None:
    """Rule 8: treat notification_reason as a hint: it says resolved, the alert says firing."""
    make = Maker(row="rule-8")
    site.post(message(make.alert(), notification_reason="all alerts resolved"))
    (incident,) = site.opened(make.alert()["labels"]["alertname"])
    assert site.firing(incident)


def test_rule_9_the_receiver_is_un_escaped(site: Site) -> None:
    """Rule 9: un-escape receiver before comparing."""
    site.alertmanager.fire(alertname="Unescaped", t="both")
    found = site.opened("Unescaped")
    site.wait("Unescaped", told("firing"))
    assert found[0].alert.receiver in ("ok.rcv", "runner")
    assert site.project.alertmanagers is not None
    active = site.project.alertmanagers.active_alerts(['alertname="Unescaped"'], "ok.rcv")
    assert [alert.receiver for alert in active] == ["ok.rcv"]


def test_rule_10_an_old_alert_is_taken(site: Site) -> None:
    """Rule 10: do not reject old startsAt: it would drop what comes after an outage."""
    began = datetime.now(UTC) - timedelta(days=30)
    site.alertmanager.fire(starts_at=began.isoformat(), alertname="Old")
    (incident,) = site.opened("Old")
    assert abs(incident.alert.starts_at - began) < timedelta(seconds=1)


def test_rule_11_what_we_recommend_is_what_we_print() -> None:
    """Rule 11: recommend a dedicated route, instance, max_alerts: 0, a token, continue: true."""
    text = route("http://192.0.2.1:9095/api/v1/alerts", "secrets/it's")
    assert advise(text, "runner") == ()
    (hook,) = yaml.safe_load(text)["receivers"][1]["webhook_configs"]
    assert hook["http_config"]["authorization"]["credentials_file"] == "secrets/it's"
    worse = text.replace("max_alerts: 0", "max_alerts: 5").replace("instance", "job")
    worse = worse.replace("send_resolved: true", "send_resolved: false")
    assert len(advise(worse, "runner")) == 3


def test_rule_12_what_no_message_told_is_reconciled(
    tmp_path: Path, alertmanager: RealAlertmanager
) -> None:
    """Rule 12: reconcile with the API at start-up and every N minutes."""
    alertmanager.fire(alertname="Unheard", instance="web1")
    project = made(tmp_path, {"alertmanagers": [{"url": alertmanager.url}]})
    daemon = Daemon(project)
    project.delivered = daemon._inbox.wake
    daemon._inbox.start()
    daemon.reconcile()
    eventually(lambda: Site.incidents(_just(project), "Unheard"), "it is found")
    daemon.reconcile()
    time.sleep(0.3)
    assert len(Site.incidents(_just(project), "Unheard")) == 1
    daemon._inbox.stop()
    project.close()


def _just(project: Project) -> Site:
    """A site of which only the store is asked."""
    one = object.__new__(Site)
    one.project = project
    return one


def test_the_token_is_compared_and_not_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """5.1: the only proof of a sender is its token, so it stands in no log."""
    assert site.post(b"{}", token="x" * 100).status_code == 401
    assert TOKEN not in caplog.text and guard.WEBHOOK in site.url
