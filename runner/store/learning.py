"""What is known of how entries did: read from incidents, runs, answers and people's words.

Also the record of an entry that a person is shown with a question, and error budgets: the audit
log gets one entry when a budget is spent, and one when it is free again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from runner.autonomy.record import Clearing, Deed, Facts, Feedback, Key, Setting, Spell, Touch
from runner.incident import (
    Brief,
    Level,
    Outcome,
    PastResult,
    Purpose,
    Record,
    Result,
    State,
    todays_word,
)
from runner.incident.firing import CLOCK_SKEW
from runner.store import audit_log, memory
from runner.store.tables import (
    approvals,
    autonomy_noted,
    autonomy_settings,
    budgets_spent,
    clearings,
    feedback,
    incidents,
    plans,
    runs,
    verifications,
)

#: Incidents of one record that are read; the newest.
MAX_INCIDENTS = 1000
_ACTING = (Purpose.REMEDIATION, Purpose.UNDO)
#: Ends in which the runner did nothing and told nobody to do anything at once.
_LEFT_ALONE = (State.OBSERVED, State.DRY_RUN, State.DENIED, State.EXPIRED, State.RESOLVED)
#: Runs that count in the record that a person is shown, and those of them that are listed.
MOST, NAMED = 1000, 5


def keys(tx: sa.Connection, *, changed_since: datetime | None = None) -> tuple[Key, ...]:
    """Every record: of incidents with an entry that an alert brought, or of a setting.

    With `changed_since` only those of incidents that changed since then.
    """
    query = (
        sa.select(incidents.c.entry, incidents.c.alertname, incidents.c.environment)
        .where(incidents.c.entry.is_not(None), incidents.c.requested_by.is_(None))
        .distinct()
    )
    if changed_since is not None:
        changed = tx.execute(query.where(_changed(changed_since)))
        return tuple(sorted(Key(*row) for row in changed))
    given = sa.select(
        autonomy_settings.c.entry, autonomy_settings.c.alertname, autonomy_settings.c.environment
    )
    noted = sa.select(
        autonomy_noted.c.entry, autonomy_noted.c.alertname, autonomy_noted.c.environment
    )
    rows = tx.execute(sa.union(query, given, noted))
    return tuple(sorted(Key(*row) for row in rows))


def facts(tx: sa.Connection, key: Key, since: datetime) -> tuple[Facts, ...]:
    """What the newest incidents of a record say, those that changed after `since`.

    Runs by hand are not of it: a person chose.
    """
    query = (
        sa.select(incidents.c.id, incidents.c.state, incidents.c.hosts, incidents.c.part)
        .where(*_is(incidents, key), incidents.c.requested_by.is_(None), _changed(since))
        .order_by(incidents.c.id.desc())
        .limit(MAX_INCIDENTS)
    )
    found = {row.id: row for row in tx.execute(query)}
    deeds, words = _deeds(tx, found), feedback_of(tx, found)
    answered = (
        sa.select(approvals.c.incident, approvals.c.answer, approvals.c.answered_at)
        .where(approvals.c.incident.in_(list(found)), approvals.c.answer.is_not(None))
        .order_by(approvals.c.id)
    )
    answers = {row.incident: (row.answer, row.answered_at) for row in tx.execute(answered)}
    content = sa.select(plans.c.incident, plans.c.content).where(plans.c.incident.in_(list(found)))
    contents = {row.incident: row.content for row in tx.execute(content)}
    return tuple(
        Facts(
            incident=number,
            state=State(row.state),
            deeds=tuple(deeds[number]),
            answer=answers.get(number, (None, None))[0],
            answered_at=answers.get(number, (None, None))[1],
            feedback=words.get(number),
            content=contents.get(number),
            hosts=tuple(row.hosts),
            part=row.part,
        )
        for number, row in found.items()
    )


def _changed(since: datetime) -> sa.ColumnElement[bool]:
    """Incidents that changed, or that somebody said something of. A word leaves `updated_at` as
    it is: that is when the alert was last heard of."""
    said = sa.select(feedback.c.incident).where(feedback.c.at >= since)
    return sa.or_(incidents.c.updated_at >= since, incidents.c.id.in_(said))


def _deeds(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, list[Deed]]:
    query = (
        sa.select(runs, verifications.c.result, verifications.c.at.label("verified_at"))
        .outerjoin(verifications, verifications.c.run == runs.c.id)
        .where(runs.c.incident.in_(list(numbers)), runs.c.purpose.in_(_ACTING))
        .order_by(runs.c.started_at)
    )
    found: dict[int, list[Deed]] = defaultdict(list)
    for row in tx.execute(query).mappings():
        outcome = Outcome(row["outcome"]) if row["outcome"] else None
        found[row["incident"]].append(
            Deed(
                purpose=Purpose(row["purpose"]),
                outcome=outcome,
                result=Result(row["result"]) if row["result"] else None,
                # As in carry_out: cancelled without any event is cancelled before Ansible began.
                started=outcome is not Outcome.CANCELLED or bool(row["stats"]),
                at=row["verified_at"] or row["ended_at"] or row["started_at"],
            )
        )
    return found


def feedback_of(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, Feedback]:
    """Incident → the newest word of a person on it."""
    query = (
        sa.select(feedback).where(feedback.c.incident.in_(list(numbers))).order_by(feedback.c.id)
    )
    names = ("incident", "right", "by", "reason", "at")
    rows = tx.execute(query).mappings()
    return {row["incident"]: Feedback(**{name: row[name] for name in names}) for row in rows}


def say(tx: sa.Connection, word: Feedback) -> None:
    """Keep a person's word on an incident, in the audit log and in the memory too."""
    tx.execute(feedback.insert().values(vars(word)))
    text = f"{'right' if word.right else 'wrong'}: {word.reason}"
    audit_log.append(
        tx,
        action="feedback",
        reason=text,
        incident=word.incident,
        actor=word.by,
        detail={"right": word.right},
        at=word.at,
    )
    memory.remember(tx, word.incident)


def settings(tx: sa.Connection, key: Key) -> tuple[Setting, ...]:
    """Levels that people gave to a record, oldest first."""
    table = autonomy_settings
    query = (
        sa.select(table.c.level, table.c.hold, table.c.by, table.c.reason, table.c.at)
        .where(*_is(table, key))
        .order_by(table.c.id)
    )
    rows = tx.execute(query).mappings()
    return tuple(Setting(**{**row, "level": Level(row["level"])}) for row in rows)


def give(tx: sa.Connection, key: Key, setting: Setting) -> None:
    """Keep a level that a person gave."""
    tx.execute(autonomy_settings.insert().values(vars(key) | vars(setting)))


def _is(table: sa.Table, key: Key) -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(table.c[name] == value for name, value in vars(key).items())


def noted(tx: sa.Connection, key: Key) -> Level | None:
    """The level that the audit log has last."""
    query = sa.select(autonomy_noted.c.level).where(*_is(autonomy_noted, key))
    found = tx.execute(query).scalar()
    return Level(found) if found else None


def note(tx: sa.Connection, key: Key, level: Level, at: datetime) -> None:
    """Remember the level that the audit log gets."""
    tx.execute(autonomy_noted.delete().where(*_is(autonomy_noted, key)))
    tx.execute(autonomy_noted.insert().values(vars(key) | {"level": level, "at": at}))


def touches(tx: sa.Connection, alertname: str, since: datetime) -> tuple[Touch, ...]:
    """When the runner first acted on firings of an alert, whatever the entry."""
    query = (
        sa.select(incidents.c.alert, incidents.c.activation, sa.func.min(runs.c.started_at))
        .join(runs, runs.c.incident == incidents.c.id)
        .where(
            incidents.c.alertname == alertname,
            incidents.c.requested_by.is_(None),
            runs.c.purpose.in_(_ACTING),
            runs.c.started_at >= since,
        )
        .group_by(incidents.c.id)
        .limit(10_000)
    )
    return tuple(
        Touch(labels=alert["labels"], began=_began(alert, activation), at=at)
        for alert, activation, at in tx.execute(query)
    )


def spells(
    tx: sa.Connection, alertname: str, environment: str, since: datetime
) -> tuple[Spell, ...]:
    """Firings that the runner only watched: how long they lasted, as far as it was told.

    One that no message ended is open, and known to have lasted until it was last heard of.
    """
    acted = sa.select(runs.c.incident).where(runs.c.purpose.in_(_ACTING))
    query = (
        sa.select(
            incidents.c.alert,
            incidents.c.activation,
            incidents.c.cleared_at,
            incidents.c.updated_at,
            incidents.c.state,
        )
        .where(
            incidents.c.alertname == alertname,
            incidents.c.environment == environment,
            incidents.c.requested_by.is_(None),
            incidents.c.state.in_([str(state) for state in _LEFT_ALONE]),
            incidents.c.activation >= since,
            incidents.c.id.not_in(acted),
        )
        .order_by(incidents.c.id.desc())
        .limit(10_000)
    )
    found = []
    for row in tx.execute(query).mappings():
        began = _began(row["alert"], row["activation"])
        found.append(
            Spell(
                labels=row["alert"]["labels"],
                began=began,
                lasted=max((row["cleared_at"] or row["updated_at"]) - began, timedelta()),
                open=row["cleared_at"] is None and row["state"] != State.RESOLVED,
            )
        )
    return tuple(found)


def _began(alert: Mapping[str, Any], activation: datetime) -> datetime:
    """When a firing began: as the sender says where its clock can be believed, else as we do."""
    told = datetime.fromisoformat(alert["starts_at"])
    return told if timedelta() <= activation - told <= CLOCK_SKEW else activation


def put_clearing(tx: sa.Connection, key: Key, measured: Clearing) -> None:
    """Keep what was measured, instead of what was measured before."""
    tx.execute(clearings.delete().where(*_is(clearings, key)))
    row = vars(key) | {
        "cleared": measured.cleared,
        "stayed": measured.stayed,
        "delay_seconds": round(measured.delay.total_seconds()),
        "within_seconds": round(measured.within.total_seconds()),
        "source": measured.source,
        "at": measured.at,
    }
    tx.execute(clearings.insert().values(row))


def clearing(tx: sa.Connection, key: Key) -> Clearing | None:
    """What was last measured for a record; None when nothing was."""
    row = tx.execute(sa.select(clearings).where(*_is(clearings, key))).mappings().first()
    if row is None:
        return None
    return Clearing(
        cleared=row["cleared"],
        stayed=row["stayed"],
        delay=timedelta(seconds=row["delay_seconds"]),
        within=timedelta(seconds=row["within_seconds"]),
        source=row["source"],
        at=row["at"],
    )


def spent_budgets(tx: sa.Connection) -> set[str]:
    """Names of the budgets that are spent, as the audit log has it."""
    return set(tx.execute(sa.select(budgets_spent.c.name)).scalars())


def spend_budget(
    tx: sa.Connection, name: str, text: str, receivers: Sequence[str], at: datetime
) -> bool:
    """Note in the audit log, once, that a budget is spent, for `receivers` to be notified.

    False when that was done already.
    """
    if name in spent_budgets(tx):
        return False
    tx.execute(budgets_spent.insert().values(name=name, at=at))
    detail = {"budget": name, "tell": list(receivers)}
    audit_log.append(tx, action="budget_spent", reason=text, detail=detail, at=at)
    return True


def free_budget(tx: sa.Connection, name: str, at: datetime) -> bool:
    """Note in the audit log, once, that a budget is free again; False when that was done."""
    gone = tx.execute(budgets_spent.delete().where(budgets_spent.c.name == name)).rowcount
    if gone:
        text = f"the error budget of {name} is free again: its failures are old enough"
        audit_log.append(tx, action="budget_free", reason=text, detail={"budget": name}, at=at)
    return bool(gone)


def record_of(tx: sa.Connection, *, entry: str, alert: str, environment: str) -> Record:
    """The newest runs of `entry` for alerts of this name in this environment, that have ended."""
    query = (
        sa.select(
            runs.c.incident, runs.c.started_at, runs.c.hosts, runs.c.outcome, verifications.c.result
        )
        .join(incidents, incidents.c.id == runs.c.incident)
        .outerjoin(verifications, verifications.c.run == runs.c.id)
        .where(
            runs.c.entry == entry,
            runs.c.purpose == Purpose.REMEDIATION,
            runs.c.outcome.is_not(None),
            incidents.c.alertname == alert,
            incidents.c.environment == environment,
        )
        .order_by(runs.c.started_at.desc())
        .limit(MOST)
    )
    past = [
        PastResult(
            incident=row.incident,
            at=row.started_at,
            hosts=tuple(row.hosts),
            outcome=Outcome(row.outcome) if row.outcome else None,
            result=Result(row.result) if row.result else None,
        )
        for row in tx.execute(query)
    ]
    results = [each.result or Result.UNKNOWN for each in past]
    return Record(
        fixed=results.count(Result.FIXED),
        not_fixed=results.count(Result.NOT_FIXED),
        unknown=results.count(Result.UNKNOWN),
        last=tuple(past[:NAMED]),
    )


def brief_from_json(content: Mapping[str, Any] | None) -> Brief | None:
    """The brief as it was stored with its question."""
    if content is None:
        return None
    record = content["record"]
    last = tuple(
        PastResult(
            incident=each["incident"],
            at=datetime.fromisoformat(each["at"]),
            hosts=tuple(each["hosts"]),
            outcome=Outcome(each["outcome"]) if each["outcome"] else None,
            result=Result(each["result"]) if each["result"] else None,
        )
        for each in record["last"]
    )
    return Brief(
        **{
            **{todays_word(key): value for key, value in content.items()},
            "approvers": tuple(content["approvers"]),
            "record": Record(**{**record, "last": last}),
        }
    )
