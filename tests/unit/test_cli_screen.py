from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from runner.cli.report import age, counted, short
from runner.incident_report.screen import Screen

ROWS = [(1, "fixed", "web1\x1b[2J"), (22, "escalated", "")]


def shown(**settings: bool) -> tuple[Screen, io.StringIO]:
    stream = io.StringIO()
    return Screen(stream=stream, **settings), stream


def test_a_pipe_gets_plain_aligned_text() -> None:
    screen, stream = shown()
    screen.table(("id", "state", "host"), ROWS)
    assert stream.getvalue() == (
        "ID  STATE      HOST\n1   fixed      web1\\x1b[2J\n22  escalated\n"
    )


def test_a_terminal_gets_colours() -> None:
    screen, stream = shown(terminal=True)
    screen.table(("id", "state", "host"), ROWS)
    assert "\x1b[32mfixed" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


def test_colours_can_be_refused() -> None:
    screen, stream = shown(terminal=True, color=False)
    screen.diff("-a\n+b")
    assert "\x1b[3" not in stream.getvalue()


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    screen, stream = shown(terminal=True, color=False)
    screen.table(("id", "reason"), [(1, "word " * 50)])
    plain = stream.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert max(map(len, plain.splitlines())) <= 60


def test_a_diff_is_coloured_by_line() -> None:
    screen, stream = shown(terminal=True)
    screen.diff("# web1\n-old [red]\n+new\x1b[1m")
    text = stream.getvalue()
    assert "\x1b[31m  -old [red]" in text
    assert "\x1b[32m  +new\\x1b[1m" in text


def test_a_long_diff_is_cut_and_counted() -> None:
    screen, stream = shown()
    screen.diff("+a\n" * 50, limit=10)
    assert stream.getvalue().splitlines()[-1] == "  … and 40 more lines"


def test_json_escapes_what_acts_on_a_terminal() -> None:
    screen, stream = shown()
    screen.json({"text": "\x1b[2J", "after": timedelta(minutes=5)})
    assert "\x1b" not in stream.getvalue()
    assert json.loads(stream.getvalue()) == {"text": "\x1b[2J", "after": "5m"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (0.44, "0.4s"), (12.9, "12s"), (200, "3m20s"), (3700, "1h1m"), (187300, "2d4h"),
     (-5, "0.0s")],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


def test_an_age_is_seen_from_now() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert age(now - timedelta(minutes=3), now) == "3m ago"


def test_one_is_not_many() -> None:
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(0, "alert") == "0 alerts"
