"""A storage node that degrades: simulated metrics behind a real Prometheus, in fast time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import numpy as np

from runner.config import Nodes
from runner.errors import RunnerError
from runner.nodes.exporter import Exporter, Stage, at_speed, simulated_signals
from runner.text.duration import write
from runner_demo.fleet import die_with_parent, free_ports

SPEED = 7200.0  #: two hours pass in a second
SEED = 7
#: What becomes of the node; its peers are calm.
FATE = "filling_disk"
HEALTHY_HOURS = 12  #: that Prometheus sees before the first sign
#: How full its disk is where time stands still: past the bounds of the two tiers.
WARNED, FAILING = 0.81, 0.95
START_SECONDS = 60.0
#: A compaction of ten minutes is over before this time's next look, or lasts as long as what
#: counts as now: signals that have such spikes say nothing when time is so fast.
SIGNALS = ("fill", "quota", "memory", "clock_offset", "disk_errors", "restarts")


class Pace:
    """A clock that stands still at a mark, until it is told of the next one."""

    def __init__(self, mark: float) -> None:
        self._began, self._stood, self._mark = time.monotonic(), 0.0, mark

    def __call__(self) -> float:
        """The seconds that have passed while it did not stand still."""
        return min(time.monotonic() - self._began - self._stood, self._mark)

    def go_on(self, mark: float) -> None:
        """Go on from where it stands, to the next mark."""
        self._stood = time.monotonic() - self._began - self()
        self._mark = mark


class Decline:
    """Simulated nodes of which the first one degrades, from now to `stop`."""

    def __init__(self, names: Sequence[str], port: int) -> None:
        fates = {name: "calm" for name in names} | {names[0]: FATE}
        stage = Stage.of(fates, seed=SEED)
        self._ill = stage.lives[0]
        self._stage = replace(stage, ahead=(self._ill.onset or 0.0) - HEALTHY_HOURS * 3600)
        self._pace = Pace(self._seconds(WARNED))
        self._exporter = Exporter(self._stage, speed=SPEED, port=port, clock=self._pace)

    def stop(self) -> None:
        """Serve no more."""
        self._exporter.stop()

    def worsen(self) -> None:
        """Let time go on, until the node is about to fail."""
        self._pace.go_on(self._seconds(FAILING))

    def metrics(self, full: float) -> str:
        """What is served while its disk is so full."""
        return self._stage.text(self._seconds(full) * SPEED)

    def _seconds(self, full: float) -> float:
        """When its disk is so full, and every value is there: for how long it is looked at."""
        step = self._stage.step.total_seconds()
        reached = int(np.argmax(np.nan_to_num(self._ill.signals["fill"]) >= full))
        signals = [values for life in self._stage.lives for values in life.signals.values()]
        place = next(
            at
            for at in range(reached, reached + 100)
            if all(np.isfinite(values[at]) for values in signals)
        )
        return ((place + 0.5) * step - self._stage.ahead) / SPEED


def settings(group: str) -> dict[str, Any]:
    """The section `nodes` of runner.yml: the defaults, in fast time."""
    fast = at_speed(Nodes(), SPEED)
    grey = fast.greylist
    spans = ("step", "recent", "window", "every", "warning_within", "critical_within")
    held = ("join_after", "critical_after", "leave_after", "remind_every")
    return {
        "group": group,
        "label": "node",
        "members": "max by (node) (simulated_serving)",
        "signals": [
            signal.model_dump(exclude_defaults=True, mode="json")
            for signal in simulated_signals()
            if signal.name in SIGNALS
        ],
        **{name: write(getattr(fast, name)) for name in spans},
        "greylist": {name: write(getattr(grey, name)) for name in held},
    }


@contextmanager
def prometheus(folder: Path, exporter: int, hosts: Sequence[str]) -> Iterator[str]:
    """A real Prometheus that scrapes this port once a second as each of the hosts; its URL."""
    program = which("prometheus")
    if program is None:
        raise RunnerError(
            "prometheus is not installed, and a node that degrades is seen by a real one: "
            "apt install prometheus, or put the program of a release into PATH"
        )
    folder.mkdir(parents=True)
    targets = [
        {"targets": [f"127.0.0.1:{exporter}"], "labels": {"instance": host}} for host in hosts
    ]
    scrapes = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
        "scrape_configs": [{"job_name": "nodes", "static_configs": targets}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(scrapes))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # No thread of ours runs yet; it ends one whose demo was killed.
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    try:
        _ready(process, f"http://{address}", folder)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{url}/-/ready", timeout=1.0, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RunnerError(f"Prometheus did not start; see {folder}/prometheus.log")
