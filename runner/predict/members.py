"""Who joins the greylist, stays, is settled or leaves; each change is a transition."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runner import acts
from runner.errors import NotFound, Refused
from runner.incident import State
from runner.nodes import greylist
from runner.predict.outlook import Outlook, group_of
from runner.project import Project
from runner.store import audit_log, incidents, nodes
from runner.store.nodes import Member

if TYPE_CHECKING:
    from runner.nodes.classify import Prediction
    from runner.nodes.greylist import NodeStep
    from runner.nodes.tier import Tier


def move(tx: sa.Connection, project: Project, outlook: Outlook) -> None:
    """Step every node, and write down who joined, changed or left."""
    from runner.nodes import greylist
    from runner.nodes.tier import Tier

    settings, now = project.config.nodes, outlook.at
    known = nodes.standings(tx)
    sees = any(_measured(one) for one in outlook.predictions)
    for one in outlook.predictions:
        member = known.get(one.node, Member(node=one.node, tier="none"))
        # A critical member that was taken care of long ago, and of which nothing is measured now.
        if (
            sees
            and member.tier == "critical"
            and member.settled_at is not None
            and now - member.settled_at >= settings.greylist.leave_after
            and not _measured(one)
        ):
            why = f"replaced ({member.settled_by}) and no longer measured"
            _leave(tx, member, now, why, nodes.CONFIRMED)
            continue
        standing = greylist.NodeState(
            tier=Tier(member.tier),
            since=member.since,
            at=member.looked_at,
            above_warning=member.above_warning,
            above_critical=member.above_critical,
            below_warning=member.below_warning,
            below_critical=member.below_critical,
        )
        done = greylist.step(standing, one.tier, now, settings.greylist, settings.every)
        _note(tx, member, one, done, now)


def _measured(one: Prediction) -> bool:
    return any(finding.level is not None for finding in one.findings)


def _note(
    tx: sa.Connection, member: Member, one: Prediction, done: NodeStep, now: datetime
) -> None:
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
        nodes.put(tx, replace(after, why=_why(one) if worries(one.tier) else after.why))


def worries(tier: Tier) -> bool:
    """Whether nodes of this tier are predicted to fail, sooner or later."""
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
    audit_log.append(
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
    audit_log.append(
        tx,
        action="greylist_leave",
        reason=f"{member.node} leaves the greylist: {why}",
        previous=f"greylist_{member.tier}",
        detail={"node": member.node, "outcome": outcome},
        at=now,
    )


def drop_strangers(tx: sa.Connection, project: Project, now: datetime) -> None:
    """Who is no longer in the inventory's groups is no longer ours to watch."""
    settings, inventory = project.config.nodes, project.inventory()
    ours = set(group_of(inventory, settings.group))
    ours |= set(group_of(inventory, settings.spares) if settings.spares else ())
    for member in nodes.standings(tx).values():
        if member.node not in ours:
            outcome = nodes.CONFIRMED if member.settled_at else nodes.FALSE_ALARM
            _leave(tx, member, now, f"it is no longer in group {settings.group}", outcome)


def settle_fixed(tx: sa.Connection, now: datetime) -> None:
    """A member whose incident ended fixed is taken care of; who leaves is another matter."""
    for member in nodes.members(tx):
        if member.settled_at is not None or member.since is None:
            continue
        for incident in incidents.about(tx, greylist.SOURCE, member.node, since=member.since):
            if incident.state is State.FIXED and incident.alert.labels.get("tier") == member.tier:
                settle_member(tx, member.node, by=f"incident {incident.id}", reason="fixed", at=now)
                break


def settle_member(tx: sa.Connection, node: str, *, by: str, reason: str, at: datetime) -> bool:
    """End the reminders of a member, with a transition; False when there are none to end."""
    if not nodes.settle(tx, node, by=by, at=at):
        return False
    audit_log.append(
        tx,
        action="greylist_settle",
        reason=f"{node} is acknowledged: {reason}",
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
            raise Refused(f"{node} is already acknowledged by {known[node].settled_by}")


def remind(tx: sa.Connection, project: Project, now: datetime) -> None:
    """Tell again of each member that nobody took care of for `remind_every`; 0 tells nobody."""
    every = project.config.nodes.greylist.remind_every
    for member in nodes.members(tx):
        since = member.reminded_at or member.since or now
        if not every or member.settled_at is not None or now - since < every:
            continue
        nodes.reminded(tx, member.node, now)
        joined = member.joined_at or now
        audit_log.append(
            tx,
            action="greylist_remind",
            reason=f"{member.node} has been on the greylist since {joined:%Y-%m-%d %H:%M} UTC, "
            f"in the {member.tier} tier, and is not acknowledged: {member.why}",
            detail={"node": member.node, "tier": member.tier},
            at=now,
        )
