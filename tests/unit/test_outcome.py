from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runner.execute.outcome import Ending, Messages, judge
from runner.incident import Outcome

ZERO = {"ok": 0, "changed": 0, "failures": 0, "dark": 0, "skipped": 0, "ignored": 0, "rescued": 0}


def ending(rc: int | None = 0, *, seen: tuple[str, ...] = ("web1",), **given: Any) -> Ending:
    counts: Mapping[str, int] = given.pop("counts", {"ok": 1})
    stats = given.pop("stats", {"web1": ZERO | counts})
    return Ending(rc=rc, stats=stats, hosts_seen=frozenset(seen), **given)


def judged(
    end: Ending, hosts: tuple[str, ...] = ("web1",), said: Messages | None = None
) -> Outcome:
    return judge(end, hosts=hosts, allowed=hosts, messages=said)[0]


@pytest.mark.parametrize(
    ("counts", "rc", "expected"),
    [
        ({"ok": 2, "changed": 1}, 0, Outcome.CHANGED),
        ({"ok": 2}, 0, Outcome.NO_CHANGE),
        ({"skipped": 2}, 0, Outcome.ALL_SKIPPED),
        ({"ok": 2, "ignored": 1}, 0, Outcome.TOLERATED_FAILURE),
        ({"ok": 2, "changed": 1, "rescued": 1}, 0, Outcome.TOLERATED_FAILURE),
        ({"ok": 1, "failures": 1}, 2, Outcome.FAILED),
        ({"dark": 1}, 4, Outcome.UNREACHABLE),
        ({"ok": 1}, 2, Outcome.FAILED),
    ],
)
def test_successful_is_not_success(counts: dict[str, int], rc: int, expected: Outcome) -> None:
    """Invariant 9: what the statistics say decides, not the exit status alone."""
    assert judged(ending(rc, counts=counts)) is expected


def test_no_processed_host_is_no_hosts() -> None:
    """Invariant 9: rc 0 with empty statistics matched nothing."""
    assert judged(ending(stats={}, seen=())) is Outcome.NO_HOSTS


def test_success_needs_a_statistics_event() -> None:
    """Invariant 9: rc 0 alone proves nothing."""
    assert judged(ending(stats=None)) is Outcome.UNKNOWN


def test_a_run_without_exit_status_is_unknown() -> None:
    """Invariant 2: what is not proved is unknown."""
    assert judged(ending(None, stats=None)) is Outcome.UNKNOWN
    assert judged(Ending()) is Outcome.UNKNOWN


def test_a_host_outside_the_plan_fails_the_run_and_is_named() -> None:
    """Invariant 6: delegation included."""
    outcome, reason = judge(ending(seen=("web1", "db9")), hosts=("web1",), allowed=("web1",))
    assert outcome is Outcome.FAILED
    assert "db9" in reason


def test_a_delegate_of_the_plan_is_allowed() -> None:
    """Invariant 6: hosts of the plan may be seen."""
    seen = ending(seen=("web1", "db9"))
    assert judge(seen, hosts=("web1",), allowed=("db9",))[0] is Outcome.NO_CHANGE


def test_a_requested_host_that_was_never_reached_fails_the_run() -> None:
    """Invariant 6: requested and processed hosts are compared."""
    outcome, reason = judge(ending(), hosts=("web1", "web2"), allowed=())
    assert outcome is Outcome.FAILED
    assert "web2" in reason


def test_the_failure_that_kept_the_play_from_a_host_comes_first() -> None:
    """A play for the balancer fails, and the one for web1 is never begun."""
    said = Messages(hosts={"lb1": "Take the host out: the disk is full"})
    failed, dark = ({"lb1": ZERO | {word: 1}} for word in ("failures", "dark"))
    never = "the play never reached web1, which it was asked to"
    for stats, cause in (
        (failed, "a task failed on lb1: Take the host out: the disk is full"),
        (dark, "lb1 could not be reached: Take the host out: the disk is full"),
    ):
        end = ending(2, seen=("lb1",), stats=stats)
        found = judge(end, hosts=("web1",), allowed=("lb1",), messages=said)
        assert found == (Outcome.FAILED, f"{cause}; {never}")


def test_a_change_counts_for_the_host_that_was_changed() -> None:
    """Ansible counts a delegated task for the host that it was meant for."""
    end = ending(counts={"ok": 2, "changed": 2}, changed=frozenset({"web1", "lb1"}))
    assert judge(end, hosts=("web1",), allowed=("lb1",))[1] == "2 tasks changed lb1, web1"
    end = ending(counts={"ok": 1, "changed": 1}, changed=frozenset({"lb1"}))
    assert judge(end, hosts=("web1",), allowed=("lb1",))[1] == "1 task changed lb1"


@pytest.mark.parametrize("stopped", ["timeout", "cancelled"])
def test_a_stopped_run_is_what_stopped_it(stopped: str) -> None:
    """Invariant 9: timeout and cancel are outcomes of their own."""
    assert judged(ending(None, stats=None, stopped=stopped)) is Outcome(stopped)


def test_a_run_that_ended_before_it_could_be_stopped_counts_as_it_ended() -> None:
    assert judged(ending(0, stopped="cancelled", counts={"ok": 1, "changed": 1})) is Outcome.CHANGED


def test_processes_that_live_on_are_told() -> None:
    _, reason = judge(ending(None, stopped="timeout", survivors=2), hosts=("web1",), allowed=())
    assert "2 of its processes" in reason


def test_a_host_where_every_task_with_an_effect_was_skipped_is_all_skipped() -> None:
    """Invariant 9: an `assert` that passed does not make a run that did nothing."""
    end = ending(counts={"ok": 1, "skipped": 1}, idle=frozenset({"web1"}))
    assert judged(end) is Outcome.ALL_SKIPPED


def test_the_reason_has_the_plays_own_words() -> None:
    said = Messages(hosts={"web1": "Restart: no such unit"})
    end = ending(2, counts={"failures": 1})
    assert "no such unit" in judge(end, hosts=("web1",), allowed=(), messages=said)[1]


def test_an_inventory_without_the_host_is_no_hosts() -> None:
    said = Messages(play="[ERROR]: ... leaves us with no hosts to target.")
    assert judged(ending(1, stats=None, seen=()), said=said) is Outcome.NO_HOSTS


def test_a_failure_outweighs_an_unreachable_host() -> None:
    stats = {"web1": ZERO | {"failures": 1}, "web2": ZERO | {"dark": 1}}
    assert judged(ending(2, stats=stats, seen=()), ("web1", "web2")) is Outcome.FAILED


def test_a_long_list_of_hosts_is_cut() -> None:
    hosts = tuple(f"web{n}" for n in range(9))
    _, reason = judge(ending(stats={}, seen=()), hosts=hosts, allowed=())
    assert "and 4 more" in reason


@pytest.mark.parametrize(
    ("begun", "stopped", "said"),
    [
        (True, "timeout", "it was ended at its deadline; what it had done until then is not known"),
        (False, "timeout", "before its first play; a source of the inventory or a program"),
        (False, "cancelled", "it was cancelled before its first play"),
    ],
)
def test_one_that_never_came_to_a_play_says_what_it_may_have_waited_for(
    begun: bool, stopped: str, said: str
) -> None:
    end = ending(None, seen=(), stats=None, stopped=stopped, begun=begun)
    outcome, reason = judge(end, hosts=("web1",), allowed=("web1",))
    assert str(outcome) == stopped and said in reason
