"""Entries that nearly match, and what they fail by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.catalog import load
from runner.catalog.near import MOST, near_misses, nearest_miss
from runner.decide import rules
from runner.inventory import parse
from runner.inventory.location import locate
from tests.policy_case import entry

ROOT = Path(__file__).parents[2]
INPUTS = Path(__file__).parents[1] / "inputs"
SHIPPED = load(ROOT / "playbooks", ())


def _labels(name: str) -> dict[str, str]:
    body = json.loads((INPUTS / name).read_text())
    return dict(body["alerts"][0]["labels"])


def _entry(name: str, *match: str) -> Any:
    return entry(id=name, match=list(match))


def test_an_alert_without_the_label_is_told_which_one_the_entry_needs() -> None:
    labels = {"alertname": "ServiceDown", "severity": "page"}
    (miss,) = near_misses(labels, SHIPPED.by_kind("remediation"))
    assert str(miss) == (
        'restart_service, where service!="" fails (the alert has no label service) '
        "in alternative 1 of its `match`"
    )


def test_who_decides_names_the_nearest_entry() -> None:
    labels = {"alertname": "ServiceDown", "severity": "page"}
    near = near_misses(labels, SHIPPED.by_kind("remediation"))
    decision = rules.decide(labels, (), lambda query: None, near=near)
    assert decision.entry is None
    assert "The nearest is restart_service, where" in decision.reason
    assert decision.alternatives == (("restart_service", near[0].why),)


def test_the_fewer_matchers_fail_the_nearer() -> None:
    entries = [
        _entry("far", 'alertname="A"', 'b="1"', 'c="1"'),
        _entry("near", 'alertname="A"', 'b="1"'),
        _entry("other", 'alertname="B"', 'b="1"'),
        _entry("nameless", 'team="x"', 'b="1"'),
        _entry("never"),
    ]
    found = near_misses({"alertname": "A", "team": "x"}, entries)
    assert [miss.entry for miss in found] == ["nameless", "near", "far"]


def test_of_alternatives_the_nearest_is_named() -> None:
    two = entry(
        id="two",
        match=[['alertname="A"', 'b="1"', 'c="1"'], ['alertname="A"', 'd="1"'], ['alertname="X"']],
    )
    (miss,) = near_misses({"alertname": "A"}, [two])
    assert miss.alternative == 2
    assert miss.why == 'd="1" fails (the alert has no label d) in alternative 2 of its `match`'
    assert near_misses({"alertname": "X"}, [two]) == ()


def test_an_entry_for_another_alert_says_by_what() -> None:
    one = _entry("one", 'alertname="A"', 'b="1"')
    found = nearest_miss({"alertname": "B", "b": "1"}, one)
    assert found is not None
    assert found.why == "alertname=\"A\" fails (alertname is 'B')"
    assert nearest_miss({"alertname": "A", "b": "1"}, one) is None
    assert nearest_miss({"alertname": "A"}, _entry("never")) is None


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("123")))
def test_what_is_near_does_not_match_and_names_what_fails(labels: dict[str, str]) -> None:
    labels = {"alertname": "A"} | labels
    entries = [_entry(f"e{n}", 'alertname="A"', f'a="{n}"', f'b!="{n}"') for n in range(5)]
    found = near_misses(labels, entries)
    assert len(found) <= MOST
    for miss in found:
        assert miss.failed
        assert not any(matcher.matches(labels) for matcher in miss.failed)


def unit(labels: dict[str, str]) -> str | None:
    """What `restart_service` would restart on a host without a table of services."""
    known = parse(json.dumps({"_meta": {"hostvars": {}}, "all": {"hosts": ["web1"]}}))
    return known.services.meant_on(labels, ["web1"]).unit


def test_the_service_of_a_scrape_is_no_unit() -> None:
    """`tests/inputs/M2`: kube-prometheus says `service` of what it scraped, `name` of the unit."""
    labels = _labels("M2-service-of-the-scrape/body.json")
    assert [entry.id for entry in SHIPPED.eligible(labels)] == ["restart_service"]
    assert unit(labels) == labels["name"] != labels["service"]
    assert unit({name: labels[name] for name in labels if name != "name"}) is None


def test_a_unit_of_another_label_is_never_taken_from_service() -> None:
    labels = {"alertname": "SystemdUnitFailed", "service": "x", "severity": "page"}
    for name in ("", "a container", "queue@x"):
        assert unit(labels | {"name": name}) == "x", name
    for name in ("x.service", "x.timer", "y.service", "y.timer", "x@1.service"):
        assert unit(labels | {"name": name}) == name
    assert unit(labels | {"name": "srv.mount"}) is None


def test_a_severity_of_information_is_no_reason_to_act() -> None:
    """`tests/inputs/M4`."""
    labels = _labels("M4-severity-case/body.json")
    for severity in ("Info", "INFO", "information", "informational", "none", "None"):
        assert SHIPPED.eligible(labels | {"severity": severity}) == (), severity
    assert [e.id for e in SHIPPED.eligible(labels | {"severity": "page"})] == ["restart_service"]


def test_a_host_of_a_foreign_domain_is_not_ours() -> None:
    """`tests/inputs/attack`, invariant 6."""
    listing = {"_meta": {"hostvars": {}}, "all": {"hosts": ["web1", "db1.example.com"]}}
    for name in ("host-foreign-domain", "host-foreign-domain-port"):
        labels = _labels(f"attack/{name}.json")
        assert locate(labels, "instance", parse(json.dumps(listing))).hosts == ()
