"""What is asked after a run, and how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.catalog.entry import Entry, VerifyCheck
from runner.incident import Alert, AlertStatus, Incident, Level, State
from runner.steps import confirm

START = datetime(2026, 1, 1, tzinfo=UTC)
ENTRY = Entry(
    id="mark",
    folder=Path("mark"),
    title="Mark",
    description="Marks.",
    role="mark",
    verify={"checks": [{"alert": "cleared"}, {"result": {"marked": True}}]},
)


def incident(source: str, by: str | None = None) -> Incident:
    alert = Alert(
        fingerprint="f", status=AlertStatus.FIRING, labels={}, annotations={}, starts_at=START,
        source=source,
    )  # fmt: skip
    return Incident(
        id=1, alert=alert, state=State.VERIFYING, reason="", created_at=START, updated_at=START,
        environment="test", ceiling=Level.AUTO, requested_by=by,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "by", "counted"),
    [("webhook", None, 2), ("watch", None, 2), ("prediction", None, 1), ("person", "user:ann", 1)],
)
def test_an_alert_that_cannot_clear_soon_is_not_waited_for(
    source: str, by: str | None, counted: int
) -> None:
    found = confirm._applicable(incident(source, by), ENTRY)
    assert len(found) == counted
    assert VerifyCheck(result={"marked": True}) in found


def test_a_jump_of_the_clock_is_not_time_in_which_checks_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 10: verification counts by a clock that nobody can set."""
    passed = iter([100.0, 100.0, 103.0])
    monkeypatch.setattr(confirm, "time", SimpleNamespace(monotonic=lambda: next(passed)))
    now = confirm._clock()
    first = now()
    assert now() - first == timedelta(seconds=3)
