"""Alertmanager matcher syntax, as its own documentation and parser have it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.text.matcher import (
    MOST,
    Alternatives,
    Matcher,
    all_match,
    parse_alternatives,
    parse_matcher,
    rank,
    specificity,
    written,
)
from tests.policy_case import entry

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a="b"', Matcher("a", "=", "b")),
        ("a=b", Matcher("a", "=", "b")),
        (' a  !=  "b c" ', Matcher("a", "!=", "b c")),
        ('a=~"x|y"', Matcher("a", "=~", "x|y")),
        ("a=~x|y", Matcher("a", "=~", "x|y")),
        ("a!~x{2}", Matcher("a", "!~", "x{2}")),
        ('a=""', Matcher("a", "=", "")),
        ("a=", Matcher("a", "=", "")),
        (r'a="say \"hi\" \\ \n"', Matcher("a", "=", 'say "hi" \\ \n')),
        (r'a=~"web\d+\.example"', Matcher("a", "=~", r"web\d+\.example")),
        ('"größe in m"="1"', Matcher("größe in m", "=", "1")),
        ('größe="1"', Matcher("größe", "=", "1")),
        ('a="x=y,z"', Matcher("a", "=", "x=y,z")),
    ],
)
def test_it_reads_what_alertmanager_reads(text: str, expected: Matcher) -> None:
    assert parse_matcher(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", '="b"', 'a=="b"', "a=~(", 'a="b', 'a=b"', 'a="b"c', '{a="b"}', '""="x"', "a~b",
     r'a=~"(?=x)"', 'a="b" c="d"', "a b=c", 'a="\ud800"'],
)  # fmt: skip
def test_it_refuses_what_is_not_a_matcher(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_matcher(text)


def test_it_says_how_to_write_a_matcher() -> None:
    with pytest.raises(ValueError, match='write it as alertname="ServiceDown"'):
        parse_matcher("ServiceDown")


def test_it_anchors_patterns_at_both_ends() -> None:
    matcher = parse_matcher('alertname=~"Down|Http"')
    assert matcher.matches({"alertname": "Down"})
    assert not matcher.matches({"alertname": "ServiceDown"})
    assert not matcher.matches({"alertname": "HttpDown"})
    assert not matcher.matches({"alertname": "Down\n"})


def test_it_takes_a_missing_label_as_empty() -> None:
    assert parse_matcher('a=""').matches({})
    assert parse_matcher('a!="x"').matches({})
    assert parse_matcher('a=~".*"').matches({})
    assert not parse_matcher('a=~".+"').matches({})
    assert parse_matcher('a!~".+"').matches({})


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*c", "(.*)*x", "(a?){50}a{50}b"])
def test_a_value_of_a_megabyte_cannot_hang_it(pattern: str) -> None:
    """Invariant 14: backtracking would need centuries here, so coming back is the proof."""
    assert not parse_matcher(f'a=~"{pattern}"').matches({"a": "a" * 1_000_000})


def test_a_lone_surrogate_in_a_label_does_not_raise() -> None:
    assert not parse_matcher('a=~"x.*"').matches({"a": "\ud800"})
    assert not parse_matcher('a="x"').matches({"a": "\ud800"})


def test_equality_says_more_than_a_pattern_and_a_pattern_more_than_a_negation() -> None:
    texts = ['a="x"', 'a=~"x|y"', 'a!="x"', 'a=~".*"']
    numbers = [specificity(parse_matcher(text)) for text in texts]
    assert numbers == sorted(set(numbers), reverse=True)


@given(label=TEXT.filter(bool), op=st.sampled_from(["=", "!="]), value=TEXT)
def test_what_it_writes_it_reads_back(label: str, op: str, value: str) -> None:
    matcher = Matcher(label, op, value)  # type: ignore[arg-type]
    assert parse_matcher(str(matcher)) == matcher


@given(label=TEXT.filter(bool), value=TEXT, op=st.sampled_from(["=~", "!~"]))
def test_patterns_are_read_back_too(label: str, op: str, value: str) -> None:
    try:
        matcher = Matcher(label, op, value)  # type: ignore[arg-type]
    except ValueError:
        return
    assert parse_matcher(str(matcher)) == matcher


@given(st.text(max_size=80) | st.text('ab"\\=!~ {}n(*', max_size=20))
def test_any_text_is_a_matcher_or_a_value_error(text: str) -> None:
    try:
        matcher = parse_matcher(text)
    except ValueError:
        return
    assert isinstance(matcher.matches({matcher.label: text}), bool)


@pytest.mark.parametrize("severity", ["Info", "INFO", "info"])
def test_a_severity_is_the_same_word_in_any_case(severity: str) -> None:
    """`tests/inputs/M4`: no label of another name is folded."""
    labels = {"severity": severity, "team": severity}
    assert not parse_matcher('severity!="info"').matches(labels)
    assert not parse_matcher('severity!="Info"').matches(labels)
    assert parse_matcher('severity=~"inf.|x"').matches(labels)
    assert parse_matcher('team!="iNFO"').matches(labels)


A, B = parse_matcher('a="1"'), parse_matcher('b="2"')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], ()),
        ('a="1"', ((A,),)),
        (['a="1"', 'b="2"'], ((A, B),)),
        ([['a="1"', 'b="2"']], ((A, B),)),
        ([['a="1"'], ['b="2"']], ((A,), (B,))),
    ],
)
def test_alternatives_are_one_list_or_a_list_of_lists(value: Any, expected: Alternatives) -> None:
    assert parse_alternatives(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "must be a list"),
        ({"a": "1"}, "must be a list"),
        (['a="1"', ['b="2"']], "put each alternative into a list"),
        ([[]], "would match every alert"),
        ([['a="1"'], []], "would match every alert"),
        ([3], "'3', which is not a text"),
        ([[None]], "'None', which is not a text"),
        ([["a"]], "'a' is not a matcher"),
        (['a="1"'] * (MOST + 1), "more than 64"),
        ([['a="1"']] * (MOST + 1), "more than 64"),
    ],
)
def test_alternatives_that_are_none_are_a_sentence(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_alternatives(value)


GIVEN = st.lists(
    st.lists(
        st.builds(Matcher, st.sampled_from("ab"), st.sampled_from(["=", "!="]), st.just("1")),
        min_size=1,
        max_size=3,
    ),
    max_size=3,
).map(lambda lists: tuple(map(tuple, lists)))


@given(GIVEN)
def test_alternatives_are_read_as_they_are_written(alternatives: Alternatives) -> None:
    assert parse_alternatives(written(alternatives)) == alternatives


@given(GIVEN, st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")))
def test_the_most_specific_alternative_that_fits_is_the_one(
    alternatives: Alternatives, labels: dict[str, str]
) -> None:
    heal = entry(match=alternatives)
    fitting = [matchers for matchers in alternatives if all_match(matchers, labels)]
    assert heal.eligible(labels) == bool(fitting)
    if fitting:
        assert rank(heal.matched(labels) or ()) == max(map(rank, fitting))
