"""Predictions of nodes: look, remember, step the greylist, and hand alerts to the intake.

Beside `acts` in the order of imports: it brings the inventory, Prometheus, the store and the
pure rules of `nodes` together. Nothing here names a playbook; which entry answers an alert is
said in the catalog.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from runner import acts
from runner.errors import ConfigError, NotFound, Refused, RemoteError, StoreError
from runner.incident import Labels, Level, State
from runner.intake.payload import compose
from runner.inventory import Inventory, locate
from runner.nodes import alerts
from runner.project import Project
from runner.store import incidents, nodes, rounds, trail
from runner.store.nodes import Member, Said

if TYPE_CHECKING:
    from runner.config import Nodes, Signal
    from runner.evidence.prometheus import PrometheusClient
    from runner.nodes.backtest import History
    from runner.nodes.classify import Prediction, Tier
    from runner.nodes.collect import Readings
    from runner.nodes.greylist import Standing, Step
    from runner.nodes.opinion import Opinion

GREYLIST_FILE = "greylist.json"  #: in the state folder; what the inventory script reads
ROUND = "predict"
SPARES = "spares"
#: How often a prediction that says the same as the last one is kept.
KEEP_EVERY = timedelta(hours=6)
_EXTRA = "nodes need numpy and scipy; install remediation-runner[nodes]"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What one look at the nodes found."""

    at: datetime
    predictions: tuple[Prediction, ...]
    signals: tuple[Signal, ...]
    readings: Readings
    serving: frozenset[str] | None  #: hosts that are members now; None when that is not known


def look(project: Project, now: datetime) -> Outlook:
    """Ask Prometheus and judge every node; changes nothing.

    Raises ConfigError when no node is configured, and when a library is missing.
    """
    look_for_extra()
    from runner.nodes import classify, collect, signals

    prometheus = _prometheus(project)
    settings, inventory = project.config.nodes, project.inventory()
    with project.database.read() as tx:
        known = nodes.standings(tx)
    serving = _serving(project, inventory)
    in_force = signals.in_force(settings)
    readings = collect.collect(
        prometheus.query_range,
        in_force,
        settings,
        watched(project, inventory, serving, known),
        lambda labels: _host(labels, project, inventory),
        now,
    )
    held = {name: classify.Tier(member.tier) for name, member in known.items()}
    found = classify.classify_all(
        readings.series,
        in_force,
        classify.Scale.of(settings),
        lambda node: held.get(node, classify.Tier.NONE),
    )
    return Outlook(at=now, predictions=found, signals=in_force, readings=readings, serving=serving)


def look_for_extra() -> None:
    """Raise ConfigError unless what nodes need is installed."""
    try:
        import scipy.stats  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(f"{_EXTRA} ({error.name} is missing)") from None


def _prometheus(project: Project) -> PrometheusClient:
    if project.prometheus is None:
        raise ConfigError("nodes are measured by Prometheus; set prometheus.url in runner.yml")
    return project.prometheus


def signal_names(settings: Nodes) -> frozenset[str]:
    """The names of the signals in force."""
    from runner.nodes import signals

    return frozenset(signal.name for signal in signals.in_force(settings))


def history(
    project: Project, start: datetime, end: datetime, failures: Mapping[str, datetime]
) -> History:
    """What Prometheus has of every node between two times, for a backtest.

    Raises NotFound for a failure of a host that is none of the nodes, UsageError for a span of
    time that holds nothing, RemoteError.
    """
    from runner.nodes import signals
    from runner.nodes.backtest import History
    from runner.nodes.span import read

    settings, inventory = project.config.nodes, project.inventory()
    hosts = watched(project, inventory, _serving(project, inventory), failures)
    if strangers := sorted(set(failures) - set(hosts)):
        raise NotFound(f"{strangers[0]} is no node; see `runner node list`")
    series = read(
        _prometheus(project).query_range,
        signals.in_force(settings),
        settings,
        hosts,
        lambda labels: _host(labels, project, inventory),
        start,
        end,
    )
    return History(start=series.start, step=settings.step, series=series.values, failures=failures)


def watched(
    project: Project,
    inventory: Inventory,
    serving: Collection[str] | None,
    known: Collection[str] = (),
) -> tuple[str, ...]:
    """The hosts to look at: those of the group, without spares that do not serve."""
    settings = project.config.nodes
    group = _group(inventory, settings.group)
    spares = set(_group(inventory, settings.spares) if settings.spares else ())
    idle = spares - set(serving or ()) - set(known)
    return tuple(host for host in sorted({*group, *spares}) if host not in idle)


def _group(inventory: Inventory, name: str | None) -> tuple[str, ...]:
    if name is None:
        raise ConfigError("no nodes are named; set nodes.group in runner.yml")
    if name not in inventory.groups:
        raise ConfigError(f"the inventory has no group {name}; see nodes in runner.yml")
    return inventory.groups[name]


def _serving(project: Project, inventory: Inventory) -> frozenset[str] | None:
    """Who serves now, by `nodes.members`; None when nobody says."""
    promql = project.config.nodes.members
    if promql is None or project.prometheus is None:
        return None
    try:
        samples = project.prometheus.query(promql)
    except RemoteError as error:
        logger.warning("who serves is not known: %s", error)
        return None
    found = (_host(one.labels, project, inventory) for one in samples if one.value > 0)
    return frozenset(host for host in found if host is not None)


def _host(labels: Labels, project: Project, inventory: Inventory) -> str | None:
    found = locate(labels, project.config.nodes.label, inventory).hosts
    return found[0] if len(found) == 1 else None


def one_of(found: Sequence[Prediction], node: str) -> Prediction:
    """The prediction for `node`. Raises NotFound."""
    for prediction in found:
        if prediction.node == node:
            return prediction
    raise NotFound(f"there is no node {node}; see `runner node list`")


# The round


def step(project: Project, now: datetime) -> bool:
    """One round, if it is due and no other process has it; whether it was done.

    Everything is told again in the next round, so one that was cut off loses nothing.
    """
    with project.database.write() as tx:
        if not rounds.claim(tx, ROUND, now, project.config.nodes.every):
            return False
    outlook = look(project, now)
    for problem in outlook.readings.problems:
        logger.info("%s", problem)
    fresh = _fresh(project, outlook)
    said = opinions(project, outlook, fresh)
    with project.database.write() as tx:
        _remember(tx, outlook, fresh, said)
        _settle_fixed(tx, now)
        _move(tx, project, outlook)
        _drop_strangers(tx, project, now)
        _remind(tx, project, now)
        _count_spares(tx, project, outlook)
        rounds.put_note(tx, ROUND, now.isoformat(), now)
    publish(project)
    deliver(project, now)
    return True


def _fresh(project: Project, outlook: Outlook) -> tuple[Prediction, ...]:
    """The predictions that say more than what was kept last."""
    with project.database.read() as tx:
        last = nodes.latest(tx)
    return tuple(
        one for one in outlook.predictions if _says_more(one, last.get(one.node), outlook.at)
    )


def opinions(project: Project, outlook: Outlook, asked: Sequence[Prediction]) -> dict[str, Opinion]:
    """Node → what the model says, of those in `asked` that the rules worry about.

    Empty without a model, and with `decide: rules`. Raises StoreError.
    """
    from runner.nodes import opinion

    if project.config.deciders == "rules":
        return {}
    found = {}
    for one in asked:
        if not _bad(one.tier):
            continue
        with project.database.read() as tx:
            before = nodes.history(tx, one.node)
        try:
            said = opinion.ask(project.model, one, outlook.signals, before)
        except ConfigError as error:
            logger.warning("the model is not asked about %s: %s", one.node, error)
            continue
        if said is not None:
            found[one.node] = said
    return found


def _remember(
    tx: sa.Connection,
    outlook: Outlook,
    fresh: Sequence[Prediction],
    said: Mapping[str, Opinion],
) -> None:
    from runner.nodes.opinion import as_row

    for one in fresh:
        nodes.add_prediction(
            tx,
            at=outlook.at,
            node=one.node,
            by=one.by,
            tier=one.tier,
            ahead=(one.expected, one.soonest, one.latest),
            reasons=one.reasons,
            findings=[_plain(asdict(finding)) for finding in one.findings],
        )
        if one.node in said:
            nodes.add_prediction(tx, at=outlook.at, node=one.node, **as_row(said[one.node]))


def _says_more(one: Prediction, before: Said | None, now: datetime) -> bool:
    return before is None or before.tier != one.tier or now - before.at >= KEEP_EVERY


def _plain(finding: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in finding.items()
    }


def _move(tx: sa.Connection, project: Project, outlook: Outlook) -> None:
    """Step every node, and write down who joined, changed or left."""
    from runner.nodes import greylist

    settings = project.config.nodes
    known = nodes.standings(tx)
    sees = any(_measured(one) for one in outlook.predictions)
    for one in outlook.predictions:
        member = known.get(one.node, Member(node=one.node, tier="none"))
        if sees and _is_gone(member, one, outlook.at, settings.greylist.leave_after):
            why = f"replaced ({member.settled_by}), and no longer measured"
            _leave(tx, member, outlook.at, why, nodes.CONFIRMED)
            continue
        done = greylist.step(
            _standing(member), one.tier, outlook.at, settings.greylist, settings.every
        )
        _note(tx, member, one, done, outlook.at)


def _is_gone(member: Member, one: Prediction, now: datetime, after: timedelta) -> bool:
    """Whether a critical member was taken care of long ago and nothing of it is measured now."""
    return (
        member.tier == "critical"
        and member.settled_at is not None
        and now - member.settled_at >= after
        and not _measured(one)
    )


def _measured(one: Prediction) -> bool:
    return any(finding.level is not None for finding in one.findings)


def _standing(member: Member) -> Standing:
    from runner.nodes.classify import Tier
    from runner.nodes.greylist import Standing

    return Standing(
        tier=Tier(member.tier),
        since=member.since,
        at=member.looked_at,
        above_warning=member.above_warning,
        above_critical=member.above_critical,
        below_warning=member.below_warning,
        below_critical=member.below_critical,
    )


def _note(tx: sa.Connection, member: Member, one: Prediction, done: Step, now: datetime) -> None:
    from runner.nodes.greylist import Event

    standing = done.standing
    after = replace(
        member,
        tier=str(standing.tier),
        since=standing.since,
        looked_at=standing.at,
        above_warning=standing.above_warning,
        above_critical=standing.above_critical,
        below_warning=standing.below_warning,
        below_critical=standing.below_critical,
    )
    if done.event is Event.LEFT:
        outcome = nodes.CONFIRMED if member.settled_at else nodes.FALSE_ALARM
        _leave(tx, member, now, "healthy for long enough", outcome)
    elif done.event is not None:
        _join(tx, member, after, one, now)
    elif standing.idle:
        nodes.drop(tx, member.node)
    else:
        nodes.put(tx, replace(after, why=_why(one) if _bad(one.tier) else after.why))


def _bad(tier: Tier) -> bool:
    return str(tier) in ("warning", "critical")


def _why(one: Prediction) -> str:
    return " ".join(one.reasons)[:2000]


def _join(tx: sa.Connection, member: Member, after: Member, one: Prediction, now: datetime) -> None:
    """It joined, or changed its tier; what got worse is not settled by what was done before."""
    why, eased = _why(one), member.tier == "critical"
    nodes.put(
        tx,
        replace(
            after,
            why=why,
            joined_at=member.joined_at or now,
            reminded_at=now,
            settled_at=member.settled_at if eased else None,
            settled_by=member.settled_by if eased else None,
        ),
    )
    trail.append(
        tx,
        action="greylist_join",
        reason=f"{member.node} is in the {after.tier} tier: {why}",
        previous=f"greylist_{member.tier}",
        detail={"node": member.node, "tier": after.tier},
        at=now,
    )


def _leave(tx: sa.Connection, member: Member, now: datetime, why: str, outcome: str) -> None:
    nodes.drop(tx, member.node)
    if member.joined_at is None:
        return
    nodes.conclude(tx, member.node, member.joined_at - timedelta(days=1), outcome)
    trail.append(
        tx,
        action="greylist_leave",
        reason=f"{member.node} leaves the greylist: {why}",
        previous=f"greylist_{member.tier}",
        detail={"node": member.node, "outcome": outcome},
        at=now,
    )


def _drop_strangers(tx: sa.Connection, project: Project, now: datetime) -> None:
    """Who is no longer in the inventory's groups is no longer ours to watch."""
    settings, inventory = project.config.nodes, project.inventory()
    ours = set(_group(inventory, settings.group))
    ours |= set(_group(inventory, settings.spares) if settings.spares else ())
    for member in nodes.standings(tx).values():
        if member.node not in ours:
            outcome = nodes.CONFIRMED if member.settled_at else nodes.FALSE_ALARM
            _leave(tx, member, now, f"it is no longer in group {settings.group}", outcome)


def _settle_fixed(tx: sa.Connection, now: datetime) -> None:
    """A member whose incident ended fixed is taken care of; who leaves is another matter."""
    for member in nodes.members(tx):
        if member.settled_at is not None or member.since is None:
            continue
        for incident in incidents.about(tx, alerts.SOURCE, member.node, since=member.since):
            if incident.state is State.FIXED and incident.alert.labels.get("tier") == member.tier:
                settle_member(tx, member.node, by=f"incident {incident.id}", reason="fixed", at=now)
                break


def settle_member(tx: sa.Connection, node: str, *, by: str, reason: str, at: datetime) -> bool:
    """End the reminders of a member, with a transition; False when there are none to end."""
    if not nodes.settle(tx, node, by=by, at=at):
        return False
    trail.append(
        tx,
        action="greylist_settle",
        reason=f"{node} is settled: {reason}",
        actor=by if by.startswith("user:") else "runner",
        detail={"node": node, "by": by},
        at=at,
    )
    return True


def settle(project: Project, node: str, *, by: str, reason: str, now: datetime) -> None:
    """A person took care of a member. Raises NotFound and Refused."""
    acts.check_actor(by)
    with project.database.write() as tx:
        known = {member.node: member for member in nodes.members(tx)}
        if node not in known:
            raise NotFound(f"{node} is not on the greylist; see `runner node greylist`")
        text = reason[: acts.MAX_TEXT]
        if not settle_member(tx, node, by=by, reason=text, at=now):
            raise Refused(f"{node} is settled already, by {known[node].settled_by}")


def _remind(tx: sa.Connection, project: Project, now: datetime) -> None:
    every = project.config.nodes.greylist.remind_every
    for member in nodes.members(tx):
        since = member.reminded_at or member.since or now
        if not every or member.settled_at is not None or now - since < every:
            continue
        nodes.reminded(tx, member.node, now)
        joined = member.joined_at or now
        trail.append(
            tx,
            action="greylist_remind",
            reason=f"{member.node} has been on the greylist since {joined:%Y-%m-%d %H:%M} UTC, "
            f"in the {member.tier} tier, and is not settled: {member.why}",
            detail={"node": member.node, "tier": member.tier},
            at=now,
        )


def free_spares(
    inventory: Inventory, group: str, serving: Collection[str], greylisted: Collection[str]
) -> tuple[str, ...]:
    """Spares that could take the place of a node now."""
    spares = _group(inventory, group)
    return tuple(host for host in spares if host not in serving and host not in greylisted)


def _count_spares(tx: sa.Connection, project: Project, outlook: Outlook) -> None:
    """Page once when the last spare is gone, and say when there is one again."""
    settings = project.config.nodes
    if settings.spares is None or (outlook.serving is None and settings.members is not None):
        return  # not known is not empty
    grey = [member.node for member in nodes.members(tx)]
    free = free_spares(project.inventory(), settings.spares, outlook.serving or (), grey)
    was_empty = rounds.note(tx, SPARES) == "empty"
    if bool(free) != was_empty:
        return
    rounds.put_note(tx, SPARES, "" if free else "empty", outlook.at)
    said = f"{len(free)} free: {', '.join(free)}" if free else "no node can be added or replaced"
    trail.append(
        tx,
        action="spares_back" if free else "spares_empty",
        reason=f"group {settings.spares} has {'spares again' if free else 'no free spare'}: {said}",
        detail={"group": settings.spares, "free": list(free)},
        at=outlook.at,
    )


# What others see of it


def deliver(project: Project, now: datetime) -> int:
    """Hand the intake what fires and what does no more; how many alerts.

    Where a model doubts what the rules say, nothing runs before a person was asked.
    """
    with project.database.read() as tx:
        held = _held(tx, project)
        firing = [incident.alert for incident in incidents.firing_of(tx, alerts.SOURCE)]
    settings = project.config.nodes
    wanted = [alerts.alert_of(one, settings) for one in held]
    doubted = {one.node for one in held if one.doubt}
    told = alerts.difference(wanted, firing, now)
    for ceiling, some in (
        (Level.AUTO, [a for a in told if a.labels.get("instance") not in doubted]),
        (Level.APPROVE, [a for a in told if a.labels.get("instance") in doubted]),
    ):
        if some:
            delivery = compose(some, source=alerts.SOURCE, group_key="predictions")
            acts.deliver(project, delivery.raw, source=delivery.source, ceiling=ceiling)
    return len(told)


def _held(tx: sa.Connection, project: Project) -> list[alerts.Held]:
    """The members as their alerts tell of them."""
    from runner.nodes import opinion

    least = project.config.policy.min_confidence
    by_rules, by_model = nodes.latest(tx), nodes.latest(tx, by=opinion.BY)
    return [
        alerts.Held(
            node=one.node,
            tier=one.tier,
            since=one.since,
            why=one.why,
            doubt=opinion.doubt(by_rules.get(one.node), by_model.get(one.node), least),
        )
        for one in nodes.members(tx)
        if one.since is not None
    ]


def publish(project: Project) -> bool:
    """Write who is greylisted where the inventory script reads it; whether that changed.

    The file stands when the store is away: who was greylisted stays greylisted.
    """
    with project.database.read() as tx:
        members = nodes.members(tx)
    content = as_inventory(members)
    path = project.state / GREYLIST_FILE
    text = json.dumps(content, indent=2) + "\n"
    if _text(path) == text:
        return False
    fresh = path.with_name(f".{GREYLIST_FILE}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: the greylist cannot be written ({error.strerror})") from None
    project.forget_inventory()
    return True


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def as_inventory(members: Sequence[Member]) -> dict[str, Any]:
    """The greylist as an Ansible inventory: the group, and why each host is in it."""
    variables = {
        one.node: {
            "runner_greylist_tier": one.tier,
            "runner_greylist_since": (one.joined_at or one.since or datetime.min).isoformat(),
        }
        for one in members
    }
    return {
        "greylisted": {"hosts": [one.node for one in members]},
        "_meta": {"hostvars": variables},
    }
