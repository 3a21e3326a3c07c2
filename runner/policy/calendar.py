"""Freeze windows: times at which less is allowed, in the wall clock of their place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from runner.config import Freeze
from runner.incident import Level, Reason
from runner.policy.situation import Situation

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def freeze(situation: Situation) -> Iterator[Reason]:
    """Every window that is open now."""
    for window in situation.config.policy.freeze:
        try:
            opened = covers(window, situation.now)
        except (ValueError, OSError, KeyError) as error:
            text = f"Freeze window {window.name} cannot be read ({error}), so it counts as open."
            yield Reason(rule="freeze", level=Level.lowest(window.level, Level.APPROVE), text=text)
            continue
        if opened:
            text = (
                f"Freeze window {window.name} is open, {window.start} to {window.end} "
                f"{window.timezone}, and limits to {window.level}."
            )
            until = closes(window, situation.now)
            yield Reason(rule="freeze", level=window.level, text=text, until=until)


def closes(window: Freeze, now: datetime) -> datetime:
    """When `window`, which is open now, closes; the next one may open at that very moment."""
    local = now.astimezone(ZoneInfo(window.timezone))
    end = datetime.combine(local.date(), time(), local.tzinfo)
    end += timedelta(minutes=_minute(window.end))
    if end <= local:  # it lasts over midnight
        end += timedelta(days=1)
    return end.astimezone(UTC)


def covers(window: Freeze, now: datetime) -> bool:
    """Whether `now` (aware) lies in `window`.

    A window whose end is not after its start lasts over midnight; its days and
    dates are those on which it begins. Raises ValueError, KeyError or OSError for
    a date or a timezone that does not exist.
    """
    local = now.astimezone(ZoneInfo(window.timezone))
    minute, today = local.hour * 60 + local.minute, local.date()
    start, end = _minute(window.start), _minute(window.end)
    if start < end:
        return start <= minute < end and _begins(window, today)
    yesterday = today - timedelta(days=1)
    since_today = minute >= start and _begins(window, today)
    since_yesterday = minute < end and _begins(window, yesterday)
    return since_today or since_yesterday


def _begins(window: Freeze, day: date) -> bool:
    first = date.fromisoformat(window.from_date) if window.from_date else date.min
    last = date.fromisoformat(window.to_date) if window.to_date else date.max
    return first <= day <= last and (not window.days or _DAYS[day.weekday()] in window.days)


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
