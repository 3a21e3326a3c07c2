"""What the record says before an incident is judged, and what the audit log gets of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa

from runner.autonomy import earn, trial, uplift
from runner.autonomy.record import Clearing, Earned, Facts, Key, Mark, Trial, Uplift
from runner.catalog.content import content_hash
from runner.catalog.entry import Entry
from runner.errors import NotFound, RemoteError
from runner.evidence.spells import of_alert
from runner.incident import Incident, Level, Reason
from runner.policy import Situation
from runner.policy.budget import accounts
from runner.project import Project
from runner.steps.progress import past_runs
from runner.store import audit_log, learning

logger = logging.getLogger(__name__)


def key_of(incident: Incident, entry: str) -> Key:
    """Whose record an incident belongs to."""
    return Key(entry, incident.alert.name, incident.environment)


def earned(
    project: Project,
    tx: sa.Connection,
    incident: Incident,
    entry: Entry,
    situation: Situation,
    now: datetime,
) -> Reason | None:
    """What the record grants; None where nothing is earned or lost by one.

    A level is earned everywhere together, and lost for one part of one host too: where it went
    badly, good runs elsewhere do not make it right.

    A person who asks by hand answers for it, and an undo repairs what the entry did: neither
    waits for a record.
    """
    asked = incident.requested_by is not None or entry.id != incident.entry
    if asked or not project.config.autonomy.earn:
        return None
    key = key_of(incident, entry.id)
    found = standing(project, tx, key, now)
    for host in situation.hosts:
        here = standing_here(project, tx, key, host, situation.part, now)
        if here.level.rank < found.level.rank:
            place = f"{situation.part} of {host}" if situation.part else host
            return Reason(rule="demoted", level=here.level, text=f"On {place}: {here.text}")
    rule = "demoted" if found.demoted else "earned"
    return Reason(rule=rule, level=found.level, text=found.text)


def standing(project: Project, tx: sa.Connection, key: Key, now: datetime) -> Earned:
    """What a record has earned now, whether that counts or not."""
    rules = project.config.autonomy
    known = trials(project, tx, key, now)
    compared = helps(project, tx, key, now)
    return earn.earned(key, known, learning.settings(tx, key), rules, now, compared)


def standing_here(
    project: Project, tx: sa.Connection, key: Key, host: str, part: str | None, now: datetime
) -> Earned:
    """What is left of a record for this part of one host: it begins with every level, and at each
    level that a person gave to the record it begins anew."""
    rules = project.config.autonomy.model_copy(update={"start": Level.AUTO})
    given = max((each.at for each in learning.settings(tx, key)), default=now - rules.window)
    known = trials(project, tx, key, now, lambda facts: facts.about(host, part))
    return earn.earned(key, [one for one in known if one.at > given], (), rules, now)


def trials(
    project: Project,
    tx: sa.Connection,
    key: Key,
    now: datetime,
    counts: Callable[[Facts], bool] = lambda facts: True,
) -> list[Trial]:
    """What each incident of a record says, as far as it counts now."""
    rules = project.config.autonomy
    files = None
    if rules.forget_changed:
        with suppress(NotFound):  # an entry that the catalog no longer has
            files = content_hash(project.catalog, project.catalog.get(key.entry))
    known = learning.facts(tx, key, now - rules.window)
    told = (trial.of(facts, files) for facts in known if counts(facts))
    return [found for found in told if found is not None]


def helps(project: Project, tx: sa.Connection, key: Key, now: datetime) -> Uplift:
    """Whether an entry's runs are better than waiting, from what was last measured."""
    rules = project.config.autonomy
    known = learning.facts(tx, key, now - rules.window)
    ran = [
        found
        for facts in known
        if any(deed.started for deed in facts.deeds) and (found := trial.of(facts)) is not None
    ]
    fixed = sum(found.mark is Mark.FIXED for found in ran)
    return uplift.compare(fixed, len(ran), learning.clearing(tx, key), rules.uplift)


def note(project: Project, key: Key, now: datetime, actor: str = "runner") -> bool:
    """Note a level in the audit log that is no longer the last one there; whether it was."""
    rules = project.config.autonomy
    if not rules.earn:
        return False
    with project.database.read() as tx:
        if standing(project, tx, key, now).level is (learning.noted(tx, key) or rules.start):
            return False
    with project.database.write() as tx:
        audit_log.lock(tx)  # another worker may be telling the same
        found = standing(project, tx, key, now)
        before = learning.noted(tx, key) or rules.start
        if before is not found.level:
            last = found.changes[-1] if found.changes else None
            because = (
                f" Last: {last.why}." if last is not None and last.level is found.level else ""
            )
            tell(tx, key, before, found.level, found.text + because, actor, now)
        return before is not found.level


def tell(
    tx: sa.Connection, key: Key, before: Level, level: Level, why: str, actor: str, at: datetime
) -> None:
    """One transition: what the record granted before, and what it grants from now on."""
    raised, same = level.rank > before.rank, level is before
    audit_log.append(
        tx,
        action="autonomy_kept" if same else "promoted" if raised else "demoted",
        previous=before,
        reason=f"{before} to {level}: {why}",
        actor=actor,
        detail=vars(key) | {"level": level},
        at=at,
    )
    learning.note(tx, key, level, at)


def note_all(project: Project, since: datetime | None, now: datetime) -> int:
    """Note in the audit log every record that changed, or might have, after `since`, and, also for
    its owner, each error budget that was spent or is free; how many."""
    with project.database.read() as tx:
        keys = learning.keys(tx, changed_since=since)
    told = sum(note(project, key, now) for key in keys)
    wanted = project.config.policy.budgets
    if not wanted:
        return told
    inventory = project.inventory()
    with project.database.read() as tx:
        history = past_runs(project, tx, now)
    spent = {a.name: a for a in accounts(wanted, history, inventory.groups, now) if a.spent}
    with project.database.read() as tx:
        if learning.spent_budgets(tx) == spent.keys():
            return told
    with project.database.write() as tx:
        audit_log.lock(tx)
        for name in learning.spent_budgets(tx) - spent.keys():
            told += learning.free_budget(tx, name, now)
        for name, account in spent.items():
            hosts = {host for run in account.burnt for host in run.hosts}
            owner = account.budget.owner
            tell = [owner] if owner else _owners(project, hosts)
            told += learning.spend_budget(tx, name, account.text, tell, now)
    return told


def _owners(project: Project, hosts: Iterable[str]) -> list[str]:
    """Receivers that `runner_owner` of these hosts names: one, or a list."""
    known = project.inventory().hosts
    values = [known[host].variables.get("runner_owner") for host in hosts if host in known]
    named = {str(name) for each in values for name in (each if isinstance(each, list) else [each])}
    receivers = {receiver.name for receiver in project.config.notify.receivers}
    for stranger in sorted(named - receivers - {"None"}):
        logger.warning("runner_owner names %s, which is no receiver of notify.receivers", stranger)
    return sorted(named & receivers)


def measure(project: Project, key: Key, now: datetime) -> Clearing | None:
    """Count how often the alert clears by itself, and keep it; None when nothing is known.

    Prometheus' history is asked first; without it the incidents that were only watched count.
    Raises RemoteError when Prometheus does not answer.
    """
    rules = project.config.autonomy.uplift
    since = now - rules.history
    with project.database.read() as tx:
        touched = learning.touches(tx, key.alertname, since)
        watched = learning.spells(tx, key.alertname, key.environment, since)
    found, source = watched, "incidents that were only watched"
    if project.prometheus is not None and key.environment == project.config.environment:
        if seen := of_alert(project.prometheus, key.alertname, since, now):
            # The same firing may be in both: Prometheus saw its beginning and its end itself.
            found, source = uplift.joined(seen, watched), f"Prometheus and {source}"
    within = project.config.verification.within  # in which a run has to show its effect
    with suppress(NotFound):  # an entry that the catalog no longer has
        within = project.catalog.get(key.entry).verify.within or within
    measured = uplift.count(
        uplift.untouched(found, touched),
        uplift.delay_of(touched),
        within,
        source=source,
        at=now,
    )
    if not measured.cleared + measured.stayed:
        return None
    with project.database.write() as tx:
        learning.put_clearing(tx, key, measured)
    return measured


def measure_all(project: Project, now: datetime) -> int:
    """Measure every record that has run; how many were measured."""
    with project.database.read() as tx:
        keys = [key for key in learning.keys(tx) if helps(project, tx, key, now).runs]
    measured = 0
    for key in keys:
        try:
            measured += measure(project, key, now) is not None
        except RemoteError as error:
            logger.warning("what clears by itself is not measured for %s: %s", key, error)
    return measured
