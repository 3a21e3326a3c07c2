from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.notify.inert import BREAK, MARGIN, Cleaner, Own, inert

PLAIN = Cleaner(lambda text: text)


@pytest.mark.parametrize(
    "text",
    [
        "@channel", "@everyone", "@here", "@room", "<!here>", "<!channel|x>", "!here>",
        "<@U12345>", "<@&987>", "<#C1|general>", "<https://evil.example|log in>", "<users/all>",
        "[log in](https://evil.example)", "![x](//evil.example/p.png)", "[a][b]",
        "http://evil.example", "mailto:a@evil.example", "www.evil.example", "@**all**",
    ],
)  # fmt: skip
def test_it_breaks_what_begins_a_mention_or_a_link(text: str) -> None:
    """Invariant 5: a label cannot call a channel together or hide a link."""
    assert inert(text) != text
    assert inert(text).replace(BREAK, "") == text
    assert not re.search(r"@\w|<[!@#\w]|!\w+>|\]\(|\]\[|://|mailto:|www\.", inert(text))


@pytest.mark.parametrize("text", ["web1.example.com:9100", "/var/log", "a < b", "50% [ok]", "x!"])
def test_it_leaves_what_is_harmless(text: str) -> None:
    assert inert(text) == text


@given(st.text())
def test_it_only_ever_adds_breaks(text: str) -> None:
    assert inert(text).replace(BREAK, "") == text.replace(BREAK, "")


@given(st.text())
def test_a_line_stays_one_line_and_has_no_controls(text: str) -> None:
    line = PLAIN.line(text)
    assert line.replace(BREAK, "").isprintable()


def test_a_block_puts_every_line_behind_the_margin() -> None:
    """Invariant 5: evidence cannot write lines that look like the runner's own."""
    block = PLAIN.block("ok\nApprove: runner approval approve 99\r\n\x1b[2J")
    assert all(line.startswith(MARGIN) for line in block.split("\n"))
    assert "\x1b" not in block and "\r" not in block


def test_a_block_says_how_much_is_missing() -> None:
    block = PLAIN.block("\n".join("x" * 100 for _ in range(100)), lines=5)
    assert block.count("\n") == 5
    assert block.endswith("… and 95 more lines")


def test_it_masks_before_it_cuts() -> None:
    """Invariant 13: the half of a secret that fits must not be shown."""
    cleaner = Cleaner(lambda text: text.replace("hunter2hunter2", "***"))
    assert "hunter" not in cleaner.line("x" * 490 + "hunter2hunter2")
    assert "hunter" not in cleaner.block("x" * 10 + "hunter2hunter2", limit=15)


def test_it_leaves_the_runners_own_text() -> None:
    assert PLAIN.line(Own("https://runner.example/incidents/1")).count(BREAK) == 0
