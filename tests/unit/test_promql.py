"""Values in PromQL stay inside the quotes of the matcher that they were put into."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import CatalogError, Refused
from runner.text import promql


@pytest.mark.parametrize(
    ("query", "filled"),
    [
        ('up{instance="$instance"} == 0', 'up{instance="web1:9100"} == 0'),
        ("up{instance='${instance}'}", "up{instance='web1:9100'}"),
        ('up{a!="x",instance=~"$instance|b"}', r'up{a!="x",instance=~"web1:9100|b"}'),
        ('up{i=~"foo$"}', 'up{i=~"foo$"}'),
        ('label_replace(up, "a", "$1", "b", "(.*)")', 'label_replace(up, "a", "$1", "b", "(.*)")'),
        ("up # of $instance\n > 0", "up # of $instance\n > 0"),
        ("up{a=`x$`}", "up{a=`x$`}"),
        (r'up{a="\$instance"}', r'up{a="\$instance"}'),
    ],
)
def test_it_fills_quoted_matchers(query: str, filled: str) -> None:
    assert promql.fill(query, {"instance": "web1:9100"}) == filled


@pytest.mark.parametrize(
    "query",
    ["up > $x", "up{$x}", 'label_replace(up, "a", "$x", "b", "c")', "up{a=`$x`}", 'up{a="$x}',
     'up{"$x"="a"}', 'up[$x]', '$x{a="b"}'],
)  # fmt: skip
def test_it_refuses_a_name_anywhere_else(query: str) -> None:
    """Invariant 5: a value never becomes an expression, a metric or a duration."""
    with pytest.raises(CatalogError, match="quote"):
        promql.fill(query, {"x": "1"})


def test_it_refuses_a_missing_value() -> None:
    with pytest.raises(Refused, match=r"needs a value for \$service"):
        promql.fill('up{a="$service"}', {})


def test_names_are_those_that_need_a_value() -> None:
    assert promql.names('up{a="$b",c=~"${d}x"} # $e') == {"b", "d"}


def test_a_label_that_is_called_host_does_not_become_the_host() -> None:
    assert promql.values({"host": "evil", "a": "b"}) == {"a": "b"}
    assert promql.values({"host": "evil"}, "web1") == {"host": "web1"}


def test_a_pattern_matches_the_value_and_nothing_else() -> None:
    assert promql.fill('up{a=~"$a"}', {"a": "w.*"}) == r'up{a=~"w\\.\\*"}'


@given(value=st.text(st.characters(exclude_categories=["Cs"])), quote=st.sampled_from("\"'"))
def test_any_value_stays_one_string_that_means_the_value(value: str, quote: str) -> None:
    """Invariant 5: whatever the text, it is read back as itself, from within its quotes."""
    filled = promql.fill(f"up{{a={quote}$a{quote}}} > 0", {"a": value})
    inside = filled.removeprefix(f"up{{a={quote}").removesuffix(f"{quote}}} > 0")
    assert not re.search(rf"(?<!\\)(\\\\)*{quote}", inside)
    assert _unescaped(inside) == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_value_in_a_pattern_matches_itself_only(value: str) -> None:
    """Invariant 5: a label cannot widen a pattern."""
    filled = promql.fill('{a=~"$a"}', {"a": value})
    pattern = _unescaped(filled.removeprefix('{a=~"').removesuffix('"}'))
    assert re2.fullmatch(pattern, value)
    assert not re2.fullmatch(pattern, value + "x")


@given(st.text(max_size=60) | st.text("\"'`$a=~{}#\\\n", max_size=20))
def test_any_query_is_filled_or_refused(query: str) -> None:
    try:
        promql.fill(query, {"a": "b"})
    except (CatalogError, Refused):
        return


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        return chr(int(match[2], 16)) if match[2] else {"n": "\n"}.get(match[1], match[1])

    return re.sub(r"\\(x([0-9a-f]{2})|.)", one, text, flags=re.DOTALL)
