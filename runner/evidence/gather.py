"""Gather: every source gives pieces of evidence, and a source that fails says so.

A piece is an Evidence with number 0; `number` masks, cuts and numbers them. No
function here raises because a source is down: missing data is evidence too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import re2

from runner.autonomy.record import Feedback
from runner.errors import RemoteError, RunnerError
from runner.evidence.lookback import expr_of
from runner.evidence.samples import AlertingRule, Sample, Series
from runner.incident import Alert, Evidence, Incident, Labels
from runner.text import storable
from runner.text.duration import write
from runner.text.promql import fill

WINDOW = timedelta(minutes=30)  #: how far back metrics are shown
POINTS = 13  #: values of one series over the window
SERIES = 5  #: series shown of one query
_SECTIONS = ("Meaning", "Impact", "Diagnosis")
_HEADING = re2.compile(r"(?m)^#{1,4}[ \t]+(.+)$")
_README = 64 * 1024  #: characters read of a runbook


class PrometheusApi(Protocol):
    """What gathering needs of a Prometheus."""

    name: str

    def query(self, promql: str, at: datetime | None = None) -> tuple[Sample, ...]: ...

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]: ...

    def rule_of(
        self, name: str, labels: Labels, expr: str | None = None
    ) -> AlertingRule | None: ...


class KnownHost(Protocol):
    """What gathering needs of an inventory host."""

    @property
    def name(self) -> str: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def variables(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class _Vital:
    """One line of a host's vital signs."""

    name: str
    promql: str
    unit: str


_ON = '{instance=~"$host(:[0-9]+)?"'
_VITALS = (
    _Vital("up", f"up{_ON}}}", ""),
    _Vital("CPU used", f'1 - avg(rate(node_cpu_seconds_total{_ON},mode="idle"}}[5m]))', "%"),
    _Vital(
        "memory used",
        f"1 - node_memory_MemAvailable_bytes{_ON}}} / node_memory_MemTotal_bytes{_ON}}}",
        "%",
    ),
    _Vital(
        "disk used",
        f'1 - node_filesystem_avail_bytes{_ON},fstype!~"tmpfs|overlay|squashfs|ramfs"}}'
        f' / node_filesystem_size_bytes{_ON},fstype!~"tmpfs|overlay|squashfs|ramfs"}}',
        "%",
    ),
    _Vital("load over 1 min", f"node_load1{_ON}}}", ""),
)


def alert(alert: Alert, *, at: datetime) -> list[Evidence]:
    """The alert as it came: labels, annotations and when it began."""
    lines = [f"status: {alert.status}, since {alert.starts_at:%Y-%m-%d %H:%M:%S %Z}"]
    lines += [f"label {name}: {value}" for name, value in sorted(alert.labels.items())]
    lines += [f"annotation {name}: {value}" for name, value in sorted(alert.annotations.items())]
    lines += [f"contradiction: {text}" for text in alert.contradictions]
    lines += [f"note: {text}" for text in alert.notes]
    if expr := expr_of(alert.generator_url):
        lines.append(f"expression, as the alert tells: {expr}")
    return [_piece("alert", alert.source, f"Alert {alert.name}", lines, at)]


def rule(metrics: PrometheusApi, alert: Alert, *, at: datetime) -> list[Evidence]:
    """The alert's own expression, as the server has it, and its values over the window.

    The expression in the alert's generatorURL only picks among rules of one name: it
    comes from outside and is never run.
    """
    title = f"Expression of {alert.name}"
    try:
        found = metrics.rule_of(alert.name, alert.labels, expr_of(alert.generator_url))
        if found is None:
            return [_unknown(metrics.name, title, "no rule of this name is loaded", at)]
        series = _range(metrics, found.query, at)
    except RemoteError as error:
        return [_unknown(metrics.name, title, str(error), at)]
    # Those of the alert itself, if any are.
    own = [
        one
        for one in series
        if all(alert.labels.get(k) == v for k, v in one.labels.items() if k != "__name__")
    ]
    lines = [f"{found.query}, for {write(found.duration)}", *_drawn(own or series, at)]
    return [_piece("metric", metrics.name, title, lines, at)]


def queries(
    metrics: PrometheusApi, wanted: Mapping[str, str], values: Mapping[str, str], *, at: datetime
) -> list[Evidence]:
    """The entry's queries by title, with `$instance` and `$host` filled, over the window."""
    pieces: list[Evidence] = []
    down: RemoteError | None = None
    for title, promql in wanted.items():
        if down is not None:  # asking again would only wait again
            pieces.append(_unknown(metrics.name, title, str(down), at))
            continue
        try:
            filled = fill(promql, values)
            lines = [filled, *_drawn(_range(metrics, filled, at), at)]
            pieces.append(_piece("metric", metrics.name, title, lines, at))
        except (RunnerError, ValueError) as error:
            pieces.append(_unknown(metrics.name, title, str(error), at))
            down = error if isinstance(error, RemoteError) and not error.permanent else None
    return pieces


def vitals(metrics: PrometheusApi, host: str, *, at: datetime) -> list[Evidence]:
    """CPU, memory, disk and load of `host` (its name in `instance`) by node_exporter."""
    title, lines = f"Vital signs of {host}", []
    try:
        for vital in _VITALS:
            samples = metrics.query(fill(vital.promql, {"host": host}), at)
            known = [sample for sample in samples if sample.known]
            shown = []
            for sample in known[:SERIES]:
                text = f"{sample.value:.0%}" if vital.unit == "%" else f"{sample.value:.4g}"
                where = sample.labels.get("mountpoint")
                if not where and vital.name == "up":
                    where = sample.labels.get("instance")
                shown.append(f"{text} ({where})" if where else text)
            more = f" and {len(known) - SERIES} more" if len(known) > SERIES else ""
            lines.append(f"{vital.name}: {', '.join(shown) or 'unknown, no data'}{more}")
    except (RunnerError, ValueError) as error:
        lines.append(f"unknown: {error}")
    return [_piece("metric", metrics.name, title, lines, at)]


def inventory(hosts: Iterable[KnownHost], *, at: datetime) -> list[Evidence]:
    """Groups and `runner_` variables of the hosts; nothing else of what the inventory knows."""
    lines = []
    for host in hosts:
        lines.append(f"{host.name} is in {', '.join(host.groups) or 'no group'}")
        ours = sorted(name for name in host.variables if name.startswith("runner_"))
        lines += [f"  {name}: {host.variables[name]}" for name in ours]
    return [_piece("inventory", "inventory", "Hosts", lines or ["no host was located"], at)]


def history(
    incidents: Sequence[Incident],
    *,
    at: datetime,
    words: Mapping[int, Feedback] = MappingProxyType({}),
) -> list[Evidence]:
    """Earlier incidents that are like this one, what came of them, and people's words on them."""
    lines = []
    for past in incidents:
        ago = write(timedelta(minutes=max(0, int((at - past.created_at).total_seconds() // 60))))
        did = f"{past.entry or 'nothing'} on {', '.join(past.hosts) or 'no host'}"
        lines.append(
            f"#{past.id}, {ago} ago, {past.alert.name}: {did}, {past.state}: {past.reason}"
        )
        if (word := words.get(past.id)) is not None:
            right = "right" if word.right else "wrong"
            lines.append(f"  {word.by} said that this was {right}: {word.reason}")
    lines = lines or ["no similar incident is on record"]
    return [_piece("history", "incidents", "Similar incidents", lines, at)]


def runbook(readme: Path, *, at: datetime) -> list[Evidence]:
    """Meaning, Impact and Diagnosis of the playbook's README."""
    title = f"Runbook of {readme.parent.name}"
    try:
        with readme.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_README)
    except OSError as error:
        return [
            _unknown(readme.name, title, f"it cannot be read ({error.strerror})", at, "runbook")
        ]
    # The wanted sections of a README, heading first.
    parts = _HEADING.split(storable(text))
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    found = [
        f"{heading.strip()}: {' '.join(body.split())}"
        for heading, body in pairs
        if heading.strip().capitalize() in _SECTIONS and body.strip()
    ]
    if not found:
        reason = f"it has none of the sections {', '.join(_SECTIONS)}"
        return [_unknown(readme.name, title, reason, at, "runbook")]
    return [_piece("runbook", readme.name, title, found, at)]


def _piece(kind: str, source: str, title: str, lines: Iterable[str], at: datetime) -> Evidence:
    return Evidence(number=0, kind=kind, source=source, title=title, text="\n".join(lines), at=at)


def _unknown(source: str, title: str, why: str, at: datetime, kind: str = "metric") -> Evidence:
    return _piece(kind, source, title, [f"unknown: {why}"], at)


def _range(metrics: PrometheusApi, promql: str, at: datetime) -> tuple[Series, ...]:
    return metrics.query_range(promql, at - WINDOW, at, WINDOW / (POINTS - 1))


def _drawn(series: Sequence[Series], at: datetime) -> list[str]:
    """A line per series: its values over the window, oldest first, `-` where there is none."""
    if not series:
        return ["unknown: no data in the last " + write(WINDOW)]
    lines = [f"values over {write(WINDOW)}, oldest first, - where there is none:"]
    start, step = at - WINDOW, WINDOW / (POINTS - 1)
    for one in series[:SERIES]:
        grid = ["-"] * POINTS
        for moment, value in one.points:
            place = round((moment - start) / step)
            if 0 <= place < POINTS and not math.isnan(value):
                grid[place] = f"{value:.4g}"
        inside = ",".join(f'{k}="{v}"' for k, v in sorted(one.labels.items()) if k != "__name__")
        lines.append(f"{one.labels.get('__name__', '')}{{{inside}}}: {' '.join(grid)}")
    if len(series) > SERIES:
        lines.append(f"and {len(series) - SERIES} more series")
    return lines
