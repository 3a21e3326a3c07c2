from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner.incident import Alert, AlertStatus
from runner.intake.reconcile import Difference, Known, missing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)


def alert(fingerprint: str, starts_at: datetime = NOW) -> Alert:
    return Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        labels={},
        annotations={},
        starts_at=starts_at,
    )


def test_rule_12_an_active_alert_that_never_arrived_is_delivered():
    """Rule 12: reconcile with the API at start-up and every N minutes."""
    assert missing([alert("a")], {}) == Difference(missing=(alert("a"),), gone=())


def test_rule_12_an_alert_that_arrived_is_not_delivered_again():
    known = {"a": Known(starts_at=NOW, firing=True), "b": Known(starts_at=NOW, firing=False)}
    assert missing([alert("a"), alert("b")], known).missing == ()


def test_rule_4_a_later_activation_without_a_message_is_delivered():
    """Resolved and fired again inside one group interval: Alertmanager says nothing."""
    known = {"a": Known(starts_at=EARLIER, firing=True)}
    assert missing([alert("a")], known).missing == (alert("a"),)


def test_rule_4_an_activation_that_moved_back_is_the_same():
    known = {"a": Known(starts_at=NOW, firing=True)}
    assert missing([alert("a", EARLIER)], known) == Difference(missing=(), gone=())


def test_rule_7_what_is_no_longer_active_is_only_named_and_nothing_is_resolved():
    """Rule 7: never infer "fixed" from a missing or a resolved message alone."""
    known = {"a": Known(starts_at=NOW, firing=True), "b": Known(starts_at=NOW, firing=False)}
    assert missing([], known) == Difference(missing=(), gone=("a",))


def test_what_was_taken_for_resolved_and_is_active_is_delivered_again():
    """Invariant 1: Alertmanager did not have it when it was asked, and now it does."""
    known = {"a": Known(starts_at=NOW, firing=True, doubted=True)}
    assert missing([alert("a")], known).missing == (alert("a"),)
