"""The decision's own quality."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runner.incident import Level
from runner.policy import decision as rules
from runner.policy import judge
from tests.policy_case import NOW, alert, case, config, decision, entry, only


def test_it_observes_when_nobody_chose_the_entry() -> None:
    assert judge(case(decisions=())).level is Level.OBSERVE
    assert judge(case(decisions=(decision(entry="other"),))).level is Level.OBSERVE


@pytest.mark.parametrize(
    ("confidence", "asks"), [(0.7, False), (1.0, False), (0.69, True), (0.0, True)]
)
def test_it_asks_when_a_decider_is_not_sure(confidence: float, asks: bool) -> None:
    given = case(decisions=(decision(), decision(confidence=confidence)))
    assert bool(list(rules.confidence(given))) is asks


def test_a_confidence_that_is_no_number_is_not_sure() -> None:
    given = case(decisions=(decision(confidence=float("nan")),), config=config(min_confidence=0))
    assert only(rules.confidence, given).level is Level.APPROVE


def test_it_asks_when_the_deciders_choose_different_entries() -> None:
    """Invariant 7: the model's answer can only lower the level."""
    model = decision(decider="model", entry="disk_cleanup", cited=(1,))
    reason = only(rules.agreement, case(decisions=(decision(), model)))
    assert reason.level is Level.APPROVE
    assert reason.text == (
        "The deciders disagree: rules chose service_restart, model chose disk_cleanup."
    )


def test_choosing_nothing_is_disagreement_too() -> None:
    given = case(decisions=(decision(), decision(decider="model", entry=None)))
    assert only(rules.agreement, given).level is Level.APPROVE


def test_it_asks_when_the_deciders_choose_different_values() -> None:
    first, second = decision(values={"unit": "nginx"}), decision(values={"unit": "sshd"})
    assert "disagree about unit" in only(rules.agreement, case(decisions=(first, second))).text


def test_a_value_that_only_one_decider_gave_is_no_disagreement() -> None:
    given = case(decisions=(decision(), decision(values={"unit": "nginx"})))
    assert list(rules.agreement(given)) == []


def test_it_asks_when_cited_evidence_does_not_exist() -> None:
    """Invariant 7: cited evidence ids are checked in code."""
    given = case(decisions=(decision(cited=(1, 9, 4)),), evidence=frozenset({1, 2}))
    assert only(rules.grounded, given).text == "rules cites evidence that does not exist: 4, 9."


def test_it_asks_when_the_model_cites_nothing() -> None:
    """Invariant 7: a choice without grounds is a person's."""
    given = case(decisions=(decision(decider="model"),))
    assert only(rules.grounded, given).level is Level.APPROVE
    assert list(rules.grounded(case(decisions=(decision(decider="user:ann"),)))) == []


@pytest.mark.parametrize(
    ("risk", "level"), [("low", "auto"), ("medium", "auto"), ("high", "approve")]
)
def test_high_risk_always_asks(risk: str, level: str) -> None:
    assert judge(case(entry=entry(risk=risk))).level == level


@pytest.mark.parametrize(
    ("age", "asks"),
    [
        (timedelta(hours=6), False),
        (timedelta(hours=6, seconds=1), True),
        (timedelta(minutes=-5), False),
        (timedelta(minutes=-5, seconds=-1), True),
        (NOW - datetime(1, 1, 1, tzinfo=UTC), True),
        (NOW - datetime(9999, 12, 31, tzinfo=UTC), True),
    ],
)
def test_it_asks_when_the_alert_is_old_or_from_the_future(age: timedelta, asks: bool) -> None:
    reasons = list(rules.alert_age(case(alert=alert(age))))
    assert [reason.level for reason in reasons] == ([Level.APPROVE] if asks else [])


def test_it_names_the_age() -> None:
    text = only(rules.alert_age, case(alert=alert(timedelta(hours=7, minutes=3)))).text
    assert text == "The alert began 7h3m ago; policy.max_alert_age is 6h."


def test_a_suspected_injection_needs_a_person() -> None:
    """Invariant 8: text can make the runner do less."""
    reason = only(rules.suspicion, case(suspicions=("label note speaks to a model",)))
    assert reason.level is Level.APPROVE
    assert reason.text == (
        "Some text may be meant to steer the model: label note speaks to a model."
    )
    assert len(list(rules.suspicion(case(suspicions=("x",) * 100)))) == 5


@pytest.mark.parametrize(
    ("chosen", "asks"), [((), False), (("web1",), False), (("web2",), True), (("web1", "x"), True)]
)
def test_it_asks_when_a_decider_chose_other_hosts(chosen: tuple[str, ...], asks: bool) -> None:
    """Invariant 7: a model does not change the scope."""
    given = case(decisions=(decision(), decision(decider="model", hosts=chosen)))
    assert bool(list(rules.scope(given))) is asks
