"""The verdict as a whole: properties that hold for any case."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.incident import Level, Outcome, Purpose, Reason, Result
from runner.policy import RULES, PastRun, Situation, judge, verdict_of
from tests.policy_case import NOW, alert, case, config, decision, entry

HOSTS = ("web1", "web2", "web3", "db1")
levels = st.sampled_from(Level)
hosts = st.lists(st.sampled_from(HOSTS), unique=True).map(tuple)
variables = st.fixed_dictionaries(
    {},
    optional={
        "runner_level": st.sampled_from(["observe", "dry-run", "approve", "auto", "bad"]),
        "runner_min_available": st.sampled_from([0, 1, 2, "50%", "bad", {"web": 2}]),
        "runner_failure_domain": st.sampled_from(["a", "b"]),
    },
)
runs = st.builds(
    PastRun,
    entry=st.sampled_from(["service_restart", "other"]),
    hosts=hosts,
    incident=st.integers(1, 3),
    purpose=st.sampled_from(Purpose),
    started_at=st.integers(-10, 120).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    outcome=st.none() | st.sampled_from(Outcome),
    verification=st.none() | st.sampled_from(Result),
)
freezes = st.builds(
    lambda start, end, level: {"name": "w", "start": start, "end": end, "level": level},
    st.sampled_from(["00:00", "11:00", "22:00"]),
    st.sampled_from(["06:00", "12:01", "24:00"]),
    levels,
)
policies = st.fixed_dictionaries(
    {
        "max_hosts": st.integers(1, 4),
        "max_runs": st.sampled_from(["0/1h", "2/1h", "100/1h"]),
        "cooldown": st.sampled_from(["0s", "10m", "1h"]),
        "freeze": st.lists(freezes, max_size=2),
        "breaker": st.builds(
            lambda failures, level: {"failures": failures, "level": level},
            st.integers(1, 4),
            levels,
        ),
    }
)
decisions = st.builds(
    decision,
    decider=st.sampled_from(["rules", "model", "user:ann"]),
    entry=st.sampled_from(["service_restart", "other", None]),
    cited=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    confidence=st.floats(0, 1) | st.just(float("nan")),
)


@st.composite
def cases(draw: st.DrawFn) -> Situation:
    chosen = draw(hosts)
    return case(
        entry=entry(level=draw(levels), risk=draw(st.sampled_from(["low", "high"]))),
        hosts=chosen,
        touched=tuple({*chosen, *draw(hosts)}),
        alert=alert(timedelta(minutes=draw(st.integers(-20, 600)))),
        decisions=tuple(draw(st.lists(decisions, max_size=3))),
        evidence=frozenset(draw(st.sets(st.integers(1, 4)))),
        config=config(**draw(policies)).model_copy(update={"level": draw(levels)}),
        ceiling=draw(levels),
        paused=draw(st.none() | st.just("by ann")),
        variables=draw(st.dictionaries(st.sampled_from(HOSTS), variables)),
        groups={"all": HOSTS, "web": HOSTS[:3], "greylisted": draw(hosts)},
        healthy=draw(
            st.none() | st.dictionaries(st.sampled_from(HOSTS), st.none() | st.booleans())
        ),
        busy=frozenset(draw(hosts)),
        history=tuple(draw(st.lists(runs, max_size=4))),
        incident=draw(st.none() | st.integers(1, 3)),
        earned=draw(st.none() | levels.map(lambda v: Reason(rule="earned", level=v, text="x"))),
        unknown_radius=tuple(draw(st.lists(st.just("add_host is used."), max_size=1))),
    )


def rank(given_case: Situation) -> int:
    return judge(given_case).level.rank


def test_the_harmless_case_is_auto() -> None:
    verdict = judge(case())
    assert verdict.level is Level.AUTO
    assert [reason.rule for reason in verdict.reasons] == [
        "configuration",
        "hosts",
        "entry",
    ]


@given(cases())
def test_no_verdict_is_above_any_ceiling(given_case: Situation) -> None:
    ceilings = [given_case.config.level, given_case.ceiling, given_case.entry.level]
    if given_case.earned:
        ceilings.append(given_case.earned.level)
    if given_case.paused:
        ceilings.append(Level.OBSERVE)
    for host in given_case.reach:
        said: Any = given_case.variables.get(host, {}).get("runner_level", "auto")
        ceilings.append(Level(said) if said != "bad" else Level.OBSERVE)
    assert rank(given_case) <= Level.lowest(*ceilings).rank


@given(cases())
def test_the_level_is_the_least_of_its_reasons(given_case: Situation) -> None:
    verdict = judge(given_case)
    assert verdict.level is Level.lowest(*(reason.level for reason in verdict.reasons))
    assert verdict.limiting
    assert all(reason.text.strip() and reason.rule for reason in verdict.reasons)


@given(cases(), st.lists(runs, min_size=1, max_size=3))
def test_more_history_never_raises_the_level(given_case: Situation, more: list[PastRun]) -> None:
    longer = replace(given_case, history=(*given_case.history, *more))
    assert rank(longer) <= rank(given_case)


@given(cases())
def test_a_pause_never_raises_the_level(given_case: Situation) -> None:
    assert rank(replace(given_case, paused="by ann")) <= rank(given_case)


@given(cases(), freezes)
def test_a_freeze_window_never_raises_the_level(
    given_case: Situation, window: dict[str, Any]
) -> None:
    before = given_case.config.model_dump(by_alias=True)
    policy = before["policy"] | {"freeze": [*before["policy"]["freeze"], window]}
    frozen = config(**policy).model_copy(update={"level": given_case.config.level})
    assert rank(replace(given_case, config=frozen)) <= rank(given_case)


@given(cases(), hosts)
def test_more_busy_hosts_never_raise_the_level(
    given_case: Situation, more: tuple[str, ...]
) -> None:
    """Invariant 11: other runs only take capacity away."""
    assert rank(replace(given_case, busy=given_case.busy | set(more))) <= rank(given_case)


@given(cases(), st.sampled_from(HOSTS), st.sampled_from([False, None]))
def test_a_sicker_neighbour_never_raises_the_level(
    given_case: Situation, host: str, health: bool | None
) -> None:
    """Invariant 11: what gets worse outside the plan only takes capacity away."""
    if given_case.healthy is None or host in given_case.reach:
        return
    sicker = replace(given_case, healthy=dict(given_case.healthy) | {host: health})
    assert rank(sicker) <= rank(given_case)


@given(cases(), st.lists(st.just("a template hides a host."), min_size=1, max_size=2))
def test_less_knowledge_never_raises_the_level(given_case: Situation, more: list[str]) -> None:
    """Invariant 10: what is not known only makes the runner do less."""
    assert rank(replace(given_case, unknown_radius=tuple(more))) <= rank(given_case)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(given_case: Situation, chance: random.Random) -> None:
    shuffled = list(RULES)
    chance.shuffle(shuffled)
    first, second = judge(given_case), verdict_of(given_case, shuffled)
    assert first.level is second.level
    assert set(first.reasons) == set(second.reasons)
