"""Slots of playbooks that only wait are lent: who holds one, how many at once, in which order."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runner.incident import Purpose, State
from runner.project import Project
from runner.store.order import FairSlots, Rank, Stage, Urgency, _Asked
from tests import small_project as small
from tests.real.test_remediate import Start, start

__all__ = ["start"]  # a fixture

RANK = Rank(host="web1", urgency=Urgency.LOW, stage=Stage.RUN)
ranks = st.builds(
    Rank,
    host=st.sampled_from(["web1", "web2", "web3"]),
    urgency=st.sampled_from(Urgency),
    stage=st.sampled_from(Stage),
    incident=st.integers(0, 5),
)


class Slots(RuleBasedStateMachine):
    """Runs ask, say whether they only wait, end and are given up, in any order."""

    SLOTS = 2

    def __init__(self) -> None:
        super().__init__()
        self.slots = FairSlots(self.SLOTS)
        self.waiting: list[_Asked] = []
        self.running: list[_Asked] = []
        self.idle: set[int] = set()
        self.lent: set[int] = set()

    def look(self) -> None:
        """Who was given one meanwhile was, at its host, the first of those that wait."""
        given = [one for one in self.waiting if one.given.is_set()]
        self.waiting = [one for one in self.waiting if not one.given.is_set()]
        for one in given:
            assert all(one.order < other.order for other in self.waiting if _same(one, other))
        self.running += given

    @rule(rank=ranks)
    def ask(self, rank: Rank) -> None:
        self.waiting.append(self.slots._ask(rank))
        self.look()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), only_waits=st.booleans())
    def say(self, data: st.DataObject, only_waits: bool) -> None:
        one = data.draw(st.sampled_from(self.running))
        (self.idle.add if only_waits else self.idle.discard)(one.number)
        assert self.slots._note(one, only_waits) != one.lent
        self.look()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self._leave(self.running, data)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self._leave(self.waiting, data)

    def _leave(self, among: list[_Asked], data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(among))
        among.remove(one)
        self.slots._take_back(one)
        self.look()

    @invariant()
    def no_slot_is_lost_or_doubled(self) -> None:
        holding = [one for one in self.running if not one.lent]
        assert self.slots._free + len(holding) == self.SLOTS
        assert self.slots._free >= 0
        assert self.slots._room + len(self.running) == self.SLOTS * FairSlots.LENT
        assert self.slots._room >= 0

    @invariant()
    def lent_is_what_only_waits_and_for_good(self) -> None:
        now = {one.number for one in self.running if one.lent}
        before = self.lent & {one.number for one in self.running}
        assert before <= now
        assert now - before <= self.idle
        self.lent = now

    @invariant()
    def nobody_waits_for_a_slot_that_could_be_given(self) -> None:
        could = [one for one in self.running if not one.lent and one.number in self.idle]
        if self.waiting and (self.slots._free or could):
            assert not self.slots._room


def _same(one: _Asked, other: _Asked) -> bool:
    return one.rank.host == other.rank.host


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_run_that_only_waits_makes_room_once_and_keeps_running() -> None:
    """Invariant 14: no more run at once than four for each slot, whatever they wait for."""
    slots, ran = FairSlots(1), threading.Semaphore(0)
    over = threading.Event()

    def work() -> None:
        with slots.slot(RANK) as only_waits:
            ran.release()
            while only_waits(True) and not over.is_set():
                over.wait(0.001)
            over.wait(60)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert ran.acquire(timeout=60)
    assert not ran.acquire(timeout=0.2), "the fifth waits"
    over.set()
    for thread in threads:
        thread.join()
    assert (slots._free, slots._room, slots._waiting, slots._idle) == (1, 4, {}, [])


def test_a_run_that_fails_after_it_lent_its_slot_gives_nothing_back_twice() -> None:
    slots, ended = FairSlots(1), threading.Event()

    def other() -> None:
        with slots.slot(RANK):
            ended.wait(60)

    with pytest.raises(ZeroDivisionError), slots.slot(RANK) as only_waits:
        assert only_waits(True), "nobody waits for it"
        thread = threading.Thread(target=other)
        thread.start()
        while only_waits(True):
            pass
        raise ZeroDivisionError
    assert slots._free == 0, "the other one has it"
    ended.set()
    thread.join()
    assert (slots._free, slots._room) == (1, 4)


#: `slow` hosts wait for a sign, as long as it takes.
WAITS = (
    "case {{{{ inventory_hostname }}}} in slow*) until [ -e {root}/go ]; do sleep 0.2; done;; esac"
)
HOSTS = ("slow1", "slow2", "web1", "web2", "web3")


@pytest.mark.real
def test_slow_hosts_do_not_hold_up_the_others(start: Start, tmp_path: Path) -> None:
    """Two runs wait for their hosts, on two slots; the quick ones end before them."""
    hosts = {**small.INVENTORY["all"], "hosts": {host: {} for host in HOSTS}}
    project = start(
        settings={
            "execution": {"concurrency": 2},
            "correlation": {"same_host": False, "topology": "runner_nothing"},
        },
        entry={"dry_run": "none", "limits": {"cooldown": "0s", "timeout": "5m"}},
        extra=WAITS.format(root=tmp_path),
        inventory={"all": hosts},
    )
    small.deliver(project, *(small.alert(host=host) for host in HOSTS[:2]))
    small.until(lambda: all(small.runs(tmp_path, host) for host in HOSTS[:2]), "both wait")
    small.deliver(project, *(small.alert(host=host) for host in HOSTS[2:]))
    for number in (3, 4, 5):
        assert small.wait(project, number).incident.state is State.FIXED
    assert [acting(project, number) for number in (1, 2)] == [None, None], "they run on"
    (tmp_path / "go").touch()
    for number in (1, 2):
        assert small.wait(project, number).incident.state is State.FIXED


def acting(project: Project, number: int) -> object:
    """The outcome of an incident's real run; None while there is none."""
    found = small.look(project, number).runs
    (run,) = [run for run in found if run.purpose is Purpose.REMEDIATION]
    return run.outcome
