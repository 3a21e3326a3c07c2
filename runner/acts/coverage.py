"""What the runner would do about each alert that can fire, and how far it may go now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runner import policy
from runner.catalog.coverage import AlertRule, Fit, fits, misses, rules_in
from runner.catalog.entry import Entry
from runner.catalog.near import NearMiss
from runner.catalog.scan import scan
from runner.errors import UsageError
from runner.incident import Alert, AlertStatus, Decision, Level, Reason, Verdict
from runner.policy.ceilings import VARIABLE, level_of
from runner.project import Project
from runner.steps.progress import past_runs
from runner.store import switches


@dataclass(frozen=True, kw_only=True)
class EntryLevel:
    """How far an entry may go now, before anything is known of an alert and its host."""

    entry: str
    level: Level
    held_by: tuple[Reason, ...]  #: what holds it there; empty at `auto`
    hosts: dict[str, int]  #: level → hosts of the inventory that allow less than `level`


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One alerting rule with the entries that may be chosen for its alerts."""

    rule: AlertRule
    fits: tuple[Fit, ...]
    near: tuple[NearMiss, ...] = ()  #: entries that name the alert and can never be chosen for it


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """All rules, and the standing of every entry that is named."""

    rules: tuple[Covered, ...]
    standings: dict[str, EntryLevel]

    @property
    def certain(self) -> int:
        """Alerts with an entry, whatever their other labels turn out to be."""
        return sum(any(not fit.depends for fit in each.fits) for each in self.rules)

    @property
    def covered(self) -> int:
        """Alerts with an entry, if their labels allow."""
        return sum(bool(each.fits) for each in self.rules)

    @property
    def share(self) -> float:
        """0 to 1: alerts with an entry; 1 when there is no rule."""
        return self.covered / len(self.rules) if self.rules else 1.0


def rules_of(project: Project, files: Sequence[Path]) -> list[AlertRule]:
    """The rules in these files, or those that the configured Prometheus has loaded.

    Raises UsageError when neither is there, and RemoteError when it does not answer.
    """
    if files:
        return [rule for path in files for rule in rules_in(path)]
    if project.prometheus is None:
        raise UsageError("there is no `prometheus:` in runner.yml; name rule files with --rules")
    place = project.prometheus.name
    found = project.prometheus.rules()
    return [AlertRule(name=rule.name, labels=rule.labels, place=place) for rule in found]


def coverage(project: Project, rules: Sequence[AlertRule]) -> Coverage:
    """What there is for each rule, by its name."""
    ordered = sorted(rules, key=lambda rule: (rule.name, sorted(rule.labels.items())))
    catalog = project.catalog
    found = tuple(
        Covered(rule=rule, fits=fits(rule, catalog), near=misses(rule, catalog)) for rule in ordered
    )
    now = datetime.now(UTC)
    with project.database.read() as tx:
        paused = switches.paused(tx)
        history = past_runs(project, tx, now)
    # What is no level counts as observe, as it does when an incident is judged.
    hosts = [host.variables for host in project.inventory().hosts.values()]
    allowed = [level_of(values.get(VARIABLE, Level.AUTO)) or Level.OBSERVE for values in hosts]
    allowed.sort(key=lambda level: level.rank)
    standings = {}
    for name in sorted({fit.entry for each in found for fit in each.fits}):
        situation = _situation(project, catalog.get(name), paused, history, now)
        verdict = policy.judge(situation, policy.Moment.STANDING)
        lower = [level for level in allowed if level.rank < verdict.level.rank]
        standings[name] = EntryLevel(
            entry=name,
            level=verdict.level,
            held_by=verdict.limiting if verdict.level is not Level.AUTO else (),
            hosts={str(level): lower.count(level) for level in dict.fromkeys(lower)},
        )
    return Coverage(rules=found, standings=standings)


def standing(project: Project, entry: Entry) -> Verdict:
    """How far an entry may go now, before anything is known of an alert and its host."""
    now = datetime.now(UTC)
    with project.database.read() as tx:
        paused, history = switches.paused(tx), past_runs(project, tx, now)
    situation = _situation(project, entry, paused, history, now)
    return policy.judge(situation, policy.Moment.STANDING)


def _situation(
    project: Project,
    entry: Entry,
    paused: str | None,
    history: tuple[policy.PastRun, ...],
    now: datetime,
) -> policy.Situation:
    """A situation without hosts: only rules that need none are asked."""
    alert = Alert(
        fingerprint="", status=AlertStatus.FIRING, labels={}, annotations={}, starts_at=now
    )
    chosen = Decision(decider="rules", entry=entry.id, reason="it is eligible")
    return policy.Situation(
        entry=entry,
        hosts=(),
        touched=(),
        alert=alert,
        decisions=(chosen,),
        config=project.config,
        ceiling=Level.AUTO,
        paused=paused,
        variables={},
        groups={},
        history=history,
        unknown_radius=scan(entry, project.catalog.roles).unknown,
        now=now,
    )
