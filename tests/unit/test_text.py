from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.text import brief, cut, storable, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 🙂", "plain é 漢 🙂"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\x00\x7f", r"a\rb\x00\x7f"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("line\u2028end\n", r"line\u2028end\n"),
        ("\ud800", r"\ud800"),
    ],
)
def test_it_writes_out_what_could_act_on_a_terminal(text, shown):
    assert visible(text) == shown


def test_it_keeps_lines_when_asked():
    assert visible("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


@given(st.text(st.characters()))
def test_whatever_is_visible_is_printable(text):
    assert visible(text).isprintable()
    assert brief(text).isprintable()


@given(st.text(st.characters()))
def test_whatever_is_storable_is_utf_8_without_nul(text):
    assert b"\x00" not in storable(text).encode()


def test_a_cut_text_says_so():
    assert cut("abcdef", 4) == "abc…" and cut("abcd", 4) == "abcd"


def test_a_brief_text_is_one_short_line():
    assert brief("a\n  b\t" + "x" * 1000, 10) == "a b xxxxx…"
