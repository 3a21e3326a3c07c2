"""The comparison of a page's console blocks with what a terminal shows."""

from __future__ import annotations

import pytest

from tests.printed import commands, difference, displayed

PAGE = """\
1   3.1s ago  in 29m56s  restart
…
hash  d0eddb38105da3e6044023d94a5a42048f94a732311de6222aa0d2f68aae018a
by alertname=~"…", severity
Fixed: every check held for 30s, 30s after the run.
"""
SAID = """\
1   1m2s ago   in 29m3s   restart
more
and more
hash  1b70bf18a235281c7088d223b65af231e1326f9459ddbb0c0e3af96be10d0213
by alertname=~"ServiceDown", severity
Fixed: every check held for 30s, 31s after the run.
"""


def test_what_differs_each_time_is_no_difference() -> None:
    assert difference(PAGE, SAID) == ""
    assert difference("", "") == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("restart", "restore"),
        ("1   3.1s", "2   3.1s"),
        ("…\nhash", "hash"),
        ("held for 30s", "held for 60s"),
        ("severity", "severity!"),
        ("Fixed: every check held for 30s, 30s after the run.\n", ""),
        ("hash", "hash\nhash"),
    ],
)
def test_anything_else_is(before: str, after: str) -> None:
    assert difference(PAGE.replace(before, after, 1), SAID)


def test_each_command_has_what_stands_below_it() -> None:
    block = "$ runner check\nok  ansible\nok  roles\n$ cd ops\n"
    assert list(commands(block)) == [("runner check", "ok  ansible\nok  roles\n"), ("cd ops", "")]


def test_a_status_line_that_was_drawn_over_is_not_displayed() -> None:
    """As rich draws it: the line again and again, then what is printed in its place."""
    one = "\x1b[?25l- busy\r\x1b[2K/ busy\r\x1b[2K#1  admitted\r\n"
    two = "- a\r\n- b\r\x1b[2K\x1b[1A\x1b[2Kend\r\n"
    assert displayed(one + two) == "#1  admitted\nend\n"
