"""The bundle is numbered, masked, harmless and bounded."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from runner.evidence.mask import Mask
from runner.evidence.number import ITEM, ITEMS, TOTAL, number
from runner.incident import Evidence

AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def piece(text: str, **changes: str) -> Evidence:
    given_ = {"kind": "metric", "source": "Prometheus", "title": "CPU"} | changes
    return Evidence(number=0, text=text, at=AT, **given_)


def size(items: tuple[Evidence, ...]) -> int:
    return sum(len((i.text + i.title + i.source).encode()) for i in items)


def test_it_numbers_from_one() -> None:
    items = number([piece("a"), piece("b")], Mask())
    assert [(item.number, item.text) for item in items] == [(1, "a"), (2, "b")]


def test_it_masks_text_title_and_source() -> None:
    """Invariant 13: no field of evidence carries a secret."""
    bad = piece("password=hunter2", title="token=hunter2", source="http://a:hunter2@b")
    (item,) = number([bad], Mask())
    assert "hunter2" not in repr(item)


def test_it_makes_control_characters_visible() -> None:
    """Invariant 5: evidence cannot steer a terminal."""
    (item,) = number([piece("a\x1b]0;b\nc\u202ed", title="x\ny\x07")], Mask())
    assert item.text == "a\\x1b]0;b\nc\\u202ed"
    assert "\n" not in item.title and "\x07" not in item.title


def test_it_cuts_a_long_item_and_says_so() -> None:
    (item,) = number([piece("é" * 5000)], Mask())
    assert len(item.text.encode()) <= ITEM
    assert item.text.endswith("[10000 bytes, cut to 4096]")


def test_all_items_together_are_bounded_and_the_cut_is_told() -> None:
    """Invariant 14: the bundle has a greatest size."""
    items = number([piece("x" * 5000) for _ in range(20)], Mask())
    assert size(items) <= TOTAL
    assert "cut: all evidence is limited" in items[-1].text
    assert f"{20 - len(items)} items after it" in items[-1].text


def test_the_count_of_items_is_bounded() -> None:
    """Invariant 14: many small items have a bound too."""
    items = number([piece("x") for _ in range(ITEMS + 5)], Mask())
    assert len(items) == ITEMS
    assert "5 items after it" in items[-1].text


@given(st.lists(st.tuples(st.text(max_size=50), st.integers(1, 2000)), max_size=60))
def test_any_bundle_is_bounded_and_numbered(texts: list[tuple[str, int]]) -> None:
    """Invariant 14: whatever the sources bring, the bundle stays small."""
    items = number([piece(text * times, title=text) for text, times in texts], lambda text: text)
    assert size(items) <= TOTAL
    assert [item.number for item in items] == list(range(1, len(items) + 1))
    assert all(item.text.encode() is not None for item in items)
