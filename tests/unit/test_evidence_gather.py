"""Every source gives pieces; a source that fails gives a piece that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.errors import RemoteError
from runner.evidence import gather
from runner.evidence.samples import AlertingRule, Sample, Series
from runner.incident import Alert, AlertStatus, Evidence, Incident, Labels, Level, State

AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ALERT = Alert(
    fingerprint="f" * 16,
    status=AlertStatus.FIRING,
    labels={"alertname": "CpuHigh", "instance": "web1:9100"},
    annotations={"summary": "CPU is high"},
    starts_at=AT - timedelta(minutes=5),
    generator_url="http://p/graph?g0.expr=cpu+%3E+0.9",
)


@dataclass
class Metrics:
    """A Prometheus of fixed answers; `error` makes it fail."""

    samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)
    series: tuple[Series, ...] = ()
    rule: AlertingRule | None = None
    error: RemoteError | None = None
    name: str = "Prometheus at p:9090"
    asked: list[str] = field(default_factory=list)

    def query(self, promql: str, at: datetime | None = None) -> tuple[Sample, ...]:
        self._ask(promql)
        return next((found for key, found in self.samples.items() if key in promql), ())

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]:
        self._ask(promql)
        return self.series

    def rule_of(self, name: str, labels: Labels, expr: str | None = None) -> AlertingRule | None:
        self._ask(f"rule {name}")
        return self.rule

    def _ask(self, promql: str) -> None:
        self.asked.append(promql)
        if self.error:
            raise self.error


@dataclass(frozen=True)
class Host:
    name: str
    groups: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)


def series(instance: str, *values: float) -> Series:
    """Values at the end of the window, 2.5 minutes apart."""
    step = timedelta(minutes=2.5)
    moments = [AT - step * (len(values) - 1 - n) for n in range(len(values))]
    return Series(labels={"instance": instance}, points=tuple(zip(moments, values, strict=True)))


def only(pieces: list[Evidence]) -> Evidence:
    (piece,) = pieces
    assert piece.number == 0
    return piece


DOWN = RemoteError("Prometheus at p:9090 did not answer within 10s")
RULE = AlertingRule(name="CpuHigh", query="cpu > 0.9", labels={}, duration=timedelta(minutes=1))


def test_the_alert_is_shown_as_it_came() -> None:
    text = only(gather.alert(ALERT, at=AT)).text
    assert "label instance: web1:9100" in text
    assert "annotation summary: CPU is high" in text
    assert "expression, as the alert tells: cpu > 0.9" in text


def test_the_rule_is_shown_with_its_values() -> None:
    metrics = Metrics(rule=RULE, series=(series("web1:9100", 0.91, math.nan, 0.951234),))
    text = only(gather.rule(metrics, ALERT, at=AT)).text
    assert text.splitlines() == [
        "cpu > 0.9, for 1m",
        "values over 30m, oldest first, - where there is none:",
        '{instance="web1:9100"}: - - - - - - - - - - 0.91 - 0.9512',
    ]


def test_the_rule_shows_the_alerts_own_series_only() -> None:
    both = (series("web2:9100", 0.99), series("web1:9100", 0.91))
    text = only(gather.rule(Metrics(rule=RULE, series=both), ALERT, at=AT)).text
    assert "web1" in text and "web2" not in text


def test_the_expression_from_the_alert_is_never_run() -> None:
    """Invariant 5: a generatorURL comes from outside and is no query."""
    metrics = Metrics(rule=None)
    piece = only(gather.rule(metrics, ALERT, at=AT))
    assert metrics.asked == ["rule CpuHigh"]
    assert piece.text == "unknown: no rule of this name is loaded"


def test_a_prometheus_that_is_down_is_evidence_too() -> None:
    """Invariant 10: missing data is told, not left out."""
    metrics = Metrics(error=DOWN)
    pieces = [
        *gather.rule(metrics, ALERT, at=AT),
        *gather.queries(metrics, {"a": "x", "b": "y"}, {}, at=AT),
        *gather.vitals(metrics, "web1", at=AT),
    ]
    assert len(pieces) == 4
    assert all("unknown: Prometheus at p:9090 did not answer" in p.text for p in pieces)
    assert metrics.asked == ["rule CpuHigh", "x", 'up{instance=~"web1(:[0-9]+)?"}']


def test_a_query_that_is_refused_does_not_stop_the_next() -> None:
    metrics = Metrics(error=RemoteError("it answered 400: parse error", permanent=True))
    pieces = gather.queries(metrics, {"a": "x", "b": "y"}, {}, at=AT)
    assert metrics.asked == ["x", "y"]
    assert all("parse error" in piece.text for piece in pieces)


def test_queries_are_filled_into_their_quotes() -> None:
    """Invariant 5: a label value never becomes PromQL."""
    metrics = Metrics()
    wanted = {"CPU": 'cpu{instance="$instance"}', "bad": "cpu{$instance}", "none": 'x{a="$b"}'}
    pieces = gather.queries(metrics, wanted, {"instance": 'a"} or x{b="'}, at=AT)
    assert metrics.asked == ['cpu{instance="a\\"} or x{b=\\""}']
    assert "unknown: no data in the last 30m" in pieces[0].text
    assert all(piece.text.startswith("unknown: ") for piece in pieces[1:])


def test_more_series_than_fit_are_counted() -> None:
    many = tuple(series(f"web{n}", 1.0) for n in range(8))
    piece = only(gather.queries(Metrics(series=many), {"a": "x"}, {}, at=AT))
    assert piece.text.endswith("and 3 more series")


def test_vital_signs_are_one_line_each() -> None:
    def sample(value: float, **labels: str) -> Sample:
        return Sample(labels=labels, value=value)

    metrics = Metrics(
        samples={
            "up{": (sample(1, instance="web1:9100"),),
            "node_cpu": (sample(0.934),),
            "node_filesystem": (sample(0.5, mountpoint="/"), sample(0.99, mountpoint="/data")),
            "node_load1": (sample(math.nan),),
        }
    )
    assert only(gather.vitals(metrics, "web1", at=AT)).text.splitlines() == [
        "up: 1 (web1:9100)",
        "CPU used: 93%",
        "memory used: unknown, no data",
        "disk used: 50% (/), 99% (/data)",
        "load over 1 min: unknown, no data",
    ]


def test_a_host_name_is_no_pattern() -> None:
    """Invariant 5: a name stands for itself in a regular expression."""
    metrics = Metrics()
    gather.vitals(metrics, "web.*|db", at=AT)
    assert 'instance=~"web\\\\.\\\\*\\\\|db(:[0-9]+)?"' in metrics.asked[0]


def test_the_inventory_shows_only_our_variables() -> None:
    """Invariant 13: other variables may be secret, so they are not read."""
    host = Host("web1", ("web", "prod"), {"runner_level": "approve", "ansible_password": "x"})
    text = only(gather.inventory([host], at=AT)).text
    assert text == "web1 is in web, prod\n  runner_level: approve"
    assert only(gather.inventory([], at=AT)).text == "no host was located"


def test_history_tells_what_came_of_it() -> None:
    past = Incident(
        id=7,
        alert=ALERT,
        state=State.FIXED,
        reason="every check held",
        created_at=AT - timedelta(hours=3),
        updated_at=AT,
        environment="default",
        ceiling=Level.AUTO,
        hosts=("web1",),
        entry="service_restart",
    )
    untouched = replace(past, id=8, entry=None, hosts=(), state=State.OBSERVED, reason="paused")
    assert only(gather.history([past, untouched], at=AT)).text.splitlines() == [
        "#7, 3h ago, CpuHigh: service_restart on web1, fixed: every check held",
        "#8, 3h ago, CpuHigh: nothing on no host, observed: paused",
    ]
    assert "no similar incident" in only(gather.history([], at=AT)).text


def test_the_runbook_gives_its_sections(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Restart\nintro\n## Meaning\nIt is\ndown.\n## Impact\n\n## diagnosis\nLook.\n"
        "## Mitigation\nRun it.\n"
    )
    text = only(gather.runbook(readme, at=AT)).text
    assert text == "Meaning: It is down.\ndiagnosis: Look."


def test_a_runbook_that_is_missing_or_empty_says_so(tmp_path: Path) -> None:
    """Invariant 10: a source that fails is told."""
    missing = only(gather.runbook(tmp_path / "README.md", at=AT))
    assert missing.text == "unknown: it cannot be read (No such file or directory)"
    (tmp_path / "README.md").write_bytes(b"\xff\xfe nothing")
    assert "none of the sections" in only(gather.runbook(tmp_path / "README.md", at=AT)).text
