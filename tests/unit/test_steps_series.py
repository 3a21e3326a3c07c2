"""The host that series of Prometheus name where no label of the alert does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runner.config import Locate
from runner.errors import RemoteError
from runner.evidence.samples import AlertingRule, Sample
from runner.incident import Alert
from runner.intake.payload import parse as read
from runner.inventory import parse
from runner.steps.series import by_series
from runner.text.promql import selectors
from tests import small_project as small

HOSTS = ["osd1", "osd2", "app1", "app2"]
INVENTORY = parse(
    json.dumps({"_meta": {"hostvars": {host: {} for host in HOSTS}}, "all": {"hosts": HOSTS}})
)


class Answers:
    """A Prometheus with these answers to queries that begin so."""

    def __init__(self, answers: Mapping[str, Sequence[Mapping[str, str]]], rule: str = "") -> None:
        self._answers, self._rule = answers, rule
        self.asked: list[str] = []

    def query(self, promql: str) -> tuple[Sample, ...]:
        self.asked.append(promql)
        found = [of for start, of in self._answers.items() if promql.startswith(start)]
        return tuple(Sample(labels=dict(labels), value=1.0) for of in found for labels in of)

    def rule_of(self, name: str, labels: Mapping[str, str]) -> AlertingRule | None:
        zero = timedelta()
        return self._rule and AlertingRule(  # type: ignore[return-value]
            name=name, query=self._rule, labels={}, duration=zero, keep_firing=zero, interval=zero
        )


def alert(**labels: str) -> Alert:
    (found,) = read(small.body(small.alert(**labels))).alerts
    return found


def located(prometheus: Any, of: Alert, **settings: Any) -> tuple[str, ...]:
    project: Any = SimpleNamespace(
        prometheus=prometheus, config=SimpleNamespace(locate=Locate(**settings))
    )
    place = by_series(project, of, INVENTORY)
    if place is not None:
        assert place.doubts(place.hosts) == []
    return place.hosts if place else ()


OSD = alert(instance="mgr:9283", job="ceph", ceph_daemon='osd.7"} or up{x="')


def test_a_join_names_the_host_and_takes_the_label_as_a_value_only() -> None:
    """Invariant 5: a label cannot leave its quotes."""
    ceph = Answers({"ceph_osd_metadata": [{"hostname": "osd2"}]})
    assert located(ceph, OSD) == ("osd2",)
    assert r'ceph_osd_metadata{ceph_daemon="osd.7\"} or up{x=\""}' in ceph.asked


def test_a_join_that_names_several_hosts_or_nobody_names_none() -> None:
    both = Answers({"ceph_osd_metadata": [{"hostname": "osd1"}, {"hostname": "osd2"}]})
    assert located(both, OSD) == ()
    assert located(Answers({"ceph_osd_metadata": [{"hostname": "osd9"}]}), OSD) == ()


SUM = 'sum by (service) (rate(http_errors{job="shop"}[5m])) > 5'


def test_the_series_behind_the_expression_name_the_host_if_all_are_of_one() -> None:
    of = alert(instance="", alertname="Errors", service="billing")
    series = [
        {"instance": "app1:80", "service": "billing"},
        {"instance": "app2:80", "service": "shop"},
    ]
    behind = Answers({"count by (job, instance": series}, SUM)
    assert located(behind, of) == ("app1",), "the other one is of another service"
    assert behind.asked[-1].endswith('(http_errors{job="shop"})')
    assert located(Answers({"count": [*series, {"instance": "app2:80"}]}, SUM), of) == ()
    assert located(Answers({"count": [*series, {"instance": "app9:80"}]}, SUM), of) == ()


def test_nobody_is_asked_where_it_is_turned_off() -> None:
    ceph = Answers({"ceph_osd_metadata": [{"hostname": "osd2"}]})
    assert located(ceph, OSD, series=False) == ()
    assert ceph.asked == []
    assert located(None, OSD) == ()


def test_a_prometheus_that_does_not_answer_names_nobody() -> None:
    class Down(Answers):
        def query(self, promql: str) -> tuple[Sample, ...]:
            raise RemoteError("it is down")

    assert located(Down({}, SUM), OSD) == ()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('up{job="a"} == 0', ['up{job="a"}']),
        ('a{x="}"} / b{y=\'"\'} + a{x="}"}', ['a{x="}"}', "b{y='\"'}"]),
        ('{__name__=~"a|b",c!=""}', ['{__name__=~"a|b",c!=""}']),
        ("up == 0", []),
        ("up{} == 0", []),
        ('up{job="a', []),
        ("{" * 100_000, []),
    ],
)
def test_selectors_of_a_query(query: str, found: list[str]) -> None:
    assert selectors(query) == found
