"""Simulated nodes behind a real Prometheus: what is scraped is what is judged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from runner import predict
from runner.config import Nodes
from runner.nodes.exporter import Exporter, Stage, at_speed, simulated_signals
from runner.nodes.simulate import DAY, SIGNALS
from tests import small_project as small
from tests.local_hosts import needs_ansible
from tests.real_alertmanager import Process, free_port, require

HOUR = 3600.0


def test_a_stage_shows_every_signal_until_the_node_fails() -> None:
    stage = Stage.of({"good": "calm", "bad": "filling_disk"}, seed=2)
    (bad,) = [life for life in stage.lives if life.fails is not None]
    assert bad.fails is not None
    before, after = stage.text(0), stage.text(bad.fails)
    assert before.count("simulated_signal{") >= 2 * len(SIGNALS) - 2
    assert 'simulated_serving{node="bad"} 1' in before
    assert 'simulated_serving{node="bad"} 0' in after
    assert 'simulated_signal{node="bad"' not in after, "a node that is gone shows nothing"


def test_an_exporter_s_time_passes_at_its_speed() -> None:
    now = [100.0]
    stage = Stage.of({"bad": "filling_disk"}, seed=2, past=timedelta())
    exporter = Exporter(stage, speed=DAY, clock=lambda: now[0])
    try:
        first = httpx.get(f"http://{exporter.address}/metrics", trust_env=False).text
        now[0] += 40
        last = httpx.get(f"http://{exporter.address}/metrics", trust_env=False).text
    finally:
        exporter.stop()
    assert "simulated_serving" in first and first != last
    assert 'simulated_serving{node="bad"} 0' in last


def test_settings_keep_their_proportions_when_time_is_fast() -> None:
    fast = at_speed(Nodes(), 3600)
    assert fast.step == fast.recent / 2 == timedelta(seconds=1)
    assert fast.window == timedelta(seconds=72) and fast.every == timedelta(seconds=1)
    assert fast.greylist.leave_after == timedelta(seconds=36)
    assert Nodes.model_validate(fast.model_dump(by_alias=True)) == fast


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """The URL of a real Prometheus that scrapes simulated nodes, one of which is failing."""
    stage = Stage.of({"n1": "calm", "n2": "calm", "n3": "filling_disk"}, seed=5)
    fails = next(life.fails for life in stage.lives if life.fails is not None)
    stage = Stage(stage.lives, stage.step, fails - 20 * HOUR)
    exporter = Exporter(stage, speed=600)
    target = {"job_name": "sim", "static_configs": [{"targets": [exporter.address]}]}
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": [target]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    port = free_port()
    server = Process(
        [
            require("prometheus"),
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        f"http://127.0.0.1:{port}",
        tmp_path / "prometheus.log",
    )
    yield server.url
    server.stop()
    exporter.stop()


@pytest.mark.real
@needs_ansible[1]
def test_a_real_prometheus_tells_which_node_is_failing(prometheus: str, tmp_path: Path) -> None:
    nodes = {
        "group": "storage",
        "members": "simulated_serving",
        "label": "node",
        "window": "30s",
        "step": "1s",
        "recent": "3s",
        "signals": [signal.model_dump() for signal in simulated_signals()],
    }
    hosts = {"n1": {}, "n2": {}, "n3": {}}
    inventory = {"all": {"children": {"storage": {"hosts": hosts}}}}
    settings = {"nodes": nodes, "prometheus": {"url": prometheus}}
    project = small.project(small.make(tmp_path / "p", settings=settings, inventory=inventory))
    deadline = time.monotonic() + 120
    seen: dict[str, str] = {}
    while time.monotonic() < deadline and seen.get("n3") not in ("warning", "critical"):
        time.sleep(1)
        outlook = predict.look(project, datetime.now(UTC))
        seen = {one.node: str(one.tier) for one in outlook.predictions}
    project.close()
    assert seen.pop("n3") in ("warning", "critical")
    assert not {"warning", "critical"} & set(seen.values()), "the others are well"
    assert "fill" in predict.one_of(outlook.predictions, "n3").reasons[0]
