"""Durations and rates as Prometheus users write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.text import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604800), ("250ms", 0.25), ("0", 0),
     ("1y2w", 365 * 86400 + 14 * 86400), (" 5m ", 300)],
)  # fmt: skip
def test_it_reads_what_prometheus_reads(text: str, seconds: float) -> None:
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5m1h", "-5m", "1.5h", "5 m", "5M", "\uff11m", None, []]
)
def test_anything_else_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 30s"):
        duration.parse(text)


@given(st.text(max_size=30))
def test_it_raises_nothing_but_value_error(text: str) -> None:
    try:
        assert duration.parse(text) >= timedelta()
    except ValueError:
        pass


@given(st.integers(0, 10**12))
def test_what_it_writes_it_reads(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)
    assert duration.parse(duration.write(length)) == length


def test_a_rate_is_a_count_in_a_window() -> None:
    rate = duration.parse_rate("3/1h")
    assert (rate.count, rate.per, str(rate)) == (3, timedelta(hours=1), "3/1h")
    for text in ("3", "3/", "/1h", "3/0s", "x/1h", "-1/1h"):
        with pytest.raises(ValueError, match="write 3/1h"):
            duration.parse_rate(text)
