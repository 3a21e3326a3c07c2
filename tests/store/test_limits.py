"""Every limit holds at the moment of the run, in the transaction that takes its hosts."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import acts
from runner.config import Budget
from runner.errors import Refused
from runner.incident import Decision, Incident, Level, Outcome, Purpose, Reason, Run, State
from runner.policy import TABLE, Against, Late, against
from runner.policy.situation import Situation
from runner.project import Project
from runner.steps.ask import ask
from runner.steps.carry_out import _waits, carry_out
from runner.steps.judge import judge, over_at, situation_of
from runner.steps.limits import Limited, Limits
from runner.steps.rehearse import rehearse
from runner.store import approvals, clock, incidents, records, runs, workers
from runner.store import tables as t
from runner.text.duration import parse_rate
from tests import small_project as small
from tests.policy_case import NOW, alert, case, config, entry, failures, run
from tests.real.test_learning import opened

WORKER = "worker"
HOSTS = ("web1", "web2", "db1")
HOUR = timedelta(hours=1)
KEEPS = {"dry_run": "none", "limits": {"cooldown": "30m", "max_runs": "1/1h", "timeout": "60s"}}


@pytest.fixture
def made(tmp_path: Path, store_url: str) -> Iterator[Callable[..., Project]]:
    """Makes a small project with one living worker, in which nobody works."""
    projects: list[Project] = []

    def make(**options: Any) -> Project:
        project = small.project(small.make(tmp_path, **options), store_url)
        project.worker = WORKER
        with project.database.write() as tx:
            workers.join(tx, WORKER, "here")
        projects.append(project)
        return project

    yield make
    for project in projects:
        project.close()


def let_through(project: Project, host: str) -> int:
    """An incident on `host` whose plan is judged, made and let through, and not started."""
    incident = opened(project, host=host)
    with project.database.write() as tx:
        chosen = Decision(decider="rules", entry="mark", reason="it fits", confidence=1.0)
        records.put_decision(tx, incident, chosen)
    assert judge(project, incident) and rehearse(project, incident) and ask(project, incident)
    return incident


def state(project: Project, incident: int) -> Incident:
    with project.database.read() as tx:
        return incidents.get(tx, incident)


def earlier(project: Project, *, ago: timedelta = timedelta(), host: str = "web1") -> None:
    """A run of the entry by another incident, that ended well."""
    with project.database.write() as tx:
        now = clock.now(tx)
        one = Run(
            id=uuid.uuid4().hex,
            incident=999,
            purpose=Purpose.REMEDIATION,
            attempt=1,
            entry="mark",
            hosts=(host,),
            plan="p",
            started_at=now,
            deadline=now + timedelta(minutes=1),
        )
        runs.intend(tx, one, worker=WORKER, lock=one.hosts)
        runs.conclude(tx, one.id, outcome=Outcome.CHANGED)
        back = {"started_at": now - ago}
        tx.execute(t.runs.update().where(t.runs.c.id == one.id).values(back))


# --- the table -------------------------------------------------------------------------------


def test_each_rule_stands_in_the_table_once_and_says_what_it_means_late() -> None:
    """Invariant 17: one table, rule by moment by consequence."""
    rules = [row.rule.__name__ for row in TABLE]
    assert len(rules) == len(set(rules))
    late = {row.rule.__name__: row.late for row in TABLE if row.late}
    waits = {
        "cooldown", "entry_rate", "global_rate", "host_rate", "part_rate", "freeze", "capacity",
        "one_at_a_time",
    }  # fmt: skip
    assert {name for name, what in late.items() if what is Late.WAIT} == waits
    assert {name for name, what in late.items() if what is Late.ASK} == {
        "earned", "budget", "breaker", "unread",
    }  # fmt: skip
    assert {name for name, what in late.items() if what is Late.CANCEL} == {
        "configuration", "command_line", "sender", "hosts", "entry", "pause",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "late", "until"),
    [
        ({"history": (run(5),)}, Late.WAIT, timedelta(minutes=5)),
        ({"config": config(max_runs="1/1h"), "history": (run(20, entry="x", hosts=()),)},
         Late.WAIT, timedelta(minutes=40)),
        ({"config": config(freeze=[{"name": "noon", "start": "11:00", "end": "12:30"}])},
         Late.WAIT, timedelta(minutes=30)),
        ({"config": config(freeze=[{"name": "night", "start": "11:00", "end": "01:00"}])},
         Late.WAIT, timedelta(hours=13)),
        ({"history": failures(3)}, Late.ASK, None),
        ({"paused": "by ann: network work"}, Late.CANCEL, None),
        ({"alert": replace(alert(), source="gone")}, Late.CANCEL, None),
        ({"variables": {"web1": {"runner_level": "approve"}}}, Late.CANCEL, None),
        ({"entry": entry(level="approve")}, Late.CANCEL, None),
        ({"hosts": ("web1", "web2"), "touched": ("web1", "web2")}, Late.HAND_OVER, None),
        # The strongest counts: what is paused does not ask anybody.
        ({"history": failures(3), "paused": "by ann"}, Late.CANCEL, None),
        ({"history": (*failures(3), run(5))}, Late.WAIT, timedelta(minutes=5)),
    ],
)  # fmt: skip
def test_what_follows_when_a_rule_speaks_late(
    changes: dict[str, Any], late: Late, until: timedelta | None
) -> None:
    """Invariant 17: and what passes with time says when."""
    found = against(case(**changes), shown=())
    assert found is not None and found.late is late
    assert over_at(found.reasons) == (NOW + until if until is not None else None)


def test_what_nobody_knows_the_end_of_is_not_held_until_something_else_ends() -> None:
    """Invariant 22: neither by the judgement nor at the start of a run, which stays for it."""
    cools = Reason(rule="cooldown", level=Level.OBSERVE, text="x", until=NOW)
    lacks = Reason(rule="capacity", level=Level.OBSERVE, text="y")
    later = replace(cools, until=NOW + HOUR)
    assert over_at([cools, later]) == NOW + HOUR
    assert over_at([cools, lacks]) is over_at([]) is None
    assert _waits(1, 1, Against(Late.WAIT, (cools, lacks)))
    assert not _waits(1, 1, Against(Late.WAIT, (cools, later)))


def test_an_approval_overrides_what_was_shown_with_it_and_nothing_else() -> None:
    """Invariant 17: nor a level below approve, which no answer raises."""
    spent = case(history=failures(3))
    assert against(spent, shown=("breaker",)) is None
    assert against(spent, shown=("max_runs", "budget")) is not None
    assert against(spent, shown=None) is None, "a question of a release that kept no list"
    closed = case(history=failures(3), config=config(breaker={"level": "observe"}))
    assert against(closed, shown=("breaker",)) is not None
    assert against(case(history=(run(1),)), shown=("cooldown",)) is not None


@given(
    minutes=st.lists(st.integers(-5, 90), max_size=8),
    count=st.integers(1, 4),
)
def test_a_rate_is_free_again_exactly_when_it_says(minutes: list[int], count: int) -> None:
    """Invariant 22: not earlier, so that nobody looks in vain, and not later."""
    limited = config(max_runs=f"{count}/1h", cooldown="0s")
    past = tuple(run(ago, entry="other", hosts=()) for ago in minutes)
    found = against(case(config=limited, history=past), shown=())
    if found is None:
        return
    until = over_at(found.reasons)
    assert until is not None and until > NOW
    assert against(case(config=limited, history=past, now=until), shown=()) is None
    just_before = until - timedelta(seconds=1)
    assert against(case(config=limited, history=past, now=just_before), shown=()) is not None


# --- at the moment of the run ----------------------------------------------------------------


@pytest.mark.store
@pytest.mark.parametrize(
    ("meanwhile", "ends", "said"),
    [
        (lambda p: earlier(p), State.HELD, "needs 30m between runs"),
        (lambda p: earlier(p, host="db1"), State.HELD, "the limit is 1"),
        (lambda p: acts.pause(p, by="user:ann", reason="network"), State.CANCELLED, "network"),
    ],
    ids=["cooldown", "rate", "pause"],
)
def test_what_came_up_since_the_verdict_stops_the_run(
    made: Callable[..., Project], meanwhile: Any, ends: State, said: str, tmp_path: Path
) -> None:
    """Invariant 17: what was judged earlier only informs."""
    project = made(entry=KEEPS)
    incident = let_through(project, "web1")
    meanwhile(project)
    assert not carry_out(project, incident, 1)
    found = state(project, incident)
    assert (found.state, said in found.reason) == (ends, True), found.reason
    assert small.runs(tmp_path) == 0
    with project.database.read() as tx:
        assert runs.busy_hosts(tx) == frozenset()


@pytest.mark.store
def test_who_was_not_asked_yet_is_asked_and_a_yes_covers_what_was_shown(
    made: Callable[..., Project],
) -> None:
    """Invariant 17: the breaker opened after the verdict, and again after the answer."""
    project = made(entry={"dry_run": "none"}, settings={"policy": {
        "min_fidelity": 0, "breaker": {"failures": 1}, "cooldown": "0s", "max_runs": "100/1h",
    }})  # fmt: skip
    incident = let_through(project, "web1")
    failed(project, "db1")
    assert not carry_out(project, incident, 1)
    found = small.look(project, incident)
    assert found.incident.state is State.WAITING
    assert "The breaker is open for entry mark" in found.incident.reason
    assert found.approvals[0].shown is not None and "breaker" in found.approvals[0].shown
    acts.answer(project, found.approvals[0].id, answer="approved", by="user:ann")
    with project.database.write() as tx:
        tx.execute(sa.delete(t.runs))  # the breaker is closed again; now the budget is spent
    project.config = project.config.model_copy(update={"policy": project.config.policy.model_copy(
        update={"budgets": (Budget(group="all", failures=1),)})})  # fmt: skip
    failed(project, "db1")
    assert not carry_out(project, incident, 1)
    again = small.look(project, incident)
    assert again.incident.state is State.WAITING
    assert [question.asked for question in again.approvals] == [1, 2]
    assert "error budget" in again.incident.reason


def failed(project: Project, host: str) -> None:
    earlier(project, host=host, ago=timedelta(minutes=20))
    with project.database.write() as tx:
        tx.execute(t.runs.update().values(outcome=Outcome.FAILED))


# --- many at once ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """What may run, as data: of the entry, of all, and on one host."""

    entry: int
    all: int
    cooldown: int  #: minutes
    per: int = 60  #: minutes


def broken(bounds: Bounds, started: list[tuple[datetime, str]]) -> str:
    """The limit that this history of (start, host) breaks; empty when none is."""
    for number, (at, host) in enumerate(started):
        window = [
            one for one, _ in started[: number + 1] if at - one < timedelta(minutes=bounds.per)
        ]
        if len(window) > min(bounds.entry, bounds.all):
            return f"{len(window)} runs within an hour"
        last = [one for one, other in started[:number] if other == host]
        if last and at - last[-1] < timedelta(minutes=bounds.cooldown):
            return f"two runs on {host} within {at - last[-1]}"
    return ""


actions = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 5)),
    st.tuples(st.just("finish"), st.integers(0, 5)),
    st.tuples(st.just("pass"), st.integers(1, 45)),
)
bounds = st.builds(Bounds, st.integers(1, 3), st.integers(1, 4), st.sampled_from([0, 10, 30, 70]))


class Model:
    """Incidents that were all let through before anything ran, on a store whose past moves."""

    def __init__(self, project: Project, incident: Incident, limits: Bounds) -> None:
        self.project, self.limits = project, limits
        changed = incident_entry(limits)
        policy = project.config.policy.model_copy(
            update={"max_runs": parse_rate(f"{limits.all}/1h")}
        )
        project.config = project.config.model_copy(update={"policy": policy})
        self.case = situation_of(project, incident, changed)
        self.incident, self.entry = incident, changed
        with project.database.write() as tx:
            tx.execute(t.host_locks.delete())
            tx.execute(t.runs.delete())

    def start(self, number: int) -> bool:
        """Try to start the run of one incident; whether it was."""
        host = HOSTS[number % len(HOSTS)]
        mine = Run(
            id=uuid.uuid4().hex, incident=100 + number, purpose=Purpose.REMEDIATION, attempt=1,
            entry="mark", hosts=(host,), plan="p", started_at=NOW, deadline=NOW + HOUR,
        )  # fmt: skip
        limits = Limits(
            self.project, self.incident, entry=self.entry,
            situation=self.case_on(host, 100 + number), shown=(), waits=lambda against: False,
        )  # fmt: skip
        try:
            with self.project.database.write() as tx:
                return runs.intend(tx, mine, worker=WORKER, lock=(host,), allow=limits.require)
        except (Limited, runs.NotNow):
            return False

    def case_on(self, host: str, incident: int) -> Situation:
        return replace(self.case, hosts=(host,), touched=(host,), incident=incident)

    def finish(self, number: int) -> None:
        with self.project.database.write() as tx:
            found = runs.find(tx, 100 + number, Purpose.REMEDIATION, 1)
            if found is not None:
                runs.conclude(tx, found.id, outcome=Outcome.CHANGED)

    def passed(self, minutes: int) -> None:
        """Time goes on: everything that was started lies further back."""
        with self.project.database.write() as tx:
            for one in tx.execute(sa.select(t.runs.c.id, t.runs.c.started_at)).all():
                back = {"started_at": one.started_at - timedelta(minutes=minutes)}
                tx.execute(t.runs.update().where(t.runs.c.id == one.id).values(back))

    def started(self) -> list[tuple[datetime, str]]:
        with self.project.database.read() as tx:
            rows = tx.execute(sa.select(t.runs.c.started_at, t.runs.c.hosts)).all()
        return sorted((row.started_at, row.hosts[0]) for row in rows)


def incident_entry(limits: Bounds) -> Any:
    return entry(
        id="mark", role="mark",
        limits={"cooldown": f"{limits.cooldown}m", "max_runs": f"{limits.entry}/1h"},
    )  # fmt: skip


@pytest.fixture
def plain(made: Callable[..., Project]) -> tuple[Project, Incident]:
    project = made(entry=KEEPS)
    return project, state(project, let_through(project, "web1"))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(limits=bounds, todo=st.lists(actions, min_size=3, max_size=14))
def test_no_sequence_makes_more_runs_than_the_limits_allow(
    plain: tuple[Project, Incident], limits: Bounds, todo: list[tuple[str, int]]
) -> None:
    """Invariant 17: whatever arrives, ends and passes, after each start every limit holds."""
    model = Model(*plain, limits)
    for what, number in todo:
        if what == "start":
            before = model.started()
            if not model.start(number) and not before:
                raise AssertionError("the first run of all was refused")
        elif what == "finish":
            model.finish(number)
        else:
            model.passed(number)
        assert broken(limits, model.started()) == ""


@pytest.mark.store
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(limits=bounds)
def test_runs_that_start_at_once_keep_every_limit(
    plain: tuple[Project, Incident], limits: Bounds
) -> None:
    """Invariant 17: six threads, all let through; what one starts, the next one sees."""
    model, gate = Model(*plain, limits), threading.Barrier(6)

    def start(number: int) -> None:
        gate.wait()
        model.start(number)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken(limits, model.started()) == ""
    assert model.started(), "somebody was first"


# --- clocks ----------------------------------------------------------------------------------


@pytest.mark.store
def test_starts_ends_and_locks_are_in_the_order_in_which_the_host_was_held(
    made: Callable[..., Project],
) -> None:
    """Invariant 3: who wants the host notes its time before; the record still has no overlap."""
    project, gate = made(), threading.Barrier(4)

    def work(number: int) -> None:
        for attempt in range(1, 6):
            wanted = Run(
                id=uuid.uuid4().hex, incident=number, purpose=Purpose.DRY_RUN, attempt=attempt,
                entry="mark", hosts=("web1",), plan="p",
                # The clock of this worker is wrong, and it waits long for the host.
                started_at=datetime.now(UTC) - timedelta(minutes=number),
                deadline=datetime.now(UTC),
            )  # fmt: skip
            while True:
                try:
                    with project.database.write() as tx:
                        runs.intend(tx, wanted, worker=WORKER, lock=wanted.hosts)
                    break
                except runs.HostsBusy as busy:
                    assert f"of incident {busy_incident(busy)}" in str(busy)
            with project.database.write() as tx:
                runs.conclude(tx, wanted.id, outcome=Outcome.CHANGED)

    def busy_incident(busy: runs.HostsBusy) -> str:
        return str(busy).partition("of incident ")[2].split()[0]

    def begin(number: int) -> None:
        gate.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with project.database.read() as tx:
        every = tx.execute(sa.select(t.runs).order_by(t.runs.c.started_at)).all()
    assert len(every) == 20
    for before, after in itertools.pairwise(every):
        assert before.ended_at <= after.started_at


@pytest.mark.store
def test_a_question_is_closed_with_its_incident(made: Callable[..., Project]) -> None:
    """Invariant 22: whatever ends it; nothing is left to answer, in no list and no count."""
    project = made(settings={"level": "approve"}, entry={"dry_run": "none"})
    incident = opened(project)
    with project.database.write() as tx:
        records.put_decision(
            tx, incident, Decision(decider="rules", entry="mark", reason="it fits")
        )
    assert judge(project, incident) and rehearse(project, incident) and not ask(project, incident)
    with project.database.read() as tx:
        (question,) = approvals.open_approvals(tx)
    acts.cancel(project, incident, by="user:bob", reason="done by hand")
    with project.database.read() as tx:
        assert approvals.open_approvals(tx) == ()
        closed = approvals.get(tx, question.id)
    assert (closed.answer, closed.answered_by) == ("closed", "runner")
    with pytest.raises(Refused, match="nothing is left to answer: incident"):
        acts.answer(project, question.id, answer="approved", by="user:ann")


def test_a_yes_still_counts_after_a_hold(made: Callable[..., Project]) -> None:
    """Invariant 17: nothing changed meanwhile, so nobody is asked the same again."""
    limits = {"cooldown": "30m", "max_runs": "100/1h", "timeout": "60s"}
    project = made(entry={"limits": limits, "level": "approve", "dry_run": "none"})
    incident = opened(project, host="web1")
    decision = Decision(decider="rules", entry="mark", reason="it fits", confidence=1.0)
    with project.database.write() as tx:
        records.put_decision(tx, incident, decision)
    assert judge(project, incident) and rehearse(project, incident)
    assert not ask(project, incident), "a person is asked"
    (question,) = small.look(project, incident).approvals
    acts.answer(project, question.id, answer="approved", by="user:ann")
    earlier(project)
    assert not carry_out(project, incident, 1)
    assert state(project, incident).state is State.HELD
    with project.database.write() as tx:
        tx.execute(sa.delete(t.runs))
        tx.execute(t.incidents.update().values(held_until=clock.now(tx)))
        assert incidents.let_go(tx, incident)
    assert judge(project, incident) and rehearse(project, incident)
    assert ask(project, incident), "the same plan and the same rules: the yes counts"
    assert state(project, incident).state is State.APPROVED
