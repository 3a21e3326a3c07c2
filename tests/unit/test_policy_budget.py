"""Error budgets: what failed is counted per service or group, and at zero a person is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.incident import Level, Outcome, Purpose, Result
from runner.policy import judge
from runner.policy.budget import accounts, budget
from runner.policy.situation import PastRun
from tests.policy_case import NOW, alert, case, config, failures, only, run

SHOP = {"service": "shop"}
BY_SERVICE = {"label": "service", "failures": 2}
BY_GROUP = {"group": "web", "failures": 2}


def spent(budgets: list[dict[str, Any]], history: tuple[PastRun, ...], **changes: Any) -> Any:
    about = replace(alert(), labels={**alert().labels, **SHOP})
    given_case = case(config=config(budgets=budgets), history=history, alert=about, **changes)
    return list(budget(given_case))


def test_without_a_budget_it_is_silent() -> None:
    assert spent([], failures(9, labels=SHOP)) == []


@pytest.mark.parametrize("count", [0, 1])
def test_what_is_left_of_a_budget_is_silent(count: int) -> None:
    assert spent([BY_SERVICE], failures(count, labels=SHOP)) == []


def test_a_spent_budget_of_a_service_asks_a_person() -> None:
    (reason,) = spent([BY_SERVICE], failures(2, labels=SHOP))
    assert (reason.rule, reason.level) == ("budget", Level.APPROVE)
    assert reason.text == (
        "The error budget of service shop is spent: 2 runs in 7d failed or fixed nothing; the "
        "limit is 2."
    )


def test_another_service_has_a_budget_of_its_own() -> None:
    assert spent([BY_SERVICE], failures(5, labels={"service": "mail"})) == []
    assert spent([BY_SERVICE], failures(5)) == []  # a run of an alert without the label


def test_a_group_is_charged_for_any_of_its_hosts() -> None:
    history = failures(2, hosts=("web3",), entry="other")
    assert [reason.rule for reason in spent([BY_GROUP], history)] == ["budget"]
    assert spent([{**BY_GROUP, "group": "databases"}], history) == []
    assert spent([BY_GROUP], failures(2, hosts=("db1",))) == []


def test_a_group_out_of_reach_is_not_concerned() -> None:
    groups = {"all": ("web1", "db1"), "db": ("db1",)}
    history = failures(2, hosts=("db1",))
    wanted = [{"group": "db", "failures": 2}]
    assert spent(wanted, history, groups=groups) == []
    assert spent(wanted, history, groups=groups, touched=("web1", "db1"))


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"outcome": Outcome.FAILED, "verification": None}, True),
        ({"verification": Result.NOT_FIXED}, True),
        ({"verification": Result.UNKNOWN}, True),
        ({"verification": Result.FIXED}, False),
        ({"outcome": None, "verification": None}, False),
        ({"outcome": Outcome.FAILED, "purpose": Purpose.DRY_RUN}, False),
        ({"outcome": Outcome.FAILED, "minutes_ago": 8 * 24 * 60}, False),
        ({"outcome": Outcome.FAILED, "minutes_ago": -5}, True),
    ],
)
def test_it_counts_runs_that_did_not_help(changes: dict[str, Any], counts: bool) -> None:
    """Invariant 10: an unknown effect burns the budget like none."""
    one = {"label": "service", "failures": 1}
    assert bool(spent([one], (run(labels=SHOP, **changes),))) is counts


def test_its_level_is_configured() -> None:
    given_case = case(
        config=config(budgets=[{**BY_GROUP, "level": "observe"}]), history=failures(2)
    )
    assert only(budget, given_case).level is Level.OBSERVE
    assert judge(given_case).level is Level.OBSERVE


@given(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8))
def test_more_failures_never_free_a_budget(few: int, more: int, allowed: int) -> None:
    budgets = config(budgets=[{"group": "web", "failures": allowed}]).policy.budgets
    groups = {"web": ("web1",)}

    def is_spent(count: int) -> bool:
        found = accounts(budgets, failures(count), groups, NOW + timedelta(minutes=1))
        return any(account.spent for account in found)

    assert is_spent(few) <= is_spent(few + more)
    assert is_spent(few) is (few >= allowed)


BY_UNIT = {"part": "unit", "failures": 2}


@pytest.mark.parametrize(
    ("burnt", "mine", "name"),
    [
        ("unit nginx.service", "unit nginx.service", "unit nginx.service of web1"),
        ("unit nginx.service", "unit redis.service", ""),
        ("unit nginx.service", None, ""),
        (None, None, "host web1"),
        ("mountpoint /var", None, "host web1"),
        (None, "unit nginx.service", ""),
    ],
)
def test_a_part_has_a_budget_of_its_own(burnt: str | None, mine: str | None, name: str) -> None:
    """What names no unit belongs to the account of its host."""
    found = spent([BY_UNIT], failures(2, part=burnt), part=mine)
    assert [reason.text.partition(" is spent")[0] for reason in found] == (
        [f"The error budget of {name}"] if name else []
    )
    assert spent([BY_UNIT], failures(2, part=burnt, hosts=("web2",)), part=mine) == []
