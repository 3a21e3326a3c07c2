from __future__ import annotations

from pathlib import Path

import pytest

from runner.intake.advice import advise

INPUTS = Path(__file__).parents[1] / "inputs"

GOOD = """
route:
  receiver: people
  routes:
  - {receiver: runner, group_by: [alertname, instance], continue: true}
receivers:
- {name: people}
- name: runner
  webhook_configs:
  - url: http://127.0.0.1:9095/webhook
    max_alerts: 0
    send_resolved: true
    timeout: 10s
    http_config: {authorization: {credentials: <secret>}}
"""


def test_rule_11_it_recommends_nothing_when_every_recommendation_is_followed():
    assert advise(GOOD, "runner") == ()


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("{receiver: runner, group_by", "{receiver: other, group_by", "No route"),
        ("instance]", "job]", "group_by include instance"),
        ("max_alerts: 0", "max_alerts: 5", "max_alerts: 0"),
        ("send_resolved: true", "send_resolved: false", "send_resolved: true"),
        ("timeout: 10s", "timeout: 0s", "timeout: 10s"),
        ("timeout: 10s", "timeout: soon", "timeout: 10s"),
        ("continue: true", "continue: false", "continue: true"),
        ("authorization", "other", "bearer token"),
        ("timeout: 10s", "payload: x", "payload"),
    ],
)
def test_rule_11_it_recommends_each_setting_that_is_otherwise(good, bad, words):
    """Rule 11: dedicated route, `group_by`, `max_alerts: 0`, `timeout: 10s`, `continue: true` …."""
    said = advise(GOOD.replace(good, bad), "runner")
    assert any(words in sentence for sentence in said)


def test_rule_11_it_recommends_a_dedicated_route():
    said = advise(GOOD.replace("receiver: people\n", "receiver: runner\n"), "runner")
    assert any("route of its own" in sentence for sentence in said)


def test_it_takes_group_by_from_the_route_above():
    inherited = GOOD.replace("receiver: people", "receiver: people\n  group_by: ['...']")
    inherited = inherited.replace("group_by: [alertname, instance], ", "")
    assert advise(inherited, "runner") == ()


@pytest.mark.parametrize("text", ["", "[", "route: 5", "receivers: {a: b}", "receivers: [1, {}]"])
def test_it_says_so_when_there_is_nothing_to_advise_on(text):
    assert len(advise(text, "runner")) == 1


def _said(name: str) -> tuple[str, ...]:
    return advise((INPUTS / name / "alertmanager.yml").read_text(), "runner")


def test_the_http_config_of_global_counts_for_a_webhook_without_its_own() -> None:
    assert _said("A1-global-http_config") == ()


def test_a_webhook_s_own_http_config_hides_that_of_global() -> None:
    text = (INPUTS / "A1-global-http_config" / "alertmanager.yml").read_text()
    own = text.replace("alerts\n", "alerts\n    http_config: {follow_redirects: false}\n")
    assert any("bearer token" in sentence for sentence in advise(own, "runner"))


def test_a_route_that_takes_everything_before_ours_is_named() -> None:
    (said,) = _said("A2-swallowed")
    assert said.startswith("Route 1, to receiver 'people', has no matchers and takes every alert")


@pytest.mark.parametrize(
    "first",
    ["{receiver: people, matchers: [a=b]}", "{receiver: people, continue: true}"],
)
def test_a_route_that_lets_alerts_through_to_ours_is_fine(first: str) -> None:
    text = (INPUTS / "A2-swallowed" / "alertmanager.yml").read_text()
    assert advise(text.replace("{receiver: people}", first), "runner") == ()


def test_below_a_route_of_ours_its_own_continue_decides() -> None:
    assert _said("A3-child-route") == ()


def test_below_a_route_of_others_ours_needs_its_own_continue() -> None:
    text = (INPUTS / "A3-child-route" / "alertmanager.yml").read_text()
    text = text.replace("receiver: runner\n", "receiver: others\n")
    text = text.replace("{matchers:", "{receiver: runner, matchers:")
    assert any("continue: true" in sentence for sentence in advise(text, "runner"))
