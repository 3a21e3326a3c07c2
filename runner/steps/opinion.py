"""The model's opinion on an incident: what it is asked, and what a probe brings if it asks back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runner.catalog.entry import Entry
from runner.decide.injection import Detectors, Suspicion
from runner.decide.model import Opinion
from runner.decide.question import Choice, Question
from runner.evidence.number import number
from runner.incident import Evidence, Incident
from runner.project import Project
from runner.steps.gather import probed
from runner.store import memory, records, runs

#: Attempt of the probe that a model asked for: those of gathering count from 1.
ASKED = 1000
_PAST = 20  #: earlier incidents that past results are counted over


def ask(project: Project, incident: Incident, eligible: Sequence[Entry]) -> Opinion:
    """What the model says of this incident. Raises StoreError, and ConfigError for bad settings."""
    question = _question(project, incident, eligible)
    begun = max(question.numbers, default=0)

    def probe(id: str) -> tuple[Evidence, ...]:
        found = probed(project, incident, id, datetime.now(UTC), attempt=ASKED)
        more = number(found, project.mask)
        return tuple(replace(item, number=item.number + begun) for item in more)

    return project.model.decide(question, incident=incident.id, probe=probe)


def suspicions(
    project: Project, incident: Incident, evidence: Sequence[Evidence]
) -> tuple[Suspicion, ...]:
    """Text in the incident that looks as if it were meant for the model; the same at each look."""
    if project.config.model is None:
        return ()
    detectors = Detectors(project.config.model.injection)
    alert = incident.alert
    return detectors.suspicions(alert.labels, alert.annotations, evidence, incident.hosts)


def _question(project: Project, incident: Incident, eligible: Sequence[Entry]) -> Question:
    with project.database.read() as tx:
        evidence = records.evidence_of(tx, incident.id)
        similar = memory.similar(tx, incident, limit=_PAST)
        done = {run.entry for run in runs.of_incident(tx, incident.id)}
    alert = incident.alert
    past = tuple(each for each in similar if each.alert.name == alert.name)
    choices = tuple(
        Choice(entry=entry, specs=project.catalog.schema(entry.id), past=_results(past, entry))
        for entry in eligible
    )
    return Question(
        labels=alert.labels,
        annotations=alert.annotations,
        choices=choices,
        evidence=evidence,
        hosts=incident.hosts,
        probes=tuple(
            probe
            for probe in project.catalog.by_kind("probe")
            if probe.id not in done and probe.eligible(alert.labels)
        ),
        environment=incident.environment,
    )


def _results(past: Sequence[Incident], entry: Entry) -> tuple[str, ...]:
    """How incidents of this alert ended that chose the entry: `3 fixed, 1 escalated`."""
    counted = Counter(str(each.state) for each in past if each.entry == entry.id)
    ends = ", ".join(f"{count} {state}" for state, count in counted.most_common())
    return (ends,) if ends else ()
