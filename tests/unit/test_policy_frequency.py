"""Cooldown, rates and the breaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from runner.incident import Level, Outcome, Purpose, Result
from runner.policy import frequency, judge
from tests.policy_case import NOW, case, config, entry, failures, only, run


def test_it_denies_during_cooldown() -> None:
    limited = entry(limits={"cooldown": "30m"})
    reason = only(frequency.cooldown, case(entry=limited, history=(run(12),)))
    assert reason.level is Level.OBSERVE
    at = "2026-03-04 11:48:00 UTC"  # a time, as it is read much later, too
    assert reason.text == f"service_restart ran on web1 at {at}; it needs 30m between runs."


@pytest.mark.parametrize(
    ("past", "denied"),
    [
        (run(9.99), True),
        (run(10), False),
        (run(5, entry="disk_cleanup"), False),
        (run(5, hosts=("web2",)), False),
        (run(5, hosts=("web2", "web1")), True),
        (run(5, purpose=Purpose.DRY_RUN), False),
        (run(5, purpose=Purpose.PROBE), False),
        (run(5, purpose=Purpose.UNDO), True),
        (run(5, outcome=None, verification=None), True),
        (run(-5), True),
    ],
)
def test_it_cools_down_per_entry_and_host(past, denied) -> None:  # type: ignore[no-untyped-def]
    assert bool(list(frequency.cooldown(case(history=(past,))))) is denied


def test_it_counts_from_the_latest_run() -> None:
    reason = only(frequency.cooldown, case(history=(run(50), run(1), run(8))))
    assert "ran on web1 at 2026-03-04 11:59:00 UTC" in reason.text


def test_a_retry_of_the_same_incident_is_no_reason_to_cool_down() -> None:
    assert list(frequency.cooldown(case(history=(run(1, incident=3),), incident=3))) == []
    assert list(frequency.cooldown(case(history=(run(1, incident=4),), incident=3)))


def test_the_entry_may_have_no_cooldown() -> None:
    free = entry(limits={"cooldown": "0s"})
    assert list(frequency.cooldown(case(entry=free, history=(run(0), run(-3))))) == []


NGINX, REDIS = "unit nginx.service", "unit redis.service"


@pytest.mark.parametrize(
    ("past", "mine", "denied"),
    [
        (NGINX, NGINX, True),
        (NGINX, REDIS, False),
        (None, NGINX, True),
        (NGINX, None, True),
    ],
)
def test_it_cools_down_per_part(past: str | None, mine: str | None, denied: bool) -> None:
    """A run that names no part was on all of them."""
    given = case(part=mine, history=(run(5, part=past),))
    assert bool(list(frequency.cooldown(given))) is denied


def test_it_says_of_which_part_it_is() -> None:
    reason = only(frequency.cooldown, case(part=NGINX, history=(run(5, part=NGINX),)))
    assert reason.text.startswith("service_restart ran on unit nginx.service of web1 at 2026-")


def test_all_parts_of_a_host_count_above_each() -> None:
    """Many names that are all listed still make no more runs on a host than it may have."""
    history = tuple(run(number, entry=f"e{number}", part=f"unit u{number}.service")
                    for number in range(20, 24))  # fmt: skip
    given = case(part=NGINX, config=config(max_runs_per_host="4/1h"), history=history)
    reason = only(frequency.host_rate, given)
    assert (reason.rule, reason.level) == ("host_rate", Level.APPROVE)
    assert reason.text == "On web1 the runner started 4 runs in 1h; the limit is 4."
    elsewhere = replace(given, hosts=("web2",), touched=("web2",))
    assert list(frequency.host_rate(elsewhere)) == []
    assert list(frequency.part_rate(given)) == []


def test_a_part_has_a_rate_of_its_own() -> None:
    history = (run(20, part=NGINX), run(30, part=None, entry="other"), run(40, part=REDIS))
    given = case(part=NGINX, config=config(max_runs_per_part="2/1h"), history=history)
    assert only(frequency.part_rate, given).text == (
        "On unit nginx.service of web1 the runner started 2 runs in 1h; the limit is 2."
    )
    other = case(part="unit a.service", config=config(max_runs_per_part="2/1h"), history=history)
    assert list(frequency.part_rate(other)) == []


def test_what_acts_on_whole_hosts_has_its_cooldown_instead() -> None:
    many = tuple(run(number) for number in range(11, 40))
    assert list(frequency.host_rate(case(history=many))) == []
    assert list(frequency.part_rate(case(history=many))) == []


def test_it_asks_when_the_entry_ran_often_enough() -> None:
    limited = entry(limits={"max_runs": "2/1h"})
    history = (run(20), run(40, hosts=("web2",)))
    reason = only(frequency.entry_rate, case(entry=limited, history=history))
    assert reason.level is Level.APPROVE
    assert reason.text == "Entry service_restart started 2 runs in 1h; the limit is 2."


@pytest.mark.parametrize(
    "history",
    [
        (run(20), run(60)),
        (run(20), run(30, entry="other")),
        (run(20), run(30, purpose=Purpose.PROBE)),
    ],
)
def test_it_counts_only_own_runs_in_the_window(history) -> None:  # type: ignore[no-untyped-def]
    limited = entry(limits={"max_runs": "2/1h"})
    assert list(frequency.entry_rate(case(entry=limited, history=history))) == []


def test_it_asks_when_everything_together_ran_often_enough() -> None:
    history = (run(20, entry="a"), run(30, entry="b", hosts=("db1",)))
    reason = only(frequency.global_rate, case(config=config(max_runs="2/1h"), history=history))
    assert (reason.rule, reason.level) == ("rate", Level.APPROVE)


def test_a_rate_of_none_always_asks() -> None:
    assert judge(case(config=config(max_runs="0/1h"))).level is Level.APPROVE


def test_the_breaker_opens_for_the_entry_on_any_host() -> None:
    history = failures(3, hosts=("db9",))
    reason = only(frequency.breaker, case(history=history))
    assert reason.level is Level.APPROVE
    assert reason.text == (
        "The breaker is open for entry service_restart: 3 runs in 1h failed or fixed nothing; "
        "the limit is 3."
    )


def test_the_breaker_opens_for_the_host_whatever_the_entry() -> None:
    reason = only(frequency.breaker, case(history=failures(3, entry="other")))
    assert "open for host web1" in reason.text


@pytest.mark.parametrize(
    ("outcome", "verification", "counts"),
    [
        *((outcome, None, not outcome.completed) for outcome in Outcome),
        (Outcome.CHANGED, Result.FIXED, False),
        (Outcome.CHANGED, Result.NOT_FIXED, True),
        (Outcome.CHANGED, Result.UNKNOWN, True),
        (Outcome.FAILED, Result.FIXED, True),
        (None, None, False),
    ],
)
def test_the_breaker_counts_what_proved_no_effect(
    outcome: Outcome | None, verification: Result | None, counts: bool
) -> None:
    """Invariant 9 and 10: neither a failed run nor an unknown effect is a success."""
    one = run(20, entry="other", outcome=outcome, verification=verification)
    given = case(config=config(breaker={"failures": 1}), history=(one,))
    assert bool(list(frequency.breaker(given))) is counts


def test_the_breaker_closes_after_its_window() -> None:
    old = failures(3)
    later = NOW + timedelta(hours=1)
    assert list(frequency.breaker(case(history=old, now=later))) == []


def test_the_breaker_grants_the_configured_level() -> None:
    bound = config(breaker={"failures": 2, "within": "2h", "level": "observe"})
    assert judge(case(config=bound, history=failures(2))).level is Level.OBSERVE
