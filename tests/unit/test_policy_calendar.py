"""Freeze windows: days, dates, midnight, time zones, and windows that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runner.config import Freeze
from runner.incident import Level
from runner.policy import calendar, judge
from runner.policy.calendar import covers
from tests.policy_case import case, config, only


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "open_"),
    [
        # 2026-03-04 is a Wednesday
        ({}, "2026-03-04T00:00", True),
        ({"start": "09:00", "end": "17:00"}, "2026-03-04T09:00", True),
        ({"start": "09:00", "end": "17:00"}, "2026-03-04T16:59", True),
        ({"start": "09:00", "end": "17:00"}, "2026-03-04T17:00", False),
        ({"start": "09:00", "end": "17:00"}, "2026-03-04T08:59", False),
        ({"days": ["wed"]}, "2026-03-04T12:00", True),
        ({"days": ["mon", "tue"]}, "2026-03-04T12:00", False),
        ({"start": "22:00", "end": "06:00"}, "2026-03-04T23:00", True),
        ({"start": "22:00", "end": "06:00"}, "2026-03-04T05:59", True),
        ({"start": "22:00", "end": "06:00"}, "2026-03-04T06:00", False),
        ({"start": "22:00", "end": "06:00", "days": ["tue"]}, "2026-03-04T05:00", True),
        ({"start": "22:00", "end": "06:00", "days": ["wed"]}, "2026-03-04T05:00", False),
        ({"start": "22:00", "end": "06:00", "days": ["wed"]}, "2026-03-05T05:00", True),
        ({"start": "12:00", "end": "12:00", "days": ["wed"]}, "2026-03-05T11:59", True),
        ({"start": "12:00", "end": "12:00", "days": ["wed"]}, "2026-03-05T12:00", False),
        ({"from_date": "2026-03-04", "to_date": "2026-03-05"}, "2026-03-05T23:59", True),
        ({"from_date": "2026-03-04", "to_date": "2026-03-05"}, "2026-03-06T00:00", False),
        ({"from_date": "2026-03-05"}, "2026-03-04T23:59", False),
        ({"to_date": "2026-03-03", "start": "23:00", "end": "01:00"}, "2026-03-04T00:30", True),
        ({"timezone": "Asia/Tokyo", "days": ["thu"]}, "2026-03-04T15:00", True),
        ({"timezone": "Asia/Tokyo", "days": ["thu"]}, "2026-03-04T14:59", False),
        ({"timezone": "Europe/Berlin", "start": "09:00"}, "2026-07-01T07:00", True),
        ({"timezone": "Europe/Berlin", "start": "09:00"}, "2026-01-01T07:59", False),
    ],
)
def test_it_knows_when_a_window_is_open(window: dict[str, Any], now: str, open_: bool) -> None:
    assert covers(Freeze.model_validate({"name": "w"} | window), at(now)) is open_


def test_it_grants_the_level_of_the_window() -> None:
    frozen = config(freeze=[{"name": "release", "level": "observe", "timezone": "UTC"}])
    reason = only(calendar.freeze, case(config=frozen))
    assert reason.level is Level.OBSERVE
    assert reason.text == (
        "Freeze window release is open, 00:00 to 24:00 UTC, and limits to observe."
    )


def test_the_least_of_two_open_windows_counts() -> None:
    frozen = config(freeze=[{"name": "a", "level": "approve"}, {"name": "b", "level": "dry-run"}])
    assert judge(case(config=frozen)).level is Level.DRY_RUN


@pytest.mark.parametrize(
    "window",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": ""},
        {"timezone": "../../etc/passwd"},
        {"from_date": "tomorrow"},
        {"to_date": "2026-02-30"},
    ],
)
def test_a_window_that_cannot_be_read_counts_as_open(window: dict[str, Any]) -> None:
    """Invariant 10: a freeze that is not understood is not lifted."""
    broken = config(freeze=[{"name": "w", "level": "auto"} | window])
    reason = only(calendar.freeze, case(config=broken))
    assert reason.level is Level.APPROVE
    assert "counts as open" in reason.text
