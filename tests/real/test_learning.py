"""The record in the store: what people and runs leave there, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner.autonomy import trial
from runner.autonomy.record import Key, Mark, Setting
from runner.catalog.content import content_hash
from runner.config import Retention
from runner.errors import NotFound, Refused, UsageError
from runner.evidence.samples import Series
from runner.incident import (
    Alert,
    AlertStatus,
    Level,
    Outcome,
    Plan,
    Purpose,
    Result,
    Run,
    State,
    Verification,
)
from runner.policy import judge
from runner.project import Project
from runner.steps import judge as judging
from runner.steps import learn
from runner.steps.judge import situation_of
from runner.store import (
    approvals,
    audit_log,
    incidents,
    learning,
    outbox,
    records,
    retention,
    runs,
    tables,
    workers,
)
from runner.text.duration import parse
from tests import small_project as small

pytestmark = pytest.mark.store

KEY = Key("mark", "Down", "test")
EARN = {
    "earn": True,
    "start": "approve",
    "auto": {"count": 2, "bound": 0.1},
    "dry_run": {"count": 1, "bound": 0.1},
    "approve": {"count": 2, "bound": 0.1},
}


@pytest.fixture
def made(tmp_path: Path, store_url: str) -> Iterator[Project]:
    path = small.make(tmp_path, settings={"autonomy": EARN})
    project = small.project(path, store_url)
    with project.database.write() as tx:
        workers.join(tx, "worker", "here")
    yield project
    project.close()


def now() -> datetime:
    return datetime.now(UTC)


def opened(project: Project, *, host: str = "web1", by: str | None = None, **labels: str) -> int:
    """An incident of the entry, decided and located."""
    with project.database.write() as tx:
        number = len(incidents.find(tx, limit=1000)) + 1
        alert = Alert(
            fingerprint=f"{number:016x}",
            status=AlertStatus.FIRING,
            labels={"alertname": "Down", "instance": f"{host}:9100", "service": "shop", **labels},
            annotations={},
            starts_at=now() - timedelta(minutes=2),
        )
        made = incidents.open_incident(
            tx, alert, environment="test", ceiling=Level.AUTO, reason="fires", requested_by=by
        )
        assert made is not None
        incidents.move(tx, made, State.DECIDED, "chosen", entry="mark", hosts=[host])
    return made


def ran(project: Project, incident: int, result: Result | None = Result.FIXED, *,
        outcome: Outcome = Outcome.CHANGED, purpose: Purpose = Purpose.REMEDIATION,
        stats: Any = None) -> None:  # fmt: skip
    """A run of the incident, verified."""
    run = Run(
        id=f"{incident:024x}{purpose[:8]}",
        incident=incident,
        purpose=purpose,
        attempt=1,
        entry="mark",
        hosts=("web1",),
        plan=None,
        started_at=now(),
        deadline=now() + timedelta(minutes=1),
    )
    with project.database.write() as tx:
        assert runs.intend(tx, run, worker="worker", lock=())
        records.put_plan(tx, incident, _plan(project))
        runs.conclude(tx, run.id, outcome=outcome, ended_at=now(), stats=stats)
        if result is not None:
            found = Verification(result=result, reason="seen", checks=(), at=now())
            records.put_verification(tx, incident, run.id, found)


def _plan(project: Project) -> Plan:
    files = content_hash(project.catalog, project.catalog.get("mark"))
    return Plan(
        entry="mark",
        hosts=("web1",),
        delegates=(),
        variables={},
        content=files,
        diff="",
        hash="h",
    )


def ended(project: Project, incident: int, state: State = State.FIXED) -> int:
    with project.database.write() as tx:
        assert incidents.move(tx, incident, state, f"it is {state}")
    return incident


def fixed(project: Project) -> int:
    number = opened(project)
    ran(project, number)
    return ended(project, number)


def broken(project: Project) -> int:
    number = opened(project)
    ran(project, number, Result.NOT_FIXED)
    return ended(project, number, State.ESCALATED)


def level(project: Project, key: Key = KEY) -> Level:
    with project.database.read() as tx:
        return learn.standing(project, tx, key, now()).level


def marks(project: Project) -> list[Mark | None]:
    with project.database.read() as tx:
        known = learning.facts(tx, KEY, now() - timedelta(days=1))
    found = [trial.of(facts) for facts in sorted(known, key=lambda each: each.incident)]
    return [each.mark if each else None for each in found]


def told(project: Project, *actions: str) -> list[tuple[str, str | None, str]]:
    with project.database.read() as tx:
        return [(t.action, t.previous, t.actor) for t in audit_log.walk(tx) if t.action in actions]


def test_runs_and_answers_become_a_record(made: Project) -> None:
    fixed(made)
    broken(made)
    ended(made, opened(made), State.OBSERVED)
    denied = opened(made)
    with made.database.write() as tx:
        question = approvals.ask(
            tx, incident=denied, plan="p", requested_by="runner", requested_at=now(),
            expires_at=now(),
        )  # fmt: skip
        approvals.answer(tx, question.id, answer="denied", by="user:ann", at=now())
    ended(made, denied, State.DENIED)
    assert marks(made) == [Mark.FIXED, Mark.BAD, None, Mark.DISAGREED]


def test_what_never_began_says_nothing(made: Project) -> None:
    number = opened(made)
    ran(made, number, None, outcome=Outcome.CANCELLED)
    ended(made, number, State.CANCELLED)
    assert marks(made) == [None]


def test_an_undo_is_remembered_against_it(made: Project) -> None:
    number = opened(made)
    ran(made, number)
    ran(made, number, None, purpose=Purpose.UNDO)
    ended(made, number, State.ESCALATED)
    assert marks(made) == [Mark.BAD]


def test_a_run_by_hand_is_no_part_of_it(made: Project) -> None:
    number = opened(made, by="user:ann")
    ran(made, number, Result.NOT_FIXED)
    ended(made, number, State.ESCALATED)
    assert marks(made) == []
    with made.database.read() as tx:
        assert learning.keys(tx) == ()


def test_a_record_is_of_one_entry_alert_and_environment(made: Project) -> None:
    fixed(made)
    fixed(made)
    assert level(made) is Level.AUTO
    for other in (Key("mark", "Down", "lab"), Key("mark", "Up", "test"), Key("x", "Down", "test")):
        assert level(made, other) is Level.APPROVE


def test_one_bad_run_is_known_to_the_very_next_verdict(made: Project) -> None:
    """Invariant 8: the level is computed from the rows, so nothing has to be told first."""
    fixed(made)
    fixed(made)
    assert _verdict(made).level is Level.AUTO
    number = opened(made)
    ran(made, number, Result.NOT_FIXED)  # it has not even ended
    verdict = _verdict(made)
    assert verdict.level is Level.APPROVE
    assert [reason.rule for reason in verdict.limiting] == ["earned"]


def _verdict(project: Project, number: int | None = None) -> Any:
    number = number or opened(project, host="web2")
    found = small.look(project, number).incident
    entry = project.catalog.get("mark")
    verdict = judge(situation_of(project, found, entry))
    ceilings = ("configuration", "command_line", "hosts", "entry", "earned", "demoted", "pause")
    reasons = tuple(each for each in verdict.reasons if each.rule in ceilings)
    return type(verdict)(level=Level.lowest(*(r.level for r in reasons)), reasons=reasons)


def test_below_its_start_only_bad_runs_lead_and_a_person_must_know(made: Project) -> None:
    broken(made)
    (reason,) = (each for each in _verdict(made).reasons if each.rule == "demoted")
    assert reason.level is Level.DRY_RUN


def test_neither_a_run_by_hand_nor_an_undo_waits_for_a_record(made: Project) -> None:
    broken(made)
    asked = _verdict(made, opened(made, by="user:ann"))
    assert not {each.rule for each in asked.reasons} & {"earned", "demoted"}
    found = small.look(made, opened(made)).incident
    undo = made.catalog.get("mark").model_copy(update={"id": "unmark"})
    assert situation_of(made, found, undo).earned is None


def test_a_changed_playbook_has_to_earn_anew(made: Project, tmp_path: Path) -> None:
    for _ in range(3):
        fixed(made)
    assert level(made) is Level.AUTO
    with (tmp_path / "roles/mark/tasks/main.yml").open("a") as file:
        file.write("# another version\n")
    assert level(made) is Level.APPROVE
    fixed(made)
    fixed(made)
    assert level(made) is Level.AUTO


def test_where_nothing_is_earned_nothing_is_said(tmp_path: Path, store_url: str) -> None:
    project = small.project(small.make(tmp_path), store_url)
    with project.database.write() as tx:
        workers.join(tx, "worker", "here")
    broken(project)
    assert _verdict(project).level is Level.AUTO
    assert learn.note_all(project, None, now()) == 0
    with pytest.raises(Refused, match=r"autonomy\.earn is false"):
        acts.set_autonomy(project, KEY, Level.AUTO, by="user:ann", reason="x")
    project.close()


def test_every_change_is_told_once(made: Project) -> None:
    """Invariant 12."""
    fixed(made)
    assert learn.note_all(made, None, now()) == 0
    fixed(made)
    assert [learn.note_all(made, now() - timedelta(minutes=1), now()) for _ in "ab"] == [1, 0]
    broken(made)
    assert [learn.note_all(made, None, now()) for _ in "ab"] == [1, 0]
    assert told(made, "promoted", "demoted") == [
        ("promoted", "approve", "runner"),
        ("demoted", "auto", "runner"),
    ]
    with made.database.read() as tx:
        assert audit_log.verify(tx).broken is None


def test_what_judges_an_incident_is_told_before_it(made: Project) -> None:
    """Invariant 12: a level that was earned and lost between two looks was still used."""
    fixed(made)
    fixed(made)
    judging.judge(made, opened(made))
    broken(made)
    judging.judge(made, opened(made, host="web2"))
    assert [action for action, *_ in told(made, "promoted", "demoted")] == ["promoted", "demoted"]


def test_feedback_counts_at_once_and_is_kept(made: Project) -> None:
    fixed(made)
    number = fixed(made)
    learn.note_all(made, None, now())
    acts.feedback(made, number, right=False, by="user:ann", reason="it was the switch")
    assert marks(made) == [Mark.FIXED, Mark.BAD]
    assert told(made, "feedback", "demoted") == [
        ("feedback", None, "user:ann"),
        ("demoted", "auto", "user:ann"),
    ]
    acts.feedback(made, number, right=True, by="user:ann", reason="no, it was right")
    assert marks(made) == [Mark.FIXED, Mark.FIXED]


def test_a_word_on_an_old_incident_counts(made: Project) -> None:
    number = fixed(made)
    with made.database.write() as tx:
        old = {"updated_at": now() - timedelta(days=100)}
        tx.execute(tables.incidents.update().values(old))
    assert marks(made) == []
    acts.feedback(made, number, right=False, by="user:ann", reason="it came back")
    assert marks(made) == [Mark.BAD]
    with made.database.read() as tx:
        assert incidents.get(tx, number).updated_at < now() - timedelta(days=99)


def test_a_firing_that_nobody_ended_is_open(made: Project) -> None:
    """Invariant 10: that no message came does not prove that it stayed."""
    ended(made, opened(made), State.OBSERVED)
    ended(made, opened(made), State.RESOLVED)
    with made.database.read() as tx:
        found = learning.spells(tx, "Down", "test", now() - timedelta(hours=1))
    assert [spell.open for spell in found] == [False, True]
    assert all(timedelta(minutes=1) < spell.lasted < timedelta(minutes=10) for spell in found)


def test_feedback_is_refused_where_it_says_nothing(made: Project) -> None:
    number = opened(made)
    with pytest.raises(Refused, match="has not ended"):
        acts.feedback(made, number, right=True, by="user:ann", reason="x")
    with pytest.raises(NotFound):
        acts.feedback(made, 99, right=True, by="user:ann", reason="x")
    with pytest.raises(UsageError, match="give a reason"):
        acts.feedback(made, number, right=True, by="user:ann", reason="  ")
    with pytest.raises(UsageError, match="user:NAME"):
        acts.feedback(made, number, right=True, by="ann", reason="x")


def test_shadow_agreement_leads_up_to_a_person_and_no_further(made: Project) -> None:
    acts.set_autonomy(made, KEY, Level.OBSERVE, by="user:ann")
    for _ in range(5):
        number = ended(made, opened(made), State.OBSERVED)
        acts.feedback(made, number, right=True, by="user:ann", reason="yes")
    assert level(made) is Level.APPROVE


def test_a_person_raises_only_with_a_reason_and_under_the_ceilings(made: Project) -> None:
    """Invariant 7."""
    with pytest.raises(UsageError, match="give --reason"):
        acts.set_autonomy(made, KEY, Level.AUTO, by="user:ann")
    with pytest.raises(NotFound):
        acts.set_autonomy(made, Key("nothing", "Down", "test"), Level.OBSERVE, by="user:ann")
    found = acts.set_autonomy(made, KEY, Level.AUTO, by="user:ann", reason="tried by hand")
    assert found.level is Level.AUTO
    number = opened(made)
    with made.database.write() as tx:
        row = tables.incidents.c.id == number
        tx.execute(tables.incidents.update().where(row).values(ceiling="dry-run"))
    assert _verdict(made, number).level is Level.DRY_RUN
    assert told(made, "promoted", "demoted") == [("promoted", "approve", "user:ann")]


def test_a_hold_is_obeyed_until_it_is_set_again(made: Project) -> None:
    acts.set_autonomy(made, KEY, Level.OBSERVE, by="user:ann", hold=True)
    for _ in range(4):
        fixed(made)
    assert level(made) is Level.OBSERVE
    acts.set_autonomy(made, KEY, Level.APPROVE, by="user:ann", reason="enough")
    fixed(made)
    fixed(made)
    assert level(made) is Level.AUTO


def test_what_clears_by_itself_is_measured_from_what_was_only_watched(made: Project) -> None:
    fixed(made)
    for minutes in (1, 4, 4, 90):
        number = ended(made, opened(made), State.OBSERVED)
        with made.database.write() as tx:
            began = now() - timedelta(hours=3)
            row = tables.incidents.c.id == number
            times = {"activation": began, "cleared_at": began + timedelta(minutes=minutes)}
            tx.execute(tables.incidents.update().where(row).values(times))
    assert learn.measure_all(made, now()) == 1
    with made.database.read() as tx:
        found = learn.helps(made, tx, KEY, now())
    assert found.clearing is not None
    # The run began on an alert two minutes old; the entry gives a run five seconds.
    assert (found.clearing.cleared, found.clearing.stayed) == (0, 3)
    assert found.clearing.source == "incidents that were only watched"
    assert "fixed 100% of 1, baseline 0% to 56%" in found.text


class Past:
    """A Prometheus whose alert fired on three hosts, an hour each, and never on a fourth."""

    def __init__(self, end: datetime) -> None:
        self.end = end.replace(second=0, microsecond=0)

    def query_range(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> tuple[Series, ...]:
        first = self.end - timedelta(hours=4)
        labels = [{}] if "up" in promql else [{"instance": f"web{n}:9100"} for n in (1, 2, 3)]
        minutes = 240 if "up" in promql else 60
        times = [first + timedelta(minutes=minute) for minute in range(minutes)]
        points = tuple((at, 1.0) for at in times if start <= at <= end)
        return tuple(Series(labels=each, points=points) for each in labels) if points else ()

    def close(self) -> None:
        pass


def test_what_clears_by_itself_is_measured_from_prometheus(made: Project) -> None:
    fixed(made)
    made.__dict__["prometheus"] = Past(now())
    with made.database.write() as tx:  # a run was made for the firing on web1
        began = now() - timedelta(hours=4)
        tx.execute(tables.incidents.update().values(activation=began))
        tx.execute(tables.runs.update().values(started_at=began + timedelta(minutes=1)))
    found = learn.measure(made, KEY, now())
    assert found is not None
    assert (found.cleared, found.stayed) == (0, 2)
    assert found.source == "Prometheus and incidents that were only watched"
    # Another environment is not this Prometheus' business.
    assert learn.measure(made, Key("mark", "Down", "lab"), now()) is None


def test_what_was_noted_of_a_record_goes_when_nothing_is_left_of_it(made: Project) -> None:
    """Invariant 14."""
    fixed(made)
    fixed(made)
    learn.note_all(made, None, now())
    ages = Retention(incidents=parse("1d"), audit=parse("1d"))
    with made.database.write() as tx:
        assert "records" not in retention.sweep(tx, ages, now() + timedelta(hours=1))
        gone = retention.sweep(tx, ages, now() + timedelta(days=2))
        assert (gone["incidents"], gone["records"]) == (2, 1)
        assert learning.keys(tx) == ()


def test_the_time_at_which_it_cleared_is_kept(made: Project) -> None:
    number = ended(made, opened(made), State.OBSERVED)
    with made.database.write() as tx:
        incidents.set_firing(tx, number, False)
        first = tx.execute(_cleared(number)).scalar()
        incidents.set_firing(tx, number, False)
        assert first is not None and tx.execute(_cleared(number)).scalar() == first


def _cleared(number: int) -> Any:
    return (
        tables.incidents.select()
        .with_only_columns(tables.incidents.c.cleared_at)
        .where(tables.incidents.c.id == number)
    )


def test_a_spent_budget_is_told_once_and_to_its_owner(tmp_path: Path, store_url: str) -> None:
    settings = {
        "policy": {"budgets": [{"label": "service", "failures": 2}], "max_runs": "99/1h"},
        "notify": {"console": False, "receivers": [
            {"name": "shop-team", "url": "json://127.0.0.1:1"},
            {"name": "others", "url": "json://127.0.0.1:1"},
        ]},
    }  # fmt: skip
    hosts = json.loads(json.dumps(small.INVENTORY))
    hosts["all"]["hosts"]["web1"]["runner_owner"] = ["shop-team", "nobody", {"a": 1}]
    project = small.project(small.make(tmp_path, settings=settings, inventory=hosts), store_url)
    with project.database.write() as tx:
        workers.join(tx, "worker", "here")
    broken(project)
    assert learn.note_all(project, None, now()) == 0
    broken(project)
    assert [learn.note_all(project, None, now()) for _ in "ab"] == [1, 0]
    found = small.look(project, opened(project)).incident
    verdict = judge(situation_of(project, found, project.catalog.get("mark")))
    assert "budget" in [reason.rule for reason in verdict.reasons]
    with project.database.write() as tx:
        outbox.fan_out(tx, {"shop-team": ["fixed"], "others": ["fixed"]}, now())
        due = outbox.claim(tx, now(), timedelta(minutes=1))
    assert [(each.receiver, each.transition.action) for each in due] == [
        ("shop-team", "budget_spent")
    ]
    assert learn.note_all(project, None, now() + timedelta(days=8)) == 1
    assert [action for action, _, _ in told(project, "budget_spent", "budget_free")] == [
        "budget_spent",
        "budget_free",
    ]
    project.close()


def test_where_it_went_badly_a_level_is_lost_though_it_is_earned_elsewhere(made: Project) -> None:
    """Invariant 8: good runs on other hosts do not make this one right."""
    broken(made)  # on web1
    for _ in range(4):
        number = opened(made, host="db1")
        ran(made, number)
        ended(made, number)
    assert level(made) is Level.AUTO, "together it is earned"
    assert _verdict(made, opened(made, host="web2")).level is Level.AUTO
    (reason,) = _verdict(made, opened(made, host="web1")).limiting
    assert (reason.rule, reason.level) == ("demoted", Level.APPROVE)
    assert reason.text.startswith("On web1: mark for Down in test is at approve")
    give(made, Level.AUTO)
    assert _verdict(made, opened(made, host="web1")).level is Level.AUTO, "a person's word"


def give(project: Project, to: Level) -> None:
    word = Setting(level=to, hold=False, by="user:ann", reason="so", at=now())
    with project.database.write() as tx:
        learning.give(tx, KEY, word)


def test_a_level_is_lost_for_one_part_of_a_host(made: Project) -> None:
    number = broken(made)
    with made.database.write() as tx:
        tx.execute(
            tables.incidents.update()
            .where(tables.incidents.c.id == number)
            .values(part="unit nginx.service")
        )
        key_of, at = KEY, now()
        found = {
            part: learn.standing_here(made, tx, key_of, "web1", part, at).level
            for part in ("unit nginx.service", "unit redis.service", None)
        }
        elsewhere = learn.standing_here(made, tx, key_of, "web2", "unit nginx.service", at).level
    assert found == {
        "unit nginx.service": Level.APPROVE,
        "unit redis.service": Level.AUTO,
        None: Level.APPROVE,
    }
    assert elsewhere is Level.AUTO
