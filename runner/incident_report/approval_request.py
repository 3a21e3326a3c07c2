"""The approval pack: everything that a person needs to answer a question, in one object.

The terminal, notifications, the dashboard and the HTML file all show this, so that all of
them say the same. What is asked about is stored with the question and with its incident:
a pack can be made again at any time, also after the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runner import incident_report
from runner.incident import (
    Approval,
    BlastRadius,
    Brief,
    Fidelity,
    GroupReach,
    Incident,
    Purpose,
    Record,
    Run,
    Shown,
)
from runner.incident_report import Bundle
from runner.store import approvals, learning
from runner.text import brief

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.catalog.entry import Entry

#: Groups that are named in the words of a radius, those with a minimum first.
MOST_GROUPS = 4
#: Hosts and failure domains that are named in them.
MOST_NAMED = 5
_KINDS = {
    Shown.SHOWN: "shown by its diff",
    Shown.STATED: "shown as a state before and after",
    Shown.UNSHOWN: "not shown: it gives no diff, or not all of it",
    Shown.SKIPPED: "not shown: skipped by check mode",
    Shown.FAILED: "not shown: it failed",
    Shown.FED_BY_SKIPPED: "not shown: fed by a skipped task",
    Shown.CHANGED_ALREADY: "changed already, by the dry run itself",
    Shown.READ: "only read",
}


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A question with all that is known of what it asks."""

    question: Approval
    bundle: Bundle

    @property
    def incident(self) -> Incident:
        return self.bundle.incident

    @property
    def brief(self) -> Brief | None:
        return self.question.brief

    @property
    def dry_run(self) -> Run | None:
        """What check mode showed, as the person saw it when asked."""
        return dry_run_of(self.bundle)

    @property
    def not_chosen(self) -> tuple[tuple[str, str], ...]:
        """(entry, why not) of everything else that was considered."""
        return tuple(pair for each in self.bundle.decisions for pair in each.alternatives)

    @property
    def radius(self) -> str:
        return radius_words(self.bundle.radius)

    @property
    def fidelity(self) -> str:
        return fidelity_words(self.dry_run)

    @property
    def record(self) -> str:
        return record_words(self.brief.record if self.brief else Record())

    @property
    def undo(self) -> str:
        return undo_words(self.brief)


def load(tx: sa.Connection, approval: int) -> Pack:
    """The pack of a question. Raises NotFound when there is none."""
    question = approvals.get(tx, approval)
    return Pack(question=question, bundle=incident_report.load(tx, question.incident))


def brief_of(tx: sa.Connection, incident: Incident, entry: Entry, catalog: Catalog) -> Brief:
    """What is told of the entry: stored with the question, because files and records change."""
    undo = catalog.entries.get(entry.undo or "")
    return Brief(
        title=entry.title,
        description=entry.description,
        risk=entry.risk,
        dry_run=entry.dry_run.word,
        undo=entry.undo,
        undo_title=undo.title if undo else "",
        approvers=entry.approvers,
        record=learning.record_of(
            tx, entry=entry.id, alert=incident.alert.name, environment=incident.environment
        ),
    )


def dry_run_of(known: Bundle) -> Run | None:
    """The newest dry run of an incident, not what was checked once more after the answer."""
    return next((run for run in reversed(known.runs) if run.purpose is Purpose.DRY_RUN), None)


def radius_words(radius: BlastRadius | None) -> str:
    """`1 of 3 in etcd, failure domain r2, leaves 2, needs 2`; empty before policy has judged.

    Where the run acts on one part of its hosts only, that is named first.
    """
    if radius is None:
        return ""
    minimum = [reach for reach in radius.groups if reach.needed is not None]
    groups = (minimum or list(radius.groups))[:MOST_GROUPS]
    domain = _some(radius.domains)
    if domain and not any(" " in each for each in radius.domains):  # `rack r2` says what it is
        domain = f"failure domain{'s' * (len(radius.domains) > 1)} {domain}"
    if not groups:
        hosts = len({*radius.hosts, *radius.delegates})
        text = ", ".join(filter(None, (f"{hosts} host{'s' * (hosts != 1)} in no group", domain)))
    elif len(groups) == 1:
        text = _group(groups[0], domain)
    else:
        text = "; ".join(filter(None, [*map(_group, groups), domain]))
    if radius.part:
        text = f"{radius.part} on {text}"
    if radius.delegates:
        text += f"; also acts on {_some(radius.delegates)}"
    if minimum and not radius.health:
        text += "; no source says which hosts are healthy"
    return f"{text}; not known exactly, see the verdict" if radius.unknown else text


def _group(reach: GroupReach, domain: str = "") -> str:
    parts = [f"{len(reach.touched)} of {reach.size} in {reach.group}", domain]
    if reach.needed is not None:
        parts += [f"leaves {reach.left}", f"needs {reach.needed}"]
    if reach.needed is not None and not reach.takes:
        parts.append("already out of service")
    return ", ".join(filter(None, parts))


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(brief(name) for name in names[:MOST_NAMED]) + more


def fidelity_words(run: Run | None) -> str:
    """How much check mode showed, in total and by kind of task."""
    if run is None:
        return "no dry run; the entry's README says why"
    return share_words(run.fidelity, whole=True)


def share_words(fidelity: Fidelity, *, whole: bool = False) -> str:
    """`50% of 2 changes shown`, with the kinds behind it when `whole`."""
    if fidelity.share is None:
        return "no change reported"
    total = len(fidelity.changes)
    text = f"{fidelity.percent} of {total} change{'s' * (total != 1)} shown"
    counts = fidelity.counts.items()
    kinds = [f"{count} {_KINDS[kind]}" for kind, count in counts if kind.counts]
    return f"{text}: {'; '.join(kinds)}" if whole else text


def kind_words(kind: Shown) -> str:
    """A kind of fidelity for people."""
    return _KINDS[kind]


def record_words(record: Record) -> str:
    """`fixed 11 of 12 earlier runs for this alert (92 %), 1 not fixed`, and the uplift."""
    if not record.runs:
        text = "never run for this alert in this environment"
    else:
        share = f"{record.fixed / record.runs:.0%}"
        runs = f"{record.runs} earlier run{'s' * (record.runs != 1)}"
        parts = [f"fixed {record.fixed} of {runs} for this alert ({share})"]
        parts += [f"{record.not_fixed} not fixed"] if record.not_fixed else []
        parts += [f"{record.unknown} unknown"] if record.unknown else []
        text = ", ".join(parts)
    return f"{text}; {record.uplift}" if record.uplift else text


def undo_words(brief: Brief | None) -> str:
    """Whether and how it can be taken back."""
    if brief is None or brief.undo is None:
        return "none declared; a person would have to undo it"
    return f"{brief.undo}{f' ({brief.undo_title})' if brief.undo_title else ''}"
