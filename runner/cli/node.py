"""`runner node`: how nodes are, who is on the greylist, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from runner import predict
from runner.cli import Noun, option
from runner.cli.report import age, moment, short
from runner.cli.session import Session, as_option, person
from runner.cli.spark import can_show_bars, sparkline
from runner.errors import NotFound
from runner.predict import Outlook
from runner.store import nodes
from runner.store.nodes import Member

if TYPE_CHECKING:
    from runner.nodes.classify import Prediction, SignalTier

TIER_ORDER = ("critical", "warning", "unknown", "none")


@click.group(cls=Noun)
def node() -> None:
    """Show nodes, predictions and the greylist."""


@node.command("list")
@option("--signal", metavar="NAME", help="Show this signal instead of the worst one.")
@click.pass_obj
def list_(session: Session, signal: str | None) -> None:
    """List nodes with tier and most significant signal, worst first.

    The tier follows the signals at once; the greylist follows when the tier lasts.
    """
    outlook, grey = _look(session)
    names = {each.name for each in outlook.signals}
    if signal is not None and signal not in names:
        raise NotFound(f"there is no signal {signal}; known are {', '.join(sorted(names))}")
    ordered = sorted(outlook.predictions, key=lambda one: TIER_ORDER.index(one.tier))
    if session.json:
        session.answer([_as_json(one, grey.get(one.node), outlook) for one in ordered])
        return
    rows = []
    for one in ordered:
        finding = most_telling(one)
        if signal is not None:
            finding = next((f for f in one.findings if f.signal == signal), None)
        shown = ("", "unknown", "")
        if finding is not None:
            line = _spark(session, outlook, one.node, finding.signal)
            shown = (finding.signal, _level(finding, outlook), line)
        member = grey.get(one.node)
        since = age(member.joined_at) if member and member.joined_at else ""
        rows.append((one.node, str(one.tier), since, fails_in(one.expected), *shown))
    head = ("node", "tier", "greylisted", "fails in", "signal", "level", "trend")
    session.screen.table(head, rows)
    _notes(session, outlook)


@node.command()
@click.argument("host")
@click.pass_obj
def show(session: Session, host: str) -> None:
    """Show all signals of HOST, the reasons for its tier, and earlier predictions."""
    outlook, grey = _look(session)
    one, member = predict.one_of(outlook.predictions, host), grey.get(host)
    with session.project.database.read() as tx:
        said = nodes.history(tx, host)
    if session.json:
        before = [vars(each) for each in said]
        session.answer(_as_json(one, member, outlook) | {"history": before})
        return
    session.screen.line(f"{host}: {one.tier}", "bold")
    for reason in one.reasons:
        session.screen.line(f"  {reason}")
    session.screen.heading("Signals")
    session.screen.table(
        ("signal", "tier", "level", "fails in", "trend", "because"),
        [
            (f.signal, str(f.tier), _level(f, outlook), fails_in(f.expected),
             _spark(session, outlook, one.node, f.signal), f.reason)
            for f in one.findings
        ],
    )  # fmt: skip
    if member is not None and member.joined_at is not None:
        by = f"by {member.settled_by}, {age(member.settled_at)}" if member.settled_at else "no"
        session.screen.heading(f"Greylist: {member.tier}")
        session.screen.pairs(
            [("since", moment(member.joined_at)), ("because", member.why), ("acknowledged", by)]
        )
    if said:
        session.screen.heading("Predicted before")
        session.screen.table(
            ("at", "by", "tier", "fails in", "result", "because"),
            [
                (moment(each.at), each.by, each.tier, fails_in(each.expected),
                 (each.outcome or "").replace("_", " "), " ".join(each.reasons))
                for each in said[:10]
            ],
        )  # fmt: skip
    _notes(session, outlook)


@node.command("greylist")
@option("--ansible", is_flag=True, help="Print an Ansible inventory.")
@click.pass_obj
def greylist_(session: Session, ansible: bool) -> None:
    """List nodes with early signs: since when, why, and whether acknowledged."""
    with session.project.database.read() as tx:
        members, outcomes = nodes.members(tx), nodes.counted(tx)
    if ansible:
        session.answer(predict.as_inventory(members))
    elif session.json:
        session.answer({"members": [vars(one) for one in members], "outcomes": outcomes})
    else:
        rows = [
            (one.node, one.tier, age(one.joined_at) if one.joined_at else "",
             one.settled_by or "no", one.why)
            for one in members
        ]  # fmt: skip
        if rows:
            session.screen.table(("node", "tier", "since", "acknowledged", "because"), rows)
        else:
            session.note("The greylist is empty.")
        wrong, right = outcomes.get(nodes.FALSE_ALARM, 0), outcomes.get(nodes.CONFIRMED, 0)
        if wrong or right:
            session.note(f"Of the alarms that ended, {right} were confirmed and {wrong} false.")


@node.command()
@click.argument("host")
@option("--reason", required=True, help="Reason for the audit log.")
@as_option
@click.pass_obj
def settle(session: Session, host: str, reason: str, name: str | None) -> None:
    """Acknowledge HOST and stop its reminders.

    It stays on the greylist until it is healthy or gone."""
    now = datetime.now(UTC)
    predict.settle(session.project, host, by=person(name), reason=reason, now=now)
    if session.json:
        session.answer({"node": host, "settled": True})
    else:
        session.screen.line(f"{host} is acknowledged: no more reminders")


@node.command("signals")
@click.pass_obj
def signals_(session: Session) -> None:
    """List the signals with their bounds and queries."""
    from runner.nodes import signals

    found = signals.in_force(session.project.config.nodes)
    if session.json:
        session.answer([each.model_dump() for each in found])
        return
    session.screen.table(
        ("signal", "worse", "warning", "critical", "unit", "weight", "query"),
        [
            (each.name, each.direction, f"{each.warning:g}", f"{each.critical:g}", each.unit,
             f"{each.weight:g}" + (" optional" if each.optional else ""), each.promql)
            for each in found
        ],
    )  # fmt: skip


def _look(session: Session) -> tuple[Outlook, dict[str, Member]]:
    with session.busy("asking Prometheus"):
        outlook = predict.look(session.project, datetime.now(UTC))
    with session.project.database.read() as tx:
        return outlook, {member.node: member for member in nodes.members(tx)}


def most_telling(one: Prediction) -> SignalTier | None:
    """The finding that says most of a node: of the worst tier, the one that fails first."""
    known = [finding for finding in one.findings if finding.level is not None]
    far = timedelta.max
    ranked = sorted(known, key=lambda f: (TIER_ORDER.index(f.tier), f.expected or far))
    return ranked[0] if ranked else None


def fails_in(expected: timedelta | None) -> str:
    """When a node is expected to fail."""
    if expected is None:
        return ""
    return short(expected) if expected else "now"


def _level(finding: SignalTier, outlook: Outlook) -> str:
    if finding.level is None:
        return "unknown"
    unit = next(each.unit for each in outlook.signals if each.name == finding.signal)
    return f"{finding.level:.3g} {unit}".strip()


def _spark(session: Session, outlook: Outlook, node: str, signal: str) -> str:
    values = outlook.readings.series[node].get(signal, ())
    bars = can_show_bars(getattr(session.screen.stream, "encoding", None))
    return sparkline([float(value) for value in values], bars=bars)


def _notes(session: Session, outlook: Outlook) -> None:
    for problem in outlook.readings.problems:
        session.note(problem)


def _as_json(one: Prediction, member: Member | None, outlook: Outlook) -> dict[str, Any]:
    series = outlook.readings.series[one.node]
    # JSON has no word for what is not known but null.
    values = {
        name: [None if value != value else float(value) for value in given]
        for name, given in series.items()
    }
    return {
        "node": one.node,
        "tier": one.tier,
        "by": one.by,
        "expected_seconds": _seconds(one.expected),
        "soonest_seconds": _seconds(one.soonest),
        "latest_seconds": _seconds(one.latest),
        "reasons": one.reasons,
        "greylist": vars(member) if member is not None else None,
        "signals": [
            vars(finding)
            | {name: _seconds(getattr(finding, name)) for name in ("expected", "soonest", "latest")}
            | {"values": values.get(finding.signal, [])}
            for finding in one.findings
        ],
        "problems": outlook.readings.problems,
    }


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
