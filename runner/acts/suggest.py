"""What the catalog could learn from use: entries that people approved and that fixed an alert."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from runner.catalog.entry import Entry
from runner.catalog.suggest import alternative
from runner.incident import Incident, State
from runner.project import Project
from runner.steps.considered import BY_HAND
from runner.store import incidents
from runner.text.matcher import Matchers

_NEWEST = 1000  #: incidents that are looked at


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One alternative for the `match` of an entry, and the incidents that speak for it."""

    entry: Entry
    alertname: str
    alternative: Matchers
    incidents: tuple[int, ...]  #: in which it was approved and fixed the alert, newest first


def suggestions(project: Project) -> tuple[Suggestion, ...]:
    """A suggestion for each entry and alert that it fixed without matching it, best proved first.

    Such an entry was considered or proposed, so a person approved it each time.
    """
    with project.database.read() as tx:
        fixed = incidents.find(tx, states=[State.FIXED], limit=_NEWEST)
    found: dict[tuple[str, str], list[Incident]] = defaultdict(list)
    for incident in fixed:
        entry = project.catalog.entries.get(incident.entry or "")
        if entry is None or entry.kind != "remediation" or incident.alert.source == BY_HAND:
            continue
        if not entry.eligible(incident.alert.labels):
            found[entry.id, incident.alert.name].append(incident)
    made = []
    for (id, name), told in found.items():
        entry = project.catalog.get(id)
        made.append(
            Suggestion(
                entry=entry,
                alertname=name,
                alternative=alternative(entry, [one.alert.labels for one in told]),
                incidents=tuple(one.id for one in told),
            )
        )
    return tuple(sorted(made, key=lambda one: (-len(one.incidents), one.entry.id, one.alertname)))
