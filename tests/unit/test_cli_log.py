"""The log of a process that stays: a flood of lines is not a flood of bytes."""

from __future__ import annotations

import logging

from runner.cli.log import OncePerMinute


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(message: str, *args: object, name: str = "asyncio") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, None)


def test_the_same_line_is_written_once_a_minute() -> None:
    """Invariant 21: who can make us say something cannot make us say it without end."""
    clock = Clock()
    lines = OncePerMinute(clock)
    assert [lines.filter(record("too many open files")) for _ in range(4)] == [True] + [False] * 3
    clock.now = 61
    again = record("too many open files")
    assert lines.filter(again)
    assert again.getMessage() == "too many open files (3 more such lines were left out)"
    assert lines.filter(record("something else"))


def test_lines_that_differ_in_their_values_have_a_bound_too() -> None:
    lines = OncePerMinute(Clock())
    written = sum(lines.filter(record("a login from %s failed", n)) for n in range(1000))
    assert written == OncePerMinute.VARIANTS


def test_what_is_remembered_of_lines_has_a_bound() -> None:
    """Invariant 14: texts from outside fill no memory."""
    lines = OncePerMinute(Clock())
    for number in range(3 * OncePerMinute.MAX_KINDS):
        lines.filter(record(f"line {number}"))
    assert len(lines._lines) == len(lines._kinds) == OncePerMinute.MAX_KINDS


def test_no_transition_is_left_out() -> None:
    """Invariant 12: the audit log's lines are a record, however equal they look."""
    lines = OncePerMinute(Clock())
    equal = [record("incident %s fixed", 1, name="runner.trail") for _ in range(3)]
    assert all(lines.filter(one) for one in equal)
