"""The host of an alert that no label names, from series that Prometheus has of it."""

from __future__ import annotations

import re

from runner.errors import RemoteError
from runner.incident import Alert
from runner.inventory import Inventory
from runner.inventory.location import MOST, Candidate, Location, at, find, named_by
from runner.project import Project
from runner.text import brief, promql

MOST_SELECTORS = 3  #: of the alert's own expression
MOST_LABELS = 24  #: of the alert, by which its series are told apart
MOST_SERIES = 200  #: of one answer; more would name no single host
_LABEL = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def by_series(project: Project, alert: Alert, inventory: Inventory) -> Location | None:
    """Where the series of `locate.joins`, else those behind the alert's expression, say that it
    is; None where nobody is asked, nothing is answered, or they name no host or several."""
    if project.prometheus is None or not project.config.locate.series:
        return None
    try:
        found = _joined(project, alert, inventory) or _behind(project, alert, inventory)
    except RemoteError:
        return None  # the gathered evidence says why it does not answer
    if len({each.hosts for each in found}) != 1:
        return None
    hosts, source = found[0].hosts, found[0].source
    reason = f"No label names a host, and {source} names inventory host `{hosts[0]}`."
    return at(hosts, reason, inventory, tuple(found[:MOST]))


def _joined(project: Project, alert: Alert, inventory: Inventory) -> list[Candidate]:
    """The hosts that series name which know more of what the alert's labels name."""
    assert project.prometheus is not None
    found = []
    for join in project.config.locate.joins:
        if any(not alert.labels.get(name) for name in promql.names(join.promql)):
            continue
        query = promql.fill(join.promql, alert.labels)
        for sample in project.prometheus.query(query)[: MOST_SERIES + 1]:
            hosts, _ = named_by(join.label, sample.labels.get(join.label, ""), inventory)
            if len(hosts) == 1:
                source = f"{join.label} of {brief(query, 120)}"
                found.append(Candidate(hosts=hosts, source=source))
    return found


def _behind(project: Project, alert: Alert, inventory: Inventory) -> list[Candidate]:
    """The hosts of all series of the alert's expression that agree with its labels; none when one
    of these series is of nobody that is known."""
    assert project.prometheus is not None
    settings = project.config.locate
    rule = project.prometheus.rule_of(alert.name, alert.labels)
    found = []
    for selector in promql.selectors(rule.query)[:MOST_SELECTORS] if rule else ():
        kept = [name for name in sorted(alert.labels) if _LABEL.fullmatch(name)][:MOST_LABELS]
        apart = ", ".join(dict.fromkeys(["job", *settings.labels, *kept]))
        samples = project.prometheus.query(f"count by ({apart}) ({selector})")
        if len(samples) > MOST_SERIES:
            return []
        for sample in samples:
            # An empty label is one that is not there.
            if any((alert.labels.get(k) or v) != v for k, v in sample.labels.items()):
                continue
            place = find(sample.labels, inventory, settings)
            if not place.hosts:
                return []
            source = f"the series of {brief(selector, 120)}"
            found.append(Candidate(hosts=place.hosts, source=source))
    return found
