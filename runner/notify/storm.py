"""A storm becomes one message, and a digest follows.

When more happens than people can read a message each of, a receiver is told once, with the count
and the worst; everything else is held back for the digest. What must not drown goes out by itself
even then: questions, and what is critical on a host that the inventory knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from runner.config import StormRules
from runner.incident import State
from runner.store import audit_log, clock, storms
from runner.store.ignored import ignored_since
from runner.store.order import Urgency
from runner.store.storms import News, Storm

WORST = 20  #: incidents that a message names
KINDS = 10  #: alerts that a digest counts by name
#: What a person has to do something about, the most urgent first.
_FOR_PEOPLE = (State.WAITING, State.ESCALATED, State.EXPIRED)


def weather(tx: sa.Connection, receivers: Iterable[str], rules: StormRules, now: datetime) -> None:
    """Begin, tell and end storms, and hold back what is for the digest."""
    known = storms.active(tx)
    receivers = tuple(receivers)
    for name in known.keys() - set(receivers):
        storms.end(tx, name)
    for name in receivers:
        _one(tx, name, known.get(name), rules, now)


def _one(
    tx: sa.Connection, receiver: str, storm: Storm | None, rules: StormRules, now: datetime
) -> None:
    news = storms.fresh(tx, receiver)
    if storm is None:
        lately = storms.alone(tx, receiver, now - rules.within)  # what is fresh is in it
        coming = storms.coming(tx, now) if news else 0
        if lately + coming <= rules.above or not news:
            return
        storm = Storm(receiver=receiver, began_at=now, told_at=now)
        storms.begin(tx, receiver, now)
        _hold(tx, storm, news, rules, now)
        _say(tx, "storm", receiver, storms.held(tx, receiver), coming)
        return
    _hold(tx, storm, news, rules, now)
    newest = storms.last_held(tx, receiver)
    calm = storms.coming(tx, now) <= rules.above
    over = calm and (newest is None or now - newest >= rules.quiet)
    if newest is not None and (over or now - storm.told_at >= rules.digest):
        digest = _say(tx, "digest", receiver, storms.held(tx, receiver), 0)
        storms.digested(tx, receiver, digest, now)
        storms.told(tx, receiver, now)
    if over:
        storms.end(tx, receiver)


def _hold(
    tx: sa.Connection, storm: Storm, news: Sequence[News], rules: StormRules, now: datetime
) -> None:
    """Everything but the most urgent, of which there is no more than `above` in `within` either."""
    if not news:
        return
    room = rules.above - (storms.alone(tx, storm.receiver, now - rules.within) - len(news))
    told = set(storms.hosts_told(tx, storm.receiver, storm.began_at))
    held = []
    for one in sorted(news, key=_order):
        question = one.action == State.WAITING
        critical = one.action in _FOR_PEOPLE and one.urgency is Urgency.CRITICAL
        if room > 0 and (question or (critical and one.hosts and told.isdisjoint(one.hosts))):
            room -= 1
            told.update(() if question else one.hosts)
        else:
            held.append(one.id)
    storms.hold(tx, held)


def _order(one: News) -> tuple[int, int, bool, int]:
    """The worst first: what people must do, then severity, then known hosts, then age."""
    duty = _FOR_PEOPLE.index(State(one.action)) if one.action in _FOR_PEOPLE else len(_FOR_PEOPLE)
    return duty, -one.urgency, not one.hosts, one.id


def _say(tx: sa.Connection, action: str, receiver: str, held: Sequence[News], coming: int) -> int:
    """The transition whose message tells of it; the audit log says so what was told together."""
    by_action = Counter(one.action for one in held)
    counts = ", ".join(f"{number} {name}" for name, number in by_action.most_common())
    worst = sorted(held, key=_order)
    if action == "storm":
        reason = f"many alerts at once: {len(held)} notifications held back"
        reason += f" ({counts})" if counts else ""
        reason += (
            f", {coming} alerts not handled yet; a digest follows"
            if coming
            else "; a digest follows"
        )
    else:
        reason = f"{len(held)} notifications in one: {counts}"
    critical = sum(one.urgency is Urgency.CRITICAL for one in held)
    kinds = Counter(one.alertname for one in held).most_common(KINDS)
    lines = [f"{name}: {number}" for name, number in kinds] if action == "digest" else []
    if action == "digest":
        day = clock.now(tx) - timedelta(days=1)
        ignored = list(ignored_since(tx, day).items())
        lines += [f"ignored within a day by {by}: {n}" for by, n in ignored[:KINDS]]
    lines += [
        f"#{one.incident} {one.action}: {one.alertname} {one.place} "
        f"({one.urgency.name.lower()}): {one.reason}"
        for one in worst[:WORST]
    ]
    if len(worst) > WORST:
        lines.append(f"and {len(worst) - WORST} more; see `runner incident list`")
    detail = {"tell": [receiver], "lines": lines, "critical": critical}
    return audit_log.append(tx, action=action, reason=reason, detail=detail).sequence
