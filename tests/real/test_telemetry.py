from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families

from runner.daemon import Daemon
from runner.incident import Level, State
from runner.incident.model_call import Failure, ModelCall, Round
from runner.store import deliveries, incidents, model_calls, outbox, switches, tables, workers
from runner.store.database import Database
from runner.telemetry import CALLS, Metrics
from tests import small_project as small
from tests.notify_incident import ask, database, escalate, opened

DOCS = Path(__file__).parents[2] / "docs"
RULES = DOCS / "prometheus-rules.yml"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    made = database(tmp_path)
    yield made
    made.close()


def samples(metrics: Metrics) -> dict[str, float]:
    """Rendered and parsed again: `name{label="value"}` → value."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def names(metrics: Metrics) -> set[str]:
    """Metric names as one queries them; a histogram by its base name."""
    suffix = {"counter": "_total"}
    families = text_string_to_metric_families(metrics.render().decode())
    return {f"{family.name}{suffix.get(family.type, '')}" for family in families}


def busy(store: Database) -> None:
    """A store in which every optional gauge has something to say."""
    with store.write() as tx:
        deliver(tx, datetime.now(UTC) - timedelta(minutes=10))
        workers.join(tx, "worker", "here")
        workers.put_failures(tx, "probe", 2, datetime.now(UTC))
        workers.put_round_note(tx, "predict", datetime.now(UTC).isoformat(), datetime.now(UTC))


def deliver(tx: sa.Connection, at: datetime) -> int:
    return deliveries.add(tx, body=b"{}", alerts=(), source="webhook", ceiling=Level.AUTO, at=at)


def test_every_metric_is_documented_and_every_documented_one_exists(store: Database) -> None:
    busy(store)
    metrics = Metrics(store)
    documented = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "metrics.md").read_text(), re.M))
    assert names(metrics) == documented
    assert all(name.startswith("runner_") for name in documented)


def test_every_metric_in_the_rules_exists() -> None:
    """Invariant 15: a rule on a name that nobody exports would never fire."""
    documented = (DOCS / "metrics.md").read_text()
    expressions = " ".join(rule["expr"] for rule in rules())
    used = set(re.findall(r"\brunner_\w+", expressions))
    assert len(used) >= 8
    assert {name for name in used if f"`{name}`" not in documented} == set()


def test_incidents_are_counted_by_state(store: Database) -> None:
    with store.write() as tx:
        ask(tx, opened(tx))
        opened(tx, fingerprint="f2")
    found = samples(Metrics(store))
    assert found["runner_incidents{state=waiting}"] == 1
    assert found["runner_incidents{state=admitted}"] == 1
    assert found["runner_incidents{state=fixed}"] == 0
    assert sum("runner_incidents{" in name for name in found) == len(State)
    assert found["runner_approvals_open"] == 1


def test_what_waits_has_an_age(store: Database) -> None:
    busy(store)
    found = samples(Metrics(store))
    assert found["runner_deliveries_waiting"] == 1
    assert 600 <= found["runner_deliveries_waiting_seconds"] < 900
    assert found["runner_last_delivery_timestamp_seconds"] > 1.7e9
    assert found["runner_workers_alive"] == 1


def test_what_was_looked_at_waits_no_more(store: Database) -> None:
    with store.write() as tx:
        deliveries.advance(tx, deliver(tx, datetime.now(UTC)), 1, done=True)
    found = samples(Metrics(store))
    assert found["runner_deliveries_waiting"] == found["runner_deliveries_waiting_seconds"] == 0
    assert "runner_last_delivery_timestamp_seconds" in found


def test_an_incident_that_waits_for_a_person_is_not_stuck(store: Database) -> None:
    with store.write() as tx:
        ask(tx, opened(tx))
        tx.execute(sa.text("update incidents set updated_at = '2026-01-01 00:00:00'"))
        assert samples(Metrics(store))["runner_incident_unchanged_seconds"] == 0
        tx.execute(sa.text("update incidents set state = 'running'"))
    assert samples(Metrics(store))["runner_incident_unchanged_seconds"] > 3600


def test_an_incident_that_is_held_back_is_stuck_once_its_time_is_over(store: Database) -> None:
    """Invariant 22: a runner that forgets to look again is noticed."""
    with store.write() as tx:
        number = opened(tx)
        soon = datetime.now(UTC) + timedelta(minutes=30)
        incidents.hold(tx, number, "it cools down", until=soon, longest=timedelta(hours=1))
        tx.execute(sa.text("update incidents set updated_at = '2026-01-01 00:00:00'"))
    assert samples(Metrics(store))["runner_incident_unchanged_seconds"] == 0
    with store.write() as tx:
        tx.execute(sa.text("update incidents set held_until = '2026-01-01 00:00:00'"))
    assert samples(Metrics(store))["runner_incident_unchanged_seconds"] > 3600


def test_a_run_past_its_deadline_is_overdue(store: Database) -> None:
    with store.write() as tx:
        ask(tx, opened(tx))
        tx.execute(sa.text("update runs set outcome = null, deadline = '2026-01-01 00:00:00'"))
    found = samples(Metrics(store))
    assert found["runner_runs_in_flight"] == found["runner_runs_overdue"] == 1


def test_notifications_that_wait_and_fail_are_counted(store: Database) -> None:
    now = datetime.now(UTC)
    with store.write() as tx:
        opened(tx)
        outbox.fan_out(tx, {"mail": ["admitted"], "chat": ["admitted"]}, now)
        outbox.failed(tx, 1, "closed")
    found = samples(Metrics(store))
    assert found["runner_notifications_failed"] == found["runner_notifications_waiting"] == 1
    with store.write() as tx:
        outbox.later(tx, 1, now - timedelta(hours=2))
    assert samples(Metrics(store))["runner_notifications_failed"] == 0


def test_a_dead_worker_has_no_heartbeat(store: Database) -> None:
    """Invariant 15: a worker that left is seen to be missing."""
    with store.write() as tx:
        workers.join(tx, "worker", "here")
    assert "runner_heartbeat_timestamp_seconds" in samples(Metrics(store))
    with store.write() as tx:
        workers.leave(tx, "worker")
    found = samples(Metrics(store))
    assert "runner_heartbeat_timestamp_seconds" not in found
    assert found["runner_workers_alive"] == 0


def test_calls_of_a_model_are_counted_by_what_came_of_them(store: Database) -> None:
    now = datetime.now(UTC)
    with store.write() as tx:
        for minutes, failure, round_ in (
            (1, None, Round.FIRST),
            (2, None, Round.REUSED),
            (3, Failure.TIMEOUT, Round.FIRST),
            (4, Failure.TIMEOUT, Round.FALLBACK),
            (61, Failure.DENIED, Round.FIRST),
            (24 * 60 + 1, None, Round.FIRST),
        ):
            at = now - timedelta(minutes=minutes)
            model_calls.put(tx, call(at=at, failure=failure, round=round_))
    found = samples(Metrics(store))
    assert {
        result: found[f"runner_model_calls{{result={result}}}"]
        for result in CALLS
        if found[f"runner_model_calls{{result={result}}}"]
    } == {"answered": 1, "reused": 1, "timeout": 2}
    assert found["runner_model_money"] == 2.5


def call(**changes: Any) -> ModelCall:
    return ModelCall(
        provider="openai", model="m", prompt_hash="p", question="q", prompt="", answer="{}",
        money=0.5, requests=1, **changes,
    )  # fmt: skip


def test_pause_is_seen(store: Database) -> None:
    with store.write() as tx:
        switches.pause(tx, actor="user:ann", reason="storage move")
    assert samples(Metrics(store))["runner_paused"] == 1


def test_a_store_that_is_down_is_told_and_the_counters_stay(tmp_path: Path) -> None:
    """Invariant 15: the scrape itself does not fail when the store does."""
    gone = Database(f"sqlite:///{tmp_path}/no/such/runner.db")
    metrics = Metrics(gone)
    metrics.refused("store")
    found = samples(metrics)
    assert found["runner_store_up"] == 0
    assert found["runner_deliveries_refused_total{reason=store}"] == 1
    assert "runner_deliveries_waiting" not in found


def test_runs_and_verifications_of_the_last_day_are_counted(store: Database) -> None:
    with store.write() as tx:
        escalate(tx, opened(tx))
    found = samples(Metrics(store))
    assert found["runner_runs{outcome=changed,purpose=remediation}"] == 1
    assert found["runner_runs{outcome=failed,purpose=remediation}"] == 0
    assert found["runner_verifications{result=not_fixed}"] == 1
    with store.write() as tx:
        tx.execute(tables.runs.update().values(started_at=datetime.now(UTC) - timedelta(days=2)))
    found = samples(Metrics(store))
    assert found["runner_runs{outcome=changed,purpose=remediation}"] == 0
    assert found["runner_verifications{result=not_fixed}"] == 0


def test_a_watch_that_cannot_look_is_seen(tmp_path: Path, store: Database) -> None:
    """Invariant 15: the shipped rule RunnerWatchFailing has something to fire on."""
    watches = [{"name": "Gone", "http": "http://no-such-host.invalid/", "every": "1s"}]
    project = small.project(small.make(tmp_path, settings={"watches": watches}))
    with project.database.write() as tx:
        workers.put_failures(tx, "of an older runner.yml", 9, datetime.now(UTC))
    daemon = Daemon(project)
    daemon.start()
    try:
        small.until(
            lambda: samples(Metrics(project.database))["runner_watch_failures{watch=Gone}"] > 1,
            "it has failed twice",
        )
        assert "of an older" not in str(samples(Metrics(project.database)))
    finally:
        daemon.stop()
        project.close()


def test_what_happens_is_counted() -> None:
    metrics = Metrics()
    metrics.delivered("webhook", firing=2, resolved=1, seconds=0.02)
    metrics.refused("too_large")
    found = samples(metrics)
    for name in (
        "runner_deliveries_total{source=webhook}",
        "runner_alerts_received_total{status=resolved}",
        "runner_deliveries_refused_total{reason=too_large}",
        "runner_acknowledgement_seconds_count",
        "runner_acknowledgement_seconds_bucket{le=0.025}",
    ):
        assert found[name] == 1, name
    assert found["runner_alerts_received_total{status=firing}"] == 2


def test_a_value_from_outside_makes_no_new_series() -> None:
    """Invariant 14: the number of series has a bound."""
    metrics = Metrics()
    for number in range(50):
        metrics.refused(f"reason {number}")
        metrics.delivered(f"source {number}", firing=0, resolved=0, seconds=0)
    found = samples(metrics)
    assert found["runner_deliveries_refused_total{reason=other}"] == 50
    assert len(found) < 120


def test_two_instances_share_nothing(store: Database) -> None:
    one, two = Metrics(store), Metrics(store)
    one.refused("store")
    assert samples(two)["runner_deliveries_refused_total{reason=store}"] == 0


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run promtool; skipped without it, but never in CI."""
    program = shutil.which("promtool")
    if program is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed; it comes with Prometheus")
    assert program is not None, "promtool is not installed; it comes with Prometheus"
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.real
def test_promtool_accepts_the_rules() -> None:
    """Invariant 15: the shipped rules load."""
    done = promtool("check", "rules", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_says_how_bad_it_is_and_what_it_is() -> None:
    assert all("severity" in rule["labels"] for rule in rules())
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules())
    assert all(rule["alert"].startswith("Runner") for rule in rules())


UP = {'up{job="runner"}': "1x600", "runner_store_up": "1x600"}
BEAT = {"runner_heartbeat_timestamp_seconds": "0+60x600"}
FINE = UP | BEAT | {"runner_last_delivery_timestamp_seconds": "0+60x600"}
FIRING = {
    'alertmanager_alerts{state="active"}': "1x600",
    'ALERTS{alertname="ServiceDown",alertstate="firing"}': "1x600",
}

#: What is seen, which rule has to fire, and after how many minutes at the latest.
TROUBLE: dict[str, tuple[dict[str, str], str, int]] = {
    "not answering": (FINE | {'up{job="runner"}': "1x5 0x600"}, "RunnerDown", 10),
    "not scraped at all": ({}, "RunnerDown", 5),
    "without a store": ({'up{job="runner"}': "1x600", "runner_store_up": "0x600"},
                        "RunnerStoreDown", 5),
    "refusing Alertmanager": (
        FINE | {'alertmanager_notifications_failed_total{integration="webhook"}': "0+1x600"},
        "RunnerDeaf", 15),
    "not routed to": (UP | BEAT | FIRING | {"runner_last_delivery_timestamp_seconds": "0x600"},
                      "RunnerUnheard", 400),
    "never delivered to": (UP | BEAT | FIRING, "RunnerUnheard", 65),
    "refusing": (FINE | {'runner_deliveries_refused_total{reason="unauthorized"}': "0+1x600"},
                 "RunnerRefusing", 20),
    "sent what it cannot read": (FINE | {"runner_dead_letters": "1x600"}, "RunnerDeadLetters", 10),
    "not looking": (FINE | {"runner_deliveries_waiting_seconds": "0+60x600"}, "RunnerStuck", 10),
    "without a beat": (UP | {"runner_heartbeat_timestamp_seconds": "0x600"},
                       "RunnerWorkerDown", 10),
    "without a worker": (UP, "RunnerWorkerDown", 5),
    "in a run without end": (FINE | {"runner_runs_overdue": "1x600"}, "RunnerRunOverdue", 15),
    "standing still": (FINE | {"runner_incident_unchanged_seconds": "0+60x600"},
                       "RunnerIncidentStuck", 140),
    "mute": (FINE | {"runner_notifications_failed": "1x600"}, "RunnerNotificationsFailing", 10),
    "slow to tell": (FINE | {"runner_notifications_waiting_seconds": "0+60x600"},
                     "RunnerNotificationsFailing", 25),
    "left alone by its model": (
        FINE | {'runner_model_calls{result="timeout"}': "3x600",
                'runner_model_calls{result="answered"}': "2x600"}, "RunnerModelFailing", 20),
    "well": (FINE, "RunnerHeartbeat", 1),
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("trouble", TROUBLE)
def test_somebody_is_paged_when_the_runner_is(trouble: str, tmp_path: Path) -> None:
    """Invariant 15: down, deaf or stuck, the shipped rules fire."""
    series, alert, minutes = TROUBLE[trouble]
    query = f'sum(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
    done = simulate(tmp_path, series, query, minutes, fires=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.parametrize("minutes", [1, 60, 500])
def test_nobody_is_paged_while_all_is_well(minutes: int, tmp_path: Path) -> None:
    """Invariant 15: a page that comes for nothing is one that nobody reads."""
    query = 'ALERTS{alertname=~"Runner.*",alertname!="RunnerHeartbeat",alertstate="firing"}'
    series = FINE | FIRING | {"runner_paused": "0x600", "runner_runs_overdue": "0x600"}
    series |= {f'runner_model_calls{{result="{result}"}}': "0x600" for result in CALLS}
    done = simulate(tmp_path, series, query, minutes, fires=False)
    assert done.returncode == 0, done.stdout + done.stderr


def simulate(
    folder: Path, series: dict[str, str], query: str, minutes: int, *, fires: bool
) -> subprocess.CompletedProcess[str]:
    """Let promtool evaluate the rules over made-up series, a sample a minute from time 0."""
    expected = [{"labels": "{}", "value": 1}] if fires else []
    content = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {"expr": query, "eval_time": f"{minutes}m", "exp_samples": expected}
                ],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(content))
    return promtool("test", "rules", folder / "test.yml")
