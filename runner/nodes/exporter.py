"""Simulated nodes as metrics that a real Prometheus scrapes, at any speed of time.

Every signal of every node is `simulated_signal{node="…", signal="…"}`; what is missing in the
simulation is missing here. `simulated_serving` is 1 for each node until it fails.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from runner.config import Nodes, Signal
from runner.nodes import signals, simulate
from runner.nodes.simulate import FATES, SIGNALS, Life

CONTENT_TYPE = "text/plain; version=0.0.4"


@dataclass(frozen=True)
class Stage:
    """Simulated nodes with the fates that somebody chose for them."""

    lives: tuple[Life, ...]
    step: timedelta
    ahead: float  #: simulated seconds that have passed when it begins

    @classmethod
    def of(
        cls,
        fates: Mapping[str, str],
        *,
        seed: int = 1,
        past: timedelta = timedelta(days=3),
        step: timedelta = timedelta(minutes=10),
    ) -> Stage:
        """Nodes by name with their fates (see simulate.FATES), the same for the same seed.

        The simulation begins `past` after its start, so that there is a healthy past. A failing
        node fails within the last 60 % of 30 days.
        """
        times = np.arange(0, 30 * simulate.DAY, step.total_seconds())
        load = np.ones_like(times)
        lives = [
            simulate.live(node, fate, times, load, np.random.default_rng([seed, number]))
            for number, (node, fate) in enumerate(fates.items())
        ]
        return cls(tuple(lives), step, past.total_seconds())

    def text(self, passed: float) -> str:
        """The metrics when `passed` simulated seconds have gone by since it began."""
        at = self.ahead + passed
        place = int(at / self.step.total_seconds())
        lines = ["# TYPE simulated_signal gauge"]
        for life in self.lives:
            for name, values in life.signals.items():
                value = float(values[min(place, values.size - 1)])
                if value == value:
                    of = f'{{node="{life.node}",signal="{name}"}}'
                    lines.append(f"simulated_signal{of} {value:.9g}")
        lines.append("# TYPE simulated_serving gauge")
        for life in self.lives:
            serving = life.fails is None or at < life.fails
            lines.append(f'simulated_serving{{node="{life.node}"}} {int(serving)}')
        return "\n".join([*lines, ""])


class Exporter:
    """Serves a stage on loopback until it is stopped; `speed` simulated seconds pass in one."""

    def __init__(
        self,
        stage: Stage,
        *,
        speed: float,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        began = clock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = stage.text((clock() - began) * speed).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who scrapes did not wait so long
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """A scrape is not worth a line."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="simulated-nodes", daemon=True
        )
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def simulated_signals() -> tuple[Signal, ...]:
    """The built-in signals with their bounds, asked of the exporter instead of etcd."""
    return tuple(
        signal.model_copy(update={"promql": f'max by (node) (simulated_signal{{signal="{name}"}})'})
        for signal in signals.etcd()
        for name in (signal.name,)
        if name in SIGNALS
    )


def at_speed(nodes: Nodes, speed: float) -> Nodes:
    """The same settings for time that passes `speed` times as fast; no step under a second.

    Where a step would be shorter than a second it is one, and the window is as long as its
    points then last: fewer points, the same rules.
    """

    def faster(span: timedelta) -> timedelta:
        return span / speed

    second = timedelta(seconds=1)
    step = max(second, faster(nodes.step))
    recent = max(2 * step, faster(nodes.recent))
    window = max(6 * recent, faster(nodes.window))
    grey = nodes.greylist
    times = ("join_after", "critical_after", "leave_after", "remind_every")
    changed = grey.model_copy(update={name: faster(getattr(grey, name)) for name in times})
    return nodes.model_copy(
        update={
            "step": step,
            "recent": recent,
            "window": window,
            "every": max(second, faster(nodes.every)),
            "warning_within": faster(nodes.warning_within),
            "critical_within": faster(nodes.critical_within),
            "greylist": changed,
        }
    )


__all__ = ["FATES", "Exporter", "Stage", "at_speed", "simulated_signals"]
