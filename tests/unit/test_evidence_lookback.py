"""How far back an expression looks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.evidence.lookback import LONGEST, expr_of, lookback
from runner.evidence.samples import AlertingRule
from runner.text.duration import parse, write


@pytest.mark.parametrize(
    ("expr", "longest"),
    [
        ("up == 0", "0s"),
        ("rate(x[5m]) > 1", "5m"),
        ("rate(x[5m]) / rate(y[1h30m]) > 1", "1h30m"),
        ("max_over_time(rate(x[5m])[30m:1m]) > 1", "35m"),
        ("max_over_time(x[30m:]) > 1", "30m"),
        ("rate(x[5m] offset 1h)", "1h5m"),
        ("x offset 1d", "1d"),
        ("x offset -5m", "0s"),
        ('x{path="/[9h]"} > 0', "0s"),
        ("x{path='[9h]'} > rate(y[1m])", "1m"),
        ("x{path=`[9h]`} # [8h]", "0s"),
        ('x{path="a\\"[9h]"}', "0s"),
        ("x[nonsense]", "0s"),
        ("x[", "0s"),
        ("", "0s"),
        ("x[9999y]", "366d"),
    ],
)
def test_it_finds_the_longest_range(expr: str, longest: str) -> None:
    assert lookback(expr) == parse(longest)


def test_a_rule_looks_back_over_all_that_delays_it() -> None:
    rule = AlertingRule(
        name="A",
        query="rate(x[5m]) > 1",
        labels={},
        duration=parse("2m"),
        keep_firing=parse("1m"),
        interval=parse("30s"),
    )
    assert rule.lookback == parse("8m30s")


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.text(max_size=20))
def test_any_mix_of_ranges_gives_the_longest(seconds: list[int], noise: str) -> None:
    quoted = noise.replace("\\", "").replace('"', "").replace("\n", "")
    parts = [f'rate(x{{a="{quoted}[9y]"}}[{write(timedelta(seconds=n))}])' for n in seconds]
    assert lookback(" + ".join(parts)) == timedelta(seconds=max(seconds))


@given(st.text(alphabet="x[]():0159msdy \"'`\\#offset", max_size=80))
def test_any_text_has_a_bounded_look_back(expr: str) -> None:
    """Invariant 14: nothing that somebody writes into a rule makes us wait for ever."""
    assert timedelta() <= lookback(expr) <= LONGEST


@pytest.mark.parametrize(
    ("url", "expr"),
    [
        ("http://p:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1", "up == 0"),
        ("http://p:9090/graph", None),
        ("", None),
        ("http://[::1", None),
        ("http://p/?" + "&".join(f"a{n}=1" for n in range(90)), None),
    ],
)
def test_it_reads_the_expression_of_a_generator_url(url: str, expr: str | None) -> None:
    assert expr_of(url) == expr
