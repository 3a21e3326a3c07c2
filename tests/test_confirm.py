from __future__ import annotations

import time
from datetime import timedelta

import pytest

from runner.steps import confirm


def test_a_jump_of_the_clock_is_not_time_in_which_checks_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 10: verification counts by a clock that nobody can set."""
    passed = iter([100.0, 100.0, 103.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(passed))
    now = confirm._clock()
    first = now()
    assert now() - first == timedelta(seconds=3)
